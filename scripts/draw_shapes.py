#!/usr/bin/env python3
"""Draw labelled pictures of ten kinds of shape, the same pictures for the same seed.

    python scripts/draw_shapes.py OUTDIR --count N --seed S    # 0001.arrow.png, ..., shapes.list
    python scripts/draw_shapes.py OUTDIR --folders             # arrow/0001.png, ...: a folder for each kind
    python scripts/draw_shapes.py data --samples               # star.png and the other samples

The kind is a word of each file's name, where `valid` looks for it; shapes.list holds one path a line.
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

KINDS = ("arrow", "circle", "crescent", "cross", "flower", "heart", "ring", "square", "star", "triangle")
BACKGROUNDS = ("plain", "gradient", "noise", "stripes", "checker")
# kind: seed, (width, height), background
SAMPLES = {
    "arrow": (35833, (224, 160), "stripes"),
    "crescent": (4265, (224, 168), "gradient"),
    "flower": (18030, (200, 200), "checker"),
    "heart": (46439, (176, 240), "plain"),
    "star": (30311, (240, 180), "gradient"),
}
OVERSAMPLING = 4
MIN_SIDE, MAX_SIDE, MAX_ASPECT = 48, 160, 1.6  # pixels, pixels, longer side over shorter
MIN_CONTRAST = 130  # Euclidean distance in RGB between the shape and its background


def _polar(radius: np.ndarray | float, angle: np.ndarray) -> np.ndarray:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _outline(kind: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Return the polygon to fill and, for some kinds, one to cut out of it: (points, 2), in the unit disc."""
    turn = np.linspace(0, 2 * np.pi, 240, endpoint=False)
    if kind == "arrow":
        shaft, head, neck = rng.uniform(0.14, 0.24), rng.uniform(0.55, 0.72), rng.uniform(-0.05, 0.25)
        half = [(1, 0), (neck, head), (neck, shaft), (-0.95, shaft)]
        return [np.array(half + [(x, -y) for x, y in half[:0:-1]])]
    if kind == "circle":
        return [_polar(1, turn)]
    if kind == "crescent":
        shift = np.array([rng.uniform(0.42, 0.55), 0])
        return [_polar(1, turn), _polar(rng.uniform(0.75, 0.9), turn) + shift]
    if kind == "cross":
        a = rng.uniform(0.2, 0.34)
        b = np.sqrt(1 - a * a)
        arm = np.array([(b, -a), (b, a), (a, a)])
        quarter = np.array([[0, 1], [-1, 0]])
        return [np.concatenate([arm @ np.linalg.matrix_power(quarter, n) for n in range(4)])]
    if kind == "flower":
        petals, depth = rng.integers(5, 8), rng.uniform(0.4, 0.5)
        return [_polar(1 - depth + depth * np.abs(np.cos(petals * turn / 2)), turn)]
    if kind == "heart":
        x = 16 * np.sin(turn) ** 3
        y = 13 * np.cos(turn) - 5 * np.cos(2 * turn) - 2 * np.cos(3 * turn) - np.cos(4 * turn)
        return [np.stack([x, -y - 2.5], axis=-1) / 18.3]
    if kind == "ring":
        return [_polar(1, turn), _polar(rng.uniform(0.5, 0.75), turn)]
    if kind == "square":
        return [_polar(1, np.arange(4) * np.pi / 2)]
    if kind == "star":
        radius = np.where(np.arange(10) % 2, rng.uniform(0.36, 0.46), 1)
        return [_polar(radius, np.arange(10) * np.pi / 5)]
    if kind == "triangle":
        return [_polar(1, np.array([0, 1, 2]) * 2 * np.pi / 3 + rng.uniform(-0.15, 0.15, 3))]
    raise ValueError(f"no such kind of shape: {kind!r} (one of {', '.join(KINDS)})")


def _colours(rng: np.random.Generator) -> np.ndarray:
    """Return two colours of a background and a shape's that stands out from both and their mean: (3, 3)."""
    while True:
        ground = rng.uniform(0, 255, 3)
        other = np.clip(ground + rng.uniform(-60, 60, 3), 0, 255)
        shape = rng.uniform(0, 255, 3)
        if all(np.linalg.norm(shape - c) >= MIN_CONTRAST for c in (ground, (ground + other) / 2, other)):
            return np.stack([ground, other, shape])


def _pattern(background: str, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """Return how much of the background's second colour each pixel takes: (height, width), 0 to 1."""
    angle, phase = rng.uniform(0, 2 * np.pi), rng.uniform(0, 2 * np.pi, 2)
    y, x = np.mgrid[:height, :width]
    u, v = np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x
    if background == "plain":
        return np.zeros((height, width))
    if background == "gradient":
        return (u - u.min()) / (u.max() - u.min())
    if background == "noise":
        return rng.uniform(0, 1, (height, width))
    frequency = 2 * np.pi / (min(width, height) * rng.uniform(0.12, 0.4))
    wave = np.sin(frequency * u + phase[0])
    if background == "checker":
        wave = wave * np.sin(frequency * v + phase[1])
    return np.clip(0.5 + wave / (2 * frequency), 0, 1)  # edges about a pixel wide


def draw(kind: str, rng: np.random.Generator, size: tuple[int, int], background: str = "") -> Image.Image:
    """Draw one shape in a random colour, size, rotation and place.

    Parameters
    ----------
    kind : str
        One of `KINDS`.
    rng : numpy.random.Generator
        Source of everything that varies.
    size : tuple of int
        Width and height in pixels. The shape lies wholly inside the middle square.
    background : str, optional
        One of `BACKGROUNDS`; a random one where empty.

    Returns
    -------
    PIL.Image.Image
        RGB picture of that size.
    """
    width, height = size
    side = min(size)
    radius = side * rng.uniform(0.3, 0.47)
    slack = max(0, side / 2 - radius - 1)
    centre = np.array(size) / 2 + rng.uniform(-slack, slack, 2)
    angle = rng.uniform(0, 2 * np.pi)
    rotation = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])

    mask = Image.new("L", (width * OVERSAMPLING, height * OVERSAMPLING))
    pen = ImageDraw.Draw(mask)
    for fill, polygon in zip((255, 0), _outline(kind, rng), strict=False):
        points = (polygon @ rotation * radius + centre) * OVERSAMPLING
        pen.polygon([tuple(p) for p in points], fill=fill)
    cover = np.asarray(mask.reduce(OVERSAMPLING), np.float64)[..., None] / 255

    ground, other, colour = _colours(rng)
    share = _pattern(background or str(rng.choice(BACKGROUNDS)), rng, width, height)[..., None]
    pixels = (ground + share * (other - ground)) * (1 - cover) + colour * cover
    return Image.fromarray(np.round(pixels).astype(np.uint8))


def picture(seed: int, index: int) -> tuple[str, Image.Image]:
    """Draw picture `index` of a seed's series, whatever others are drawn.

    Parameters
    ----------
    seed, index : int
        Which series and which picture of it; the kinds take turns.

    Returns
    -------
    kind : str
        One of `KINDS`.
    image : PIL.Image.Image
        RGB picture with sides of `MIN_SIDE` to `MAX_SIDE` pixels.
    """
    rng = np.random.default_rng([seed, index])
    shorter = int(rng.integers(MIN_SIDE, MAX_SIDE + 1))
    longer = min(MAX_SIDE, int(shorter * max(1, rng.uniform(0.8, MAX_ASPECT))))
    size = (shorter, longer) if rng.random() < 0.5 else (longer, shorter)
    kind = KINDS[index % len(KINDS)]
    return kind, draw(kind, rng, size)


def letterboxed(image: Image.Image) -> Image.Image:
    """Return the picture in the middle of a grey square, as ``--preprocess letterbox`` fits it."""
    side = max(image.size)
    square = Image.new("RGB", (side, side), (128, 128, 128))
    square.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return square


def _named(args: argparse.Namespace) -> Iterator[tuple[str, Image.Image]]:
    if args.samples:
        for kind, (number, size, background) in SAMPLES.items():
            yield f"{kind}.png", draw(kind, np.random.default_rng(number), size, background)
        return
    for index in range(args.count):
        kind, image = picture(args.seed, index)
        if args.letterbox and index % args.letterbox == 0:
            image = letterboxed(image)
        yield f"{kind}/{index + 1:04d}.png" if args.folders else f"{index + 1:04d}.{kind}.png", image


def main() -> None:
    """Write the pictures and their list."""
    parser = argparse.ArgumentParser(description="Draw labelled pictures of shapes.")
    parser.add_argument("outdir", type=Path, help="folder to write to, made where missing")
    parser.add_argument("--count", type=int, default=100, help="how many pictures (100)")
    parser.add_argument("--seed", type=int, default=0, help="which series of pictures (0)")
    parser.add_argument("--folders", action="store_true", help="a folder for each kind, no list")
    parser.add_argument("--letterbox", type=int, default=0, metavar="N", help="every N-th in a grey square (none)")
    parser.add_argument("--samples", action="store_true", help="write the sample pictures instead")
    args = parser.parse_args()
    args.outdir.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, image in _named(args):
        paths.append(args.outdir / name)
        paths[-1].parent.mkdir(exist_ok=True)
        image.save(paths[-1], optimize=args.samples)
    if not args.folders:
        listed = "".join(f"{path.as_posix()}\n" for path in paths)
        (args.outdir / "shapes.list").write_bytes(os.fsencode(listed))


if __name__ == "__main__":
    main()
