"""What darknet's own command line has and this one lacks, or lacks for some commands, with a word on each flag."""

from __future__ import annotations

# From darknet.c and classifier.c, of pjreddie's program and of AlexeyAB's.
COMMANDS = frozenset((
    "3d", "art", "captcha", "cifar", "coco", "compare", "detect", "detector", "dice", "go", "imtest", "isegmenter",
    "lsd", "mkimg", "nightmare", "oneoff", "oneoff2", "regressor", "rnn", "segmenter", "super", "tag", "vid",
    "visualize", "voxel", "whatever", "writing", "yolo",
    *(f"classifier {name}" for name in ("gun", "threat")),
))  # fmt: skip

_DETECTORS = "a flag of darknet's detectors; this program finds no boxes: leave it out"
_VIDEO = "a flag of darknet's videos that this program does not know; see darknet classifier demo --help"
_WINDOW = "a flag of darknet's windows, of which this program opens none: leave it out"
FLAGS = {
    **dict.fromkeys(("thresh", "hier", "iou_thresh", "ext_output", "save_labels", "points", "map"), _DETECTORS),
    **dict.fromkeys(("s", "avg", "fps", "prefix", "http_port", "json_port", "mjpeg_port"), _VIDEO),
    **dict.fromkeys(("c", "out_filename"), "a flag of classifier demo"),
    "gpus": "a flag of darknet's training on several GPUs, which this program does not do: leave it out",
    "chart": "a flag of darknet's training; take --report",
    "topk": "a flag of darknet's training; train validates without it",
    "num_of_clusters": _DETECTORS,
    "clear": "a flag of classifier train",
    "i": "a flag of commands that may run on a GPU; this one does not: leave it out",
    "t": "a flag of commands that tell the best classes; this one does not: leave it out",
    **dict.fromkeys(("dont_show", "show", "show_imgs", "fullscreen"), _WINDOW),
    "out": "a flag of darknet's detectors; take --format, or --save with valid, or send standard output to a file",
    "letter_box": "take --preprocess letterbox",
    "benchmark": "take the command speed",
    "benchmark_layers": "take the command speed",
}
