"""Open Images' csv of boxes: a row a box, coordinates as shares of the image's sides."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from tqdm import tqdm

from ..utils.errors import InputError
from .columns import as_text, shown
from .other_truth import Content, OtherTruth, numbers, pictures_by_stem, read_text, size_of

BOX = ('XMin', 'YMin', 'XMax', 'YMax')
# What is kept of a box beside IsGroupOf, and under which key.
FLAGS = {'IsOccluded': 'occluded', 'IsTruncated': 'truncated', 'IsDepiction': 'depiction', 'IsInside': 'inside'}
VALUES = {'1': True, '0': False, '-1': None, '': None, 'true': True, 'false': False}
DESCRIPTIONS = '*class-descriptions*.csv'


def read_open_images(path: Path, image_dir: Path | None, quiet: bool = True) -> OtherTruth:
    """Read Open Images' boxes.

    A box that stands for a group (``IsGroupOf``) is a crowd region; ``occluded``, ``truncated``, ``depiction`` and
    ``inside`` are kept as true or false, and left out where they are unknown (-1). Classes have the names of a
    ``class-descriptions`` file beside the csv, if there is one, in its order.

    Args:
        path: The csv.
        image_dir: Folder of the images, whose sizes are needed.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        InputError: If a row is not Open Images', or an image is not in the folder; the message names the row.
    """
    if image_dir is None:
        raise InputError(
            f"{path}: Open Images' boxes are shares of the image's sides: give the folder of the images with "
            '--image-dir (image_dir=...)'
        )
    descriptions = _descriptions(path)
    pictures = pictures_by_stem(image_dir)
    content = Content(path)
    rows = csv.DictReader(io.StringIO(read_text(path)))
    missing = [name for name in ('ImageID', 'LabelName', *BOX) if name not in (rows.fieldnames or ())]
    if missing:
        raise InputError(f"{path}: has no column {missing[0]}; Open Images' boxes have ImageID, LabelName, {BOX[0]}, …")
    groups = 0
    for row in tqdm(rows, path.name, disable=quiet, delay=1, leave=False):
        where = f'{path}:{rows.line_num}'
        stem, label = (as_text((row[key] or '').strip()) for key in ('ImageID', 'LabelName'))
        if stem not in pictures:
            raise InputError(f'{where}: there is no image {shown(stem) or "without a name"} in {image_dir}')
        if stem not in content.images:
            picture = pictures[stem]
            content.add_image(stem, file_name=picture.relative_to(image_dir).as_posix(), size=size_of(picture))
        box = numbers([row[key] for key in BOX], where, f'{", ".join(BOX)} must be numbers from 0 to 1')
        if not all(0 <= share <= 1 for share in box):
            found = ', '.join(f'{share:g}' for share in box)
            raise InputError(f'{where}: {", ".join(BOX)} must lie from 0 to 1, found {found}')
        if descriptions and label not in descriptions:
            raise InputError(f'{where}: {shown(label)} is not among the classes of the descriptions beside the file')
        width, height = (content.images[stem][key] for key in ('width', 'height'))
        group = _flag(row, 'IsGroupOf', where)
        groups += bool(group)
        content.add(
            stem,
            name=label,
            corners=[box[0] * width, box[1] * height, box[2] * width, box[3] * height],
            where=where,
            iscrowd=int(bool(group)),
            **{kept: _flag(row, key, where) for key, kept in FLAGS.items()},
        )
    content.note('group_of', groups, 'boxes that stand for a group (IsGroupOf) are crowd regions')
    names = list(descriptions) or sorted({entry['category_id'] for entry in content.annotations})
    return content.finish(names, titles=descriptions)


def _descriptions(path: Path) -> dict[str, str]:
    """Return the names of labels, from the class descriptions beside a file; empty without one."""
    files = sorted(path.parent.glob(DESCRIPTIONS))
    rows = csv.reader(io.StringIO(read_text(files[0]))) if files else ()
    return {
        as_text(row[0]): as_text(row[1]) or as_text(row[0]) for row in rows if len(row) > 1 and row[0] != 'LabelName'
    }


def _flag(row: dict[str, str | None], key: str, where: str) -> bool | None:
    value = (row.get(key) or '').strip().lower()
    if value not in VALUES:
        raise InputError(f'{where}: {key} is {shown(value)}, it must be 1, 0 or -1')
    return VALUES[value]
