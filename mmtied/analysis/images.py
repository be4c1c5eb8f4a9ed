"""The images of a folder, as pixels that networks take."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.datasets.folder import IMG_EXTENSIONS
from torchvision.transforms.v2 import functional as F
from tqdm import tqdm

from ..utils.pictures import read_picture

CROP = 7 / 8  # of the shorter side, as in the usual 224 of 256


def image_files(folder: str | Path, count: int | None = None, seed: int = 0) -> list[Path]:
    """Return the image files of a folder and of those in it, sorted.

    Args:
        folder: Where to look.
        count: How many at most, chosen at random. Defaults to None: all.
        seed: Of the choice. Defaults to 0.

    Raises:
        ValueError: If there is no such folder, or no image in it.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f'{folder}: no such folder of images')
    files = sorted(path for path in folder.rglob('*') if path.suffix.lower() in IMG_EXTENSIONS and path.is_file())
    files = [path for path in files if not path.name.startswith('.')]  # what other systems leave beside images
    if not files:
        raise ValueError(f'{folder}: holds no image; the endings looked for are {", ".join(IMG_EXTENSIONS)}')
    if count is not None and count < len(files):
        files = [files[index] for index in sorted(np.random.default_rng(seed).permutation(len(files))[:count])]
    return files


def crop(picture: Image.Image, size: int) -> Image.Image:
    """Return the middle of a picture, size x size pixels, as classifiers are tested on."""
    shorter = round(size / CROP)
    return F.center_crop(F.resize(picture, [shorter], antialias=True), [size, size])


def read_pixels(files: Sequence[Path], size: int, quiet: bool = True) -> Tensor:
    """Return the middles of pictures, (N, 3, size, size) in RGB from 0 to 255.

    Raises:
        InputError: If one cannot be read.
    """
    pixels = torch.empty(len(files), 3, size, size, dtype=torch.uint8)
    for row, file in zip(pixels, tqdm(files, 'images', disable=quiet, delay=1)):
        row.copy_(F.pil_to_tensor(crop(read_picture(file), size)))
    return pixels
