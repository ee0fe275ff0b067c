"""The commands: which there are, and which module has each; those that are alike share one."""

from __future__ import annotations

from typing import NamedTuple


class Command(NamedTuple):
    """Where a command is: functions ``add_NAME`` and ``run_NAME`` of a module in commands/.

    Its summary is a full sentence.
    """

    module: str
    name: str
    summary: str


COMMANDS = {
    "classifier predict": Command("predict", "predict", "Classify pictures; without any, ask for them."),
    "classifier train": Command("train", "train", "Train a network on pictures whose classes are known."),
    "classifier valid": Command("valid", "valid", "Measure a network on the middle square of each image of a list."),
    "classifier validfull": Command("valid", "valid", "Measure a network on the whole of each image of a list."),
    "classifier valid10": Command("valid", "valid", "Measure a network on ten crops of each image of a list."),
    "classifier validmulti": Command("valid", "valid", "Measure a network on each image of a list at four sizes."),
    "classifier validcrop": Command(
        "valid", "valid", "Measure a network on each image of a list, stretched to its size."
    ),
    "classifier label": Command("valid", "valid", "Print the name of the best class of each image of a list."),
    "classifier csv": Command("valid", "valid", "Print the numbers of the best classes of each image of a list."),
    "classifier fout": Command("valid", "valid", "Print all probabilities of each image of a list."),
    "classifier test": Command("valid", "valid", "Print all probabilities of each image of a list, stretched."),
    "classifier try": Command("try_layer", "try", "Print what a layer of a network gives for a picture."),
    "classifier features": Command("features", "features", "Save what a layer of a network gives for pictures."),
    "classifier demo": Command("demo", "demo", "Classify what a camera, a video or a stream shows."),
    "serve": Command("serve", "serve", "Classify pictures on a page in the browser, and by HTTP."),
    "classify": Command("predict", "predict", "Classify pictures, as classifier predict does."),
    "ops": Command("tools", "ops", "Count a network's operations."),
    "networks": Command("networks", "networks", "List the networks that come with the program."),
    "export": Command("export", "export", "Write a network with its weights as ONNX."),
    "fetch": Command("tools", "fetch", "Download published weights."),
    "partial": Command("weights_tools", "partial", "Write the first layers of a weights file."),
    "average": Command("weights_tools", "average", "Write the mean of several weights files."),
    "normalize": Command("weights_tools", "change", "Give layers batch normalization that changes no answer."),
    "denormalize": Command("weights_tools", "change", "Put batch normalization into weights and biases."),
    "reset": Command("weights_tools", "change", "Put batch normalization into weights and biases, and begin it anew."),
    "rescale": Command("weights_tools", "change", "Let the first convolution take pictures in 0..1, not -1..1."),
    "rgbgr": Command("weights_tools", "change", "Exchange red and blue in the first convolution."),
    "print": Command("weights_tools", "print", "Print a layer's weights, each filter a line."),
    "statistics": Command("weights_tools", "statistics", "Print what each parameter's values are like."),
    "plan": Command("inspect", "plan", "Say how each layer of a network would run on the CPU."),
    "speed": Command("inspect", "speed", "Time each layer of a network on the CPU."),
    "cache": Command("cache", "cache", "List what the program keeps, how large it is and where; remove it."),
    "completion": Command("completion", "completion", "Print what completes commands, options and names in a shell."),
    "info": Command("info", "info", "Tell of this machine and this program what a report of a bug needs."),
    "warmup": Command("inspect", "warmup", "Compile the CPU's kernels now, not at the first picture."),
}
