"""Ground truth in other formats than COCO's json: which one it is, told by what the path holds, and its content.

hotcoco converts three of the formats as well, and the tests hold the boxes to it. It drops what is kept here
(``occluded``, ``truncated``, images without a label file), and takes VOC's difficult objects for crowd regions.
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeGuard

from ..utils.errors import InputError
from .kitti import looks_like_kitti, read_kitti
from .open_images import read_open_images
from .other_truth import OtherTruth, read_text
from .voc import read_voc
from .yolo import find_set, label_files, read_yolo

KNOWN = (
    "COCO's json, a folder of Pascal VOC (Annotations/*.xml), KITTI (label_2/*.txt) or YOLO (labels/*.txt), a list of "
    "VOC's or KITTI's ImageSets (.txt), a data.yaml of Ultralytics, or Open Images' csv"
)
# Where lists of images have their labels, from a folder above the list, and how these end.
LISTED = {'Annotations': '.xml', 'training/label_2': '.txt'}


def is_other_format(source: Any) -> TypeGuard[str | PathLike]:
    """Return whether a ground truth is a folder, or a file of another format than json."""
    if not isinstance(source, (str, PathLike)):
        return False
    return Path(source).is_dir() or Path(source).suffix.lower() in ('.csv', '.txt', '.xml', '.yaml', '.yml')


def read_other_format(
    source: str | PathLike,
    image_dir: str | PathLike | None = None,
    classes: Sequence[str] | None = None,
    quiet: bool = True,
) -> OtherTruth:
    """Return a ground truth of another format as COCO's json would hold it.

    Args:
        source: A folder of Pascal VOC, KITTI or YOLO, or of their label files; a list of ``ImageSets``; Ultralytics'
            ``data.yaml``; Open Images' csv.
        image_dir: Folder of the images. Defaults to None: where the format has them, if it has a place for them.
        classes: Names of classes beside those that occur; where YOLO's labels have no names, theirs. Defaults to None.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        InputError: If it is none of these, or cannot be evaluated; the message names the file and the line.
    """
    path = Path(source)
    if not path.exists():
        raise InputError(f'{path}: cannot be read: No such file or directory')
    images = None if image_dir is None else Path(image_dir)
    if images is not None and not images.is_dir():
        raise InputError(f'image_dir: {images} is not a folder')
    truth = _read(path, images, classes=classes, quiet=quiet)
    categories = truth.data['categories']
    known = {category[key].casefold() for category in categories for key in ('id', 'name')}
    categories += [{'id': name, 'name': name} for name in classes or () if name.casefold() not in known]
    return truth


def _read(path: Path, images: Path | None, classes: Sequence[str] | None, quiet: bool) -> OtherTruth:
    suffix = path.suffix.lower()
    if path.is_dir():
        return _read_folder(path, images, classes=classes, quiet=quiet)
    if suffix == '.csv':
        return read_open_images(path, images, quiet)
    if suffix in ('.yaml', '.yml'):
        return read_yolo(find_set(path, images, classes), path, quiet)
    if suffix == '.txt':
        return _read_list(path, images, quiet)
    raise InputError(f'{path}: a ground truth is {KNOWN}')


def _read_folder(path: Path, images: Path | None, classes: Sequence[str] | None, quiet: bool) -> OtherTruth:
    for folder in (path / 'Annotations', path):
        files = sorted(folder.glob('*.xml'))
        if files:
            return read_voc(folder, images, files=files, source=path, quiet=quiet)
    for folder in (path / 'training' / 'label_2', path / 'label_2', path):
        files = label_files(folder)
        if files and (folder.name == 'label_2' or looks_like_kitti(files)):
            return read_kitti(folder, images, files=files, source=path, quiet=quiet)
    if label_files(path) or (path / 'labels').is_dir() or (path / 'data.yaml').is_file():
        return read_yolo(find_set(path, images, classes), path, quiet)
    raise InputError(f'{path}: holds no labels; a ground truth is {KNOWN}')


def _read_list(path: Path, images: Path | None, quiet: bool) -> OtherTruth:
    """Read the labels of the images whose stems a file of ``ImageSets`` lists, the first word of each line."""
    stems = [line.split()[0] for line in read_text(path).splitlines() if line.strip()]
    for above in path.absolute().parents:
        for name, suffix in LISTED.items():
            folder = above / name
            if folder.is_dir():
                read = read_voc if suffix == '.xml' else read_kitti
                files = [folder / f'{stem}{suffix}' for stem in stems]
                return read(folder, images, files=files, source=path, quiet=quiet)
    raise InputError(f'{path}: no folder above it has {" or ".join(LISTED)}, the labels of the images that it lists')
