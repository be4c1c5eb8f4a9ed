"""What every format is read into: images, classes by name and boxes, written as COCO's json has them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from ..utils.errors import InputError
from .columns import FARTHEST, as_text, shown
from .data import Note

ORIENTATION = 0x0112  # EXIF's tag; from 5 on the picture lies on its side
PICTURES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp', '.tif', '.tiff')


@dataclass(frozen=True)
class OtherTruth:
    """A ground truth of another format.

    Attributes:
        data: What COCO's json would hold of it; images and classes have text as ids.
        order: Names of the classes in the order in which numbers count them; None if the format names its classes.
        notes: What was taken otherwise than it stands in the files.
    """

    data: dict[str, Any]
    order: list[str] | None
    notes: tuple[Note, ...]


class Content:
    """A ground truth that is put together image by image.

    Args:
        source: The path that was given, for messages.
    """

    def __init__(self, source: Path) -> None:
        self.source = source
        self.images: dict[str, dict[str, Any]] = {}
        self.annotations: list[dict[str, Any]] = []
        self.notes: list[Note] = []

    def add_image(self, stem: str, file_name: str, size: tuple[int, int] | None) -> None:
        """Add an image.

        Args:
            stem: Its id.
            file_name: Relative to the folder of images.
            size: Width and height; None if they are not known.
        """
        self.images[stem] = {'id': stem, 'file_name': file_name}
        if size is not None:
            self.images[stem] |= {'width': size[0], 'height': size[1]}

    def add(self, stem: str, name: str, corners: Sequence[float], where: str, **more: Any) -> None:
        """Add an instance.

        Args:
            stem: Of its image.
            name: Of its class.
            corners: x and y of the first corner, then of the second, in pixels.
            where: File and place of it, for messages.
            **more: Other keys of the annotation; None for those that are not known.

        Raises:
            InputError: If the corners make no box.
        """
        x0, y0, x1, y1 = corners
        if x1 < x0 or y1 < y0:
            raise InputError(f'{where}: the box from ({x0:g}, {y0:g}) to ({x1:g}, {y1:g}) ends before it begins')
        if max(map(abs, corners)) > FARTHEST:
            raise InputError(f'{where}: the box must lie within {FARTHEST:,} pixels')
        box = [x0, y0, x1 - x0, y1 - y0]
        entry = {'id': len(self.annotations) + 1, 'image_id': stem, 'category_id': name, 'bbox': box}
        known = {key: value for key, value in more.items() if value is not None}
        self.annotations.append(entry | {'area': box[2] * box[3], 'iscrowd': 0} | known)

    def note(self, kind: str, count: int, text: str) -> None:
        """Say what was taken otherwise than it stands in the files, if there is any."""
        if count:
            self.notes.append(Note(kind, count, f'{self.source}: {text}: {count:,}.'))

    def finish(
        self, names: Sequence[str], order: Sequence[str] | None = None, titles: Mapping[str, str] | None = None
    ) -> OtherTruth:
        """Return what was put together.

        Args:
            names: The classes.
            order: The same in the order in which numbers count them. Defaults to None: nothing says it.
            titles: What the classes are called, where their names are no words. Defaults to None: by their names.
        """
        if not self.images:
            raise InputError(f'{self.source}: holds no image, so there is nothing to evaluate')
        if not names:
            raise InputError(f'{self.source}: holds no instance, and no list of classes says what could be found')
        categories = [{'id': name, 'name': (titles or {}).get(name, name)} for name in names]
        data = {'images': list(self.images.values()), 'categories': categories, 'annotations': self.annotations}
        return OtherTruth(data, None if order is None else list(order), notes=tuple(self.notes))


def all_classes(names: Iterable[str], standard: Sequence[str]) -> list[str]:
    """Return the classes of a format that names them: those of its benchmark if no other occurs, else all that do."""
    names = set(names)
    return list(standard) if names <= set(standard) else sorted(names)


def numbers(values: Sequence[Any], where: str, what: str) -> list[float]:
    """Return texts as finite numbers, or raise an error that says what they should be."""
    found = []
    for value in values:
        try:
            found.append(float(value))
        except (TypeError, ValueError):
            found.append(math.nan)
        if not math.isfinite(found[-1]):
            raise InputError(f'{where}: {what}, found {"nothing" if value is None else shown(value) or "nothing"}')
    return found


def read_text(path: Path) -> str:
    """Return the text of a file."""
    try:
        return path.read_text(encoding='utf-8-sig')
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise InputError(f'{path}: is not text') from error


def find_pictures(folder: Path) -> dict[str, Path]:
    """Return the pictures in a folder and those below it, by their path in it without the suffix."""
    found = sorted(path for path in folder.rglob('*') if path.suffix.lower() in PICTURES)
    return {stem_in(folder, path): path for path in found}


def pictures_by_stem(folder: Path) -> dict[str, Path]:
    """Return the pictures in a folder and those below it, by the stem of their name."""
    return {as_text(path.stem): path for path in find_pictures(folder).values()}


def stem_in(folder: Path, path: Path) -> str:
    """Return a file's path in a folder without the suffix, which is the stem of a file that lies in it directly."""
    return as_text(path.relative_to(folder).with_suffix('').as_posix())


def size_of(path: Path) -> tuple[int, int]:
    """Return width and height of a picture, from its header alone, turned as its camera says.

    Raises:
        InputError: If it cannot be read.
    """
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            lies = picture.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InputError(f'{path}: not a readable image, so its size is not known') from error
    return (height, width) if lies else (width, height)
