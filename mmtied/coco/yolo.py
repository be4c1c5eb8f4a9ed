"""YOLO's labels as Ultralytics reads them: a text file an image, ``class x y w h`` or a polygon in each line.

Coordinates are shares of the image's sides, so each image's size is read from the header of its file. An image without
a label file has no instance.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from ..utils.errors import InputError
from .columns import as_text, shown
from .other_truth import Content, OtherTruth, find_pictures, numbers, read_text, size_of, stem_in

SPLITS = ('val', 'test', 'train')  # the first that a data.yaml has is evaluated
NO_LABELS = ('classes', 'labels', 'names', 'obj', 'train', 'val', 'test', 'readme')  # text files beside the labels
OUTSIDE = 0.01  # how far beyond the image Ultralytics lets a coordinate lie


@dataclass(frozen=True)
class YoloSet:
    """Where labels and images are.

    Attributes:
        labels: By their path without the suffix.
        images: The same of the images, all that are evaluated.
        image_dir: Folder that the images' names are relative to.
        names: The classes; None if no file names them.
        keypoints: Whether lines have keypoints behind the box.
    """

    labels: dict[str, Path]
    images: dict[str, Path]
    image_dir: Path
    names: list[str] | None
    keypoints: bool = False


def read_yolo(found: YoloSet, source: Path, quiet: bool = True) -> OtherTruth:
    """Read YOLO's labels.

    Args:
        found: Where they are.
        source: The path that was given, for messages.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        InputError: If a line is not YOLO's, or labels have no image; the message names the file and the line.
    """
    content = Content(source)
    orphans = [path for stem, path in found.labels.items() if stem not in found.images]
    orphans = [path for path in orphans if path.stem.lower() not in NO_LABELS]
    if orphans and len(orphans) == len(found.labels):
        raise InputError(
            f"{orphans[0]}: has no image in {found.image_dir}; labels are shares of the image's sides: give the folder "
            'of the images with --image-dir (image_dir=...)'
        )
    if orphans:
        text = f'label files without an image (such as {orphans[0].name}) are left out, as Ultralytics does'
        content.note('label_without_image', len(orphans), text)
    doubles = 0
    largest = -1
    for stem, picture in tqdm(found.images.items(), source.name, disable=quiet, delay=1, leave=False):
        width, height = size_of(picture)
        content.add_image(stem, file_name=picture.relative_to(found.image_dir).as_posix(), size=(width, height))
        lines = read_text(found.labels[stem]).splitlines() if stem in found.labels else []
        seen = set()
        for i, line in enumerate(lines, start=1):
            values = tuple(line.split())
            if not values:
                continue
            if values in seen:
                doubles += 1
                continue
            seen.add(values)
            where = f'{found.labels[stem]}:{i}'
            index, shares = _checked(values, where, found.keypoints)
            if found.names is not None and index >= len(found.names):
                raise InputError(f'{where}: class {index} is not among the {len(found.names)} classes, counted from 0')
            largest = max(largest, index)
            if len(shares) == 4:
                x, y, w, h = shares
                corners = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height]
                polygons = None
            else:
                points = [share * (height if k % 2 else width) for k, share in enumerate(shares)]
                corners = [min(points[::2]), min(points[1::2]), max(points[::2]), max(points[1::2])]
                polygons = [points]
            name = str(index) if found.names is None else found.names[index]
            content.add(stem, name=name, corners=corners, where=where, segmentation=polygons)
    content.note('double_label', doubles, 'lines that repeat another of their image are left out, as Ultralytics does')
    names = found.names or [str(index) for index in range(largest + 1)]
    return content.finish(names, order=names)


def find_set(path: Path, image_dir: Path | None, classes: Sequence[str] | None) -> YoloSet:
    """Find labels and images of a folder of labels, of a folder that holds ``labels``, or of a ``data.yaml``.

    Args:
        path: One of the three.
        image_dir: Folder of the images. Defaults to None: ``images`` where the labels' path has ``labels``.
        classes: Names of the classes, if no file has them.

    Raises:
        InputError: If there are none.
    """
    if path.suffix in ('.yaml', '.yml'):
        return _of_yaml(path, image_dir, classes)
    listing = next((path / name for name in ('data.yaml', 'data.yml') if (path / name).is_file()), None)
    if listing is not None and not label_files(path):
        return _of_yaml(listing, image_dir, classes)
    folder = path if label_files(path) or not (path / 'labels').is_dir() else path / 'labels'
    images = image_dir or images_beside(folder)
    names = _names_beside(folder) or (list(classes) if classes else None)
    return YoloSet(_labels_in(folder), find_pictures(images), image_dir=images, names=names)


def label_files(folder: Path) -> list[Path]:
    """Return the label files that lie in a folder itself."""
    return sorted(path for path in folder.glob('*.txt') if path.stem.lower() not in NO_LABELS)


def images_beside(folder: Path) -> Path:
    """Return the folder of the images of a folder of labels: its last ``labels`` is ``images``, else itself."""
    folder = folder.absolute()
    for i in reversed(range(len(folder.parts))):
        if folder.parts[i] == 'labels':
            return Path(*folder.parts[:i], 'images', *folder.parts[i + 1 :])
    return folder


def read_names(path: Path) -> list[str]:
    """Return the names of classes in a ``data.yaml``.

    Raises:
        InputError: If there are none.
    """
    return _names(_read_yaml(path), path)


def _of_yaml(path: Path, image_dir: Path | None, classes: Sequence[str] | None) -> YoloSet:
    data = _read_yaml(path)
    names = _names(data, path) if data.get('names') else list(classes) if classes else None
    split = next((name for name in SPLITS if data.get(name)), None)
    if split is None:
        raise InputError(f'{path}: names no images, under val, test or train')
    root = path.parent / str(data.get('path') or '')
    if not root.is_dir():  # Ultralytics looks for it in its own folder of data sets.
        root = path.parent
    parts = data[split] if isinstance(data[split], list) else [data[split]]
    places = [image_dir] if image_dir else [_place(root, str(part), f'{path}: {split}') for part in parts]
    base = places[0] if len(places) == 1 and places[0].is_dir() else root
    pictures = [picture for place in places for picture in _pictures_of(place)]
    images = {stem_in(base, picture): picture for picture in pictures}
    labels = {stem: labels_beside(picture) for stem, picture in images.items()}
    labels = {stem: label for stem, label in labels.items() if label.is_file()}
    for place in filter(Path.is_dir, places):
        folder = labels_beside(place / 'any').parent
        labels |= {stem_in(base, place / f'{stem}.txt'): label for stem, label in _labels_in(folder).items()}
    return YoloSet(
        labels,
        images,
        image_dir=base,
        names=names,
        keypoints=bool(data.get('kpt_shape')),
    )


def _place(root: Path, part: str, where: str) -> Path:
    """Return the folder of images, or the text file that lists them, that a ``data.yaml`` means."""
    places = (root / part, root / part.removeprefix('../'))  # Roboflow writes paths from a folder beside it.
    place = next((place for place in places if place.exists()), None)
    if place is None:
        raise InputError(f'{where}: there is no {root / part}; give the folder of the images with --image-dir')
    return place


def _pictures_of(place: Path) -> list[Path]:
    if place.is_dir():
        return list(find_pictures(place).values())
    lines = [line.strip() for line in read_text(place).splitlines() if line.strip()]
    pictures = [place.parent / line for line in lines]
    absent = next((picture for picture in pictures if not picture.is_file()), None)
    if absent is not None:
        raise InputError(f'{place}: lists {absent}, which is not there')
    return pictures


def labels_beside(picture: Path) -> Path:
    """Return the label file of an image: ``labels`` in place of the last ``images`` of its path."""
    parts = picture.absolute().parts
    for i in reversed(range(len(parts) - 1)):
        if parts[i] == 'images':
            return Path(*parts[:i], 'labels', *parts[i + 1 :]).with_suffix('.txt')
    return picture.with_suffix('.txt')


def _labels_in(folder: Path) -> dict[str, Path]:
    return {stem_in(folder, path): path for path in sorted(folder.rglob('*.txt'))}


def _names_beside(folder: Path) -> list[str] | None:
    """Return the classes of a ``classes.txt`` or ``data.yaml`` in the folder of labels or one of the two above it."""
    for place in (folder, *list(folder.absolute().parents)[:2]):
        for name in ('data.yaml', 'data.yml', 'dataset.yaml'):
            if (place / name).is_file():
                return read_names(place / name)
        for name in ('classes.txt', 'obj.names'):
            if (place / name).is_file():
                return [line.strip() for line in read_text(place / name).splitlines() if line.strip()]
    return None


def _names(data: dict[str, Any], path: Path) -> list[str]:
    names = data.get('names')
    if isinstance(names, dict):
        if set(names) != set(range(len(names))):
            raise InputError(f'{path}: names must number the classes 0, 1, 2, …, found {shown(list(names))}')
        names = [names[i] for i in range(len(names))]
    if not isinstance(names, list) or not names:
        raise InputError(f'{path}: has no names of classes')
    names = [as_text(name).strip() for name in names]
    if '' in names:
        raise InputError(f'{path}: class {names.index("")} has no name')
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise InputError(f'{path}: the class {shown(twice)} is named twice')
    return names


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise InputError(f'{path}: reading it needs pyyaml (pip install pyyaml)') from error
    try:
        data = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise InputError(f'{path}: not valid yaml: {" ".join(str(error).split())}') from error
    if not isinstance(data, dict):
        raise InputError(f'{path}: must hold names and val, found {type(data).__name__}')
    return data


def _checked(values: Sequence[str], where: str, keypoints: bool) -> tuple[int, list[float]]:
    """Return the class and the box, or the polygon, of a line."""
    right = 'a line is a class and x, y, width, height, or a class and the points of a polygon'
    if len(values) < 5 or (len(values) % 2 == 0 and not keypoints):
        hint = ': with a score it is a detection' if len(values) == 6 else ''
        raise InputError(f'{where}: {right}, found {len(values)} values{hint}')
    index, *shares = numbers(values[:5] if keypoints else values, where, f'{right}, all numbers')
    if index < 0 or index != int(index):
        raise InputError(f'{where}: the class is {shown(values[0])}, it must be a whole number from 0 up')
    if min(shares) < -OUTSIDE or max(shares) > 1 + OUTSIDE:
        found = f'{min(shares):g} to {max(shares):g}'
        raise InputError(f"{where}: coordinates are shares of the image's sides from 0 to 1, found {found}")
    if len(shares) == 4 and min(shares[2:]) < 0:
        raise InputError(f'{where}: width and height must not be negative')
    return int(index), shares
