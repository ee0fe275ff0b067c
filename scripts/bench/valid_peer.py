"""What somebody would write with ONNX Runtime to measure a network well: MODEL LABELS LIST THREADS.

A pool decodes and crops ahead with OpenCV, whose calls release Python's lock, while the session runs batches of 8.
"""

import sys
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

BATCH = 8
AHEAD = 4  # batches

model, labels, listed, threads = sys.argv[1:]
wnids = {wnid: index for index, wnid in enumerate(Path(labels).read_text().split())}
paths = Path(listed).read_text().split("\n")[:-1]
cv2.setNumThreads(1)
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
_, _, height, width = session.get_inputs()[0].shape


def load(path: str) -> np.ndarray:
    """The middle square at the network's size, in 0..1, channels first."""
    picture = np.asarray(cv2.imread(path))
    side = min(picture.shape[:2])
    top, left = (picture.shape[0] - side) // 2, (picture.shape[1] - side) // 2
    square = cv2.resize(picture[top : top + side, left : left + side], (width, height))
    return cv2.dnn.blobFromImage(square, 1 / 255, swapRB=True)


right = done = 0
start = time.perf_counter()
with ThreadPoolExecutor(int(threads)) as pool:
    left = iter(paths)
    window = deque(pool.submit(load, path) for path, _ in zip(left, range(BATCH * AHEAD), strict=False))
    while window:
        batch = np.concatenate([window.popleft().result() for _ in range(min(BATCH, len(window)))])
        window.extend(pool.submit(load, path) for path, _ in zip(left, range(BATCH), strict=False))
        (probabilities,) = session.run(["output0"], {"images": batch})
        for best in probabilities.argmax(axis=1):
            right += best == wnids.get(Path(paths[done]).name.partition("_")[0], -1)
            done += 1
print(f"{right} {done} {time.perf_counter() - start}")
