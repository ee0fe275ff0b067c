"""Pictures of the size of most of ImageNet's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 500, 375  # of most of ImageNet's
QUALITY = 92  # a JPEG of some 109 KB


def draw(folder: Path, count: int) -> list[Path]:
    """Draw `count` JPEGs into `folder`: noise at several scales, as textured as photographs are."""
    numbers, paths = np.random.default_rng(0), []
    for number in range(count):
        pixels = np.ones((HEIGHT, WIDTH, 1)) * numbers.uniform(48, 208, 3)  # so that answers differ, too
        for cell, height in ((100, 40), (25, 30), (6, 25), (2, 20), (1, 8)):
            noise = numbers.integers(0, 256, (HEIGHT // cell + 1, WIDTH // cell + 1, 3), np.uint8)
            spread = Image.fromarray(noise).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC)
            pixels += (np.asarray(spread, np.float64) - 128) * height / 64
        paths.append(folder / f"{number}.jpg")
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(paths[-1], quality=QUALITY)
    return paths
