"""KITTI's object labels: a text file an image, 15 values a line, of which the box is read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from ..utils.errors import InputError
from .columns import as_text, shown
from .other_truth import Content, OtherTruth, all_classes, numbers, pictures_by_stem, read_text, size_of

# In the order of the benchmark's description.
CLASSES = ('Car', 'Van', 'Truck', 'Pedestrian', 'Person_sitting', 'Cyclist', 'Tram', 'Misc')
REGION = 'DontCare'
OCCLUDED = {'0': '0 fully visible', '1': '1 partly occluded', '2': '2 largely occluded', '3': None, '-1': None}
VALUES = 15


def looks_like_kitti(files: Iterable[Path]) -> bool:
    """Return whether the first line of the label files begins with a word, and has more than a box behind it."""
    for path in files:
        lines = [line.split() for line in read_text(path).splitlines() if line.strip()]
        if lines:
            return lines[0][0][0].isalpha() and len(lines[0]) > VALUES / 2
    return False


def read_kitti(
    folder: Path, image_dir: Path | None, files: Sequence[Path], source: Path, quiet: bool = True
) -> OtherTruth:
    """Read KITTI's labels.

    A ``DontCare`` region forgives any number of detections of any class: it is a crowd region of each. ``truncated`` is
    kept as a number from 0 to 1, ``occluded`` in the words of the benchmark; what is unknown (-1, 3) is left out.

    Args:
        folder: Of the label files.
        image_dir: Folder of the images. Defaults to None: ``image_2`` beside the labels.
        files: The label files to read.
        source: The path that was given, for messages.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        InputError: If a line is not KITTI's; the message names the file and the line.
    """
    images = image_dir or folder.parent / 'image_2'
    pictures = pictures_by_stem(images)
    content = Content(source)
    regions = []
    for path in tqdm(files, source.name, disable=quiet, delay=1, leave=False):
        stem = as_text(path.stem)
        picture = pictures.get(stem)
        name = f'{stem}.png' if picture is None else picture.relative_to(images).as_posix()
        content.add_image(stem, file_name=name, size=size_of(picture) if picture else None)
        for i, line in enumerate(read_text(path).splitlines(), start=1):
            if not line.strip():
                continue
            where, values = f'{path}:{i}', line.split()
            if len(values) != VALUES:
                hint = ': with a score they are detections' if len(values) == VALUES + 1 else ''
                raise InputError(f'{where}: a label has {VALUES} values, found {len(values)}{hint}')
            box = numbers(values[4:8], where, 'the box must be four numbers of pixels')
            if values[0] == REGION:
                regions.append((stem, box, where))
                continue
            truncated, _ = numbers([values[1], values[3]], where, 'truncation and angle must be numbers')
            if values[2] not in OCCLUDED:
                raise InputError(f'{where}: occluded is {shown(values[2])}, it must be 0, 1, 2 or 3')
            content.add(
                stem,
                name=as_text(values[0]),
                corners=box,
                where=where,
                truncated=None if truncated < 0 else truncated,
                occluded=OCCLUDED[values[2]],
            )
    classes = all_classes((entry['category_id'] for entry in content.annotations), CLASSES)
    for stem, box, where in regions:
        for name in classes:
            content.add(stem, name=name, corners=box, where=where, iscrowd=1)
    content.note(
        'dont_care',
        len(regions),
        f'{REGION} regions, in which nothing is wrong, are crowd regions of each of the {len(classes)} classes',
    )
    return content.finish(classes)
