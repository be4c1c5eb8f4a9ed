"""Pictures on disk, opened for drawing over them, and as text in a page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .errors import InputError


def open_picture(image_dir: str | Path, image: dict) -> Image.Image:
    """Return an image in RGB.

    Args:
        image_dir: Folder of the ground truth's ``file_name``.
        image: Entry of the ground truth.

    Raises:
        InputError: If the entry names no file, or the file is not there or cannot be read.
    """
    if not image['file_name']:
        raise InputError(f"image {image['id']} of the ground truth has no 'file_name', so it cannot be drawn")
    return read_picture(Path(image_dir) / image['file_name'])


def drawn_size(picture: Image.Image, image: dict) -> tuple[int, int]:
    """Return width and height that annotations refer to: those of the ground truth's entry, else the picture's."""
    return (image['width'], image['height']) if {'width', 'height'} <= set(image) else picture.size


def scaling(picture: Image.Image, image: dict) -> str:
    """Say that a picture has another size than its entry in the ground truth; '' where it has the same."""
    width, height = drawn_size(picture, image)
    if picture.size == (width, height):
        return ''
    return f'scaled: the picture is {picture.width}x{picture.height}, the ground truth says {width}x{height}'


def read_picture(file: str | Path) -> Image.Image:
    """Return a picture file in RGB, turned as its camera says, which is how OpenCV and labelling tools show it.

    Raises:
        InputError: If it is not there or cannot be read.
    """
    try:
        with Image.open(file) as opened:
            picture: Image.Image = ImageOps.exif_transpose(opened)
            if picture.mode.startswith('I'):  # 16 bits, of which converting would keep the lowest 8
                picture = Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
            return picture.convert('RGB')
    except FileNotFoundError as error:
        raise InputError(f'{file}: no such image; is the image folder right?') from error
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f'{file}: not a readable image') from error


def data_uri(picture: Image.Image, longest: int) -> str:
    """Return a picture as text that a page can hold, made smaller where a side has more pixels than ``longest``."""
    picture = picture.copy()
    picture.thumbnail((longest, longest))
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG', quality=80)
    return f'data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}'
