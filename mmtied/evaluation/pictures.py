"""The pictures of a ground truth, opened for drawing over them."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from .coco_input import InputError


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
    file = Path(image_dir) / image['file_name']
    try:
        with Image.open(file) as picture:
            return picture.convert('RGB')
    except FileNotFoundError as error:
        raise InputError(f'{file}: no such image; is the image folder right?') from error
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise InputError(f'{file}: not a readable image') from error
