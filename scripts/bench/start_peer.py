"""What somebody would write with ONNX Runtime to classify one picture: MODEL LABELS PICTURE THREADS."""

import sys

import numpy as np
import onnxruntime
from PIL import Image

model, labels, picture, threads = sys.argv[1:]
options = onnxruntime.SessionOptions()
options.intra_op_num_threads = int(threads)
session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
_, _, height, width = session.get_inputs()[0].shape

# Letterbox as darknet does it: bilinear with corners on corners, grey beside the picture.
image = Image.open(picture).convert("RGB")
by_width = width * image.height < height * image.width
new = (width, image.height * width // image.width) if by_width else (image.width * height // image.height, height)
x_step, y_step = ((old - 1) / (size - 1) for old, size in zip(image.size, new, strict=True))
steps = (x_step, 0, (1 - x_step) / 2, 0, y_step, (1 - y_step) / 2)
resized = image.transform(new, Image.Transform.AFFINE, steps, Image.Resampling.BILINEAR)
boxed = np.full((height, width, 3), 0.5, np.float32)
left, top = (width - new[0]) // 2, (height - new[1]) // 2
boxed[top : top + new[1], left : left + new[0]] = np.asarray(resized, np.float32) / 255

images = np.ascontiguousarray(boxed.transpose(2, 0, 1)[None])
(probabilities,) = session.run(["output0"], {"images": images})[0]
with open(labels) as file:
    names = file.read().splitlines()
for index in np.argsort(-probabilities)[:5]:
    print(f"{names[index]}: {probabilities[index]:f}")
