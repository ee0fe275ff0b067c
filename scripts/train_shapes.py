#!/usr/bin/env python3
"""Train cfg/shapes.cfg on drawn shapes and write data/shapes.weights in darknet's format.

    pip install torch==2.13.0 numpy pillow
    python scripts/train_shapes.py               # draw, train, write, report: ten to twenty minutes on two cores
    python scripts/train_shapes.py --evaluate    # report the accuracy of the weights file as it is

The architecture is read from the cfg. The pictures come from draw_shapes.py, prepared in the three ways of
the program: shorter (the shorter side becomes the network's width, and the network runs at that size),
letterbox and center-crop. All seeds are fixed. The accuracy is that on pictures of another seed.
"""

import argparse
import struct
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from draw_shapes import KINDS, picture
from PIL import Image
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parent.parent
CFG, WEIGHTS = ROOT / "cfg/shapes.cfg", ROOT / "data/shapes.weights"
MODES = ("shorter", "letterbox", "center-crop")
TRAIN_SEED, HELD_OUT_SEED = 1, 3
PICTURES, EPOCHS, BATCH, THREADS = 20_000, 5, 64, 2
LEARNING_RATE, DECAY, SMOOTHING = 0.01, 0.01, 0.02


class Norm(nn.BatchNorm2d):
    """Batch norm that at inference divides by sqrt(variance) + 1e-6, as darknet does."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalize (batch, channels, height, width)."""
        if self.training:
            return super().forward(x)
        scale = self.weight / (self.running_var.sqrt() + 1e-6)
        return x * scale[:, None, None] + (self.bias - self.running_mean * scale)[:, None, None]


def _build(cfg: Path) -> tuple[nn.Sequential, int]:
    """Build a cfg's network without its softmax, (batch, 3, height, width) to (batch, classes), and get its width.

    Its layers are convolutional, maxpool (size 2, stride 2) and avgpool.
    """
    sections: list[tuple[str, dict[str, str]]] = []
    for line in cfg.read_text().split():
        key, equals, value = line.partition("=")
        if equals:
            sections[-1][1][key] = value
        else:
            sections.append((line.strip("[]"), {}))
    width, channels = (int(sections[0][1][key]) for key in ("width", "channels"))
    net = nn.Sequential()
    for kind, options in sections[1:-1]:
        if kind == "convolutional":
            filters, size, stride, pad = (int(options[key]) for key in ("filters", "size", "stride", "pad"))
            normalize = "batch_normalize" in options
            net.append(nn.Conv2d(channels, filters, size, stride, size // 2 * pad, bias=not normalize))
            if normalize:
                net.append(Norm(filters))
            if options["activation"] == "leaky":
                net.append(nn.LeakyReLU(0.1))
            channels = filters
        elif kind == "maxpool":
            net.append(nn.MaxPool2d(2, 2, ceil_mode=True))
        elif kind == "avgpool":
            net.extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
        else:
            raise ValueError(f"{cfg}: no way to train a [{kind}] layer")
    return net, width


def _file_order(net: nn.Sequential) -> Iterator[Tensor]:
    """Yield the tensors of a network in the order in which a weights file holds them."""
    for layer, following in zip(net, list(net)[1:], strict=False):
        if isinstance(layer, nn.Conv2d):
            if isinstance(following, Norm):
                yield from (following.bias, following.weight, following.running_mean, following.running_var)
            else:
                yield layer.bias
            yield layer.weight


def _save(net: nn.Sequential, path: Path, seen: int) -> None:
    """Write a weights file of version 0.2.0 with a 64-bit count of the images seen."""
    arrays = [tensor.detach().numpy().astype("<f4").tobytes() for tensor in _file_order(net)]
    path.write_bytes(struct.pack("<iiiq", 0, 2, 0, seen) + b"".join(arrays))


@torch.no_grad()
def _load(net: nn.Sequential, path: Path) -> None:
    """Read a weights file that `_save` wrote."""
    values = torch.from_numpy(np.fromfile(path, "<f4", offset=20))
    tensors = list(_file_order(net))
    for tensor, part in zip(tensors, values.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def _prepare(image: Image.Image, mode: str, side: int) -> Tensor:
    """Prepare an RGB picture as the program does for a width of `side` pixels: (3, height, width), 0 to 1."""
    x = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
    height, width = x.shape[2:]
    if mode == "center-crop":
        height = width = min(height, width)
        top, left = (x.shape[2] - height) // 2, (x.shape[3] - width) // 2
        x = x[..., top : top + height, left : left + width]
    unit = max(height, width) if mode == "letterbox" else min(height, width)
    height, width = height * side // unit, width * side // unit
    x = F.interpolate(x, (height, width), mode="bilinear", align_corners=True)[0]
    if mode == "letterbox":
        top, left = (side - height) // 2, (side - width) // 2
        x = F.pad(x, (left, side - width - left, top, side - height - top), value=0.5)
    return x


def _cache(side: int) -> list[tuple[Tensor, Tensor]]:
    """Draw the training pictures in groups of one width: (bytes, kinds) each. Upright ones are turned."""
    groups = defaultdict(list)
    for index in range(PICTURES):
        kind, image = picture(TRAIN_SEED, index)
        for mode in MODES:
            x = (_prepare(image, mode, side) * 255).round().byte()
            x = x if x.shape[1] == side else x.transpose(1, 2)
            groups[mode == "shorter", x.shape[2]].append((x, KINDS.index(kind)))
    return [(torch.stack([x for x, _ in g]), torch.tensor([k for _, k in g])) for g in groups.values()]


def _augment(x: Tensor) -> Tensor:
    """Turn, mirror, recolour and invert pictures (batch, 3, height, width); no kind changes by it."""
    turn, columns, rows = torch.rand(3) < 0.5
    x = x.transpose(2, 3) if turn else x
    x = x.flip([2 + n for n, flipped in enumerate((rows, columns)) if flipped])[:, torch.randperm(3)]
    return torch.where(torch.rand(len(x), 1, 1, 1) < 0.5, x, 1 - x).contiguous()


@torch.no_grad()
def _accuracy(net: nn.Sequential, side: int, count: int) -> dict[str, float]:
    """Return the share of the first `count` held-out pictures that the network names rightly, by mode."""
    net.eval()
    right = dict.fromkeys(MODES, 0)
    for index in range(count):
        kind, image = picture(HELD_OUT_SEED, index)
        for mode in MODES:
            right[mode] += KINDS[int(net(_prepare(image, mode, side)[None]).argmax())] == kind
    return {mode: n / count for mode, n in right.items()}


def _train(net: nn.Sequential, side: int) -> int:
    """Train a network and return how many pictures it saw."""
    groups = _cache(side)
    counts = [-(-len(kinds) // BATCH) for _, kinds in groups]
    optimizer = torch.optim.AdamW(net.parameters(), LEARNING_RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, EPOCHS * sum(counts))
    start = time.monotonic()
    net.train()
    for epoch in range(EPOCHS):
        batches, losses = [], []
        for (x, y), parts in zip(groups, counts, strict=True):
            batches += [(x, y, rows) for rows in torch.randperm(len(y)).tensor_split(parts)]
        for n in torch.randperm(len(batches)).tolist():
            x, y, rows = batches[n]
            answers = net(_augment(x[rows].float() / 255))
            loss = F.cross_entropy(answers, y[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}, {time.monotonic() - start:.0f} s: loss {np.mean(losses):.4f}", flush=True)
    return EPOCHS * sum(len(kinds) for _, kinds in groups)


def main() -> None:
    """Train and write the weights file, then report what is in it."""
    parser = argparse.ArgumentParser(description="Train cfg/shapes.cfg and write data/shapes.weights.")
    parser.add_argument("--evaluate", action="store_true", help="only report the file's accuracy")
    args = parser.parse_args()
    torch.manual_seed(TRAIN_SEED)
    torch.set_num_threads(THREADS)
    torch.use_deterministic_algorithms(True)
    net, side = _build(CFG)
    if not args.evaluate:
        _save(net, WEIGHTS, _train(net, side))
    _load(net, WEIGHTS)
    for mode, share in _accuracy(net, side, 1000).items():
        print(f"{mode}: {share:.1%} of 1000 pictures of seed {HELD_OUT_SEED}")


if __name__ == "__main__":
    main()
