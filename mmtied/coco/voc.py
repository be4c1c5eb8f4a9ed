"""Pascal VOC's xml: a file an image, coordinates that count from 1 and include the last pixel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from tqdm import tqdm

from ..utils.errors import InputError
from .columns import as_text, shown
from .other_truth import Content, OtherTruth, all_classes, numbers, pictures_by_stem, size_of

CLASSES = (
    *('aeroplane', 'bicycle', 'bird', 'boat', 'bottle', 'bus', 'car', 'cat', 'chair', 'cow', 'diningtable', 'dog'),
    *('horse', 'motorbike', 'person', 'pottedplant', 'sheep', 'sofa', 'train', 'tvmonitor'),
)
FLAGS = {'0': False, '1': True, 'false': False, 'true': True}


def read_voc(
    folder: Path, image_dir: Path | None, files: Sequence[Path], source: Path, quiet: bool = True
) -> OtherTruth:
    """Read Pascal VOC's annotations.

    ``difficult`` objects are ignored; ``truncated`` and ``occluded`` are kept as true or false, ``pose`` as it is and
    CVAT's ``attributes`` by their names.

    Args:
        folder: Of the xml files.
        image_dir: Folder of the images. Defaults to None: ``JPEGImages`` beside the xml files.
        files: The xml files to read.
        source: The path that was given, for messages.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        InputError: If a file is not VOC's; the message names it and the object.
    """
    images = image_dir or folder.parent / 'JPEGImages'
    pictures = pictures_by_stem(images)
    content = Content(source)
    for path in tqdm(files, source.name, disable=quiet, delay=1, leave=False):
        try:
            root = ElementTree.fromstring(path.read_bytes())
        except OSError as error:
            raise InputError(f'{path}: cannot be read: {error.strerror}') from error
        except (ElementTree.ParseError, LookupError, ValueError) as error:
            raise InputError(f'{path}: is not xml: {error}') from error
        if root.tag != 'annotation':
            raise InputError(f"{path}: VOC's files hold an <annotation>, found <{shown(root.tag)}>")
        stem = as_text(path.stem)
        picture = pictures.get(stem)
        if picture is None:
            name = as_text(_text(root, 'filename') or f'{stem}.jpg')
        else:
            name = picture.relative_to(images).as_posix()
        content.add_image(stem, file_name=name, size=_size(root, path) or (size_of(picture) if picture else None))
        for i, found in enumerate(root.findall('object'), start=1):
            _add(content, stem, found=found, where=f'{path}: object {i}')
    names = {entry['category_id'] for entry in content.annotations}
    # Results of a part of its classes may number these alone.
    return content.finish(all_classes(names, CLASSES), order=CLASSES if names == set(CLASSES) else None)


def _add(content: Content, stem: str, found: ElementTree.Element, where: str) -> None:
    name = _text(found, 'name')
    if not name:
        raise InputError(f'{where}: has no <name>')
    box = found.find('bndbox')
    if box is None:
        raise InputError(f'{where}: has no <bndbox>')
    corners = []
    for key in ('xmin', 'ymin', 'xmax', 'ymax'):
        corners += numbers([_text(box, key)], where, f'<{key}> must be a number of pixels')
    difficult = _flag(found, 'difficult', where)
    attributes = {
        _text(one, 'name'): FLAGS.get(_text(one, 'value').lower(), _text(one, 'value'))
        for one in found.findall('attributes/attribute')
    }
    content.add(
        stem,
        name=as_text(name),
        corners=[corners[0] - 1, corners[1] - 1, corners[2], corners[3]],
        where=where,
        ignore=int(bool(difficult)),
        truncated=_flag(found, 'truncated', where),
        occluded=_flag(found, 'occluded', where),
        pose=_text(found, 'pose') or None,
        attributes=attributes or None,
    )


def _size(root: ElementTree.Element, path: Path) -> tuple[int, int] | None:
    """Return width and height of the image; None where the file leaves them out or says 0."""
    size = root.find('size')
    if size is None:
        return None
    sides = [_text(size, key) for key in ('width', 'height')]
    width, height = numbers([side or 0 for side in sides], f'{path}: <size>', 'width and height must be numbers')
    return (int(width), int(height)) if width >= 1 and height >= 1 else None


def _flag(found: ElementTree.Element, key: str, where: str) -> bool | None:
    text = _text(found, key).lower()
    if text in ('', 'unspecified'):
        return None
    if text not in FLAGS:
        raise InputError(f'{where}: <{key}> is {shown(text)}, it must be 0 or 1')
    return FLAGS[text]


def _text(element: ElementTree.Element, key: str) -> str:
    return (element.findtext(key) or '').strip()
