"""Results that know images by their files and classes by the numbers of a list, as Ultralytics' ``predictions.json``.

Ultralytics writes the stem of a file as ``image_id``, as a number where it is one, and of classes the place in the
model's list: counted from 1, by earlier versions from 0, and for COCO in COCO's own numbers, which have gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from ..utils.errors import InputError
from .columns import as_text, is_whole, read_values, shown
from .data import GroundTruth, Note

# Which of the numbers 1 to 90 COCO uses for its 80 classes.
COCO_NUMBERS = tuple(i for i in range(1, 91) if i not in (12, 26, 29, 30, 45, 66, 68, 69, 71, 83))


def names_files(entries: Any) -> bool:
    """Return whether results name the file of each detection, and its stem as ``image_id``, as Ultralytics does."""
    if not isinstance(entries, list) or not entries:
        return False
    first = entries[0]
    name, image = (
        first.get(key) if isinstance(first, dict) else getattr(first, key, None) for key in ('file_name', 'image_id')
    )
    return isinstance(name, str) and image is not None and _plain(PurePosixPath(name).stem) == _plain(image)


def numbers_classes(entries: Any, truth: GroundTruth) -> bool:
    """Return whether results know no image by its id, and classes by numbers that are not all ids: Ultralytics' again.

    Such a file may be another tool's, so that what are ids are taken for them.
    """
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        return False
    images, numbers = ([entry.get(key) for entry in entries] for key in ('image_id', 'category_id'))
    ids = {image['id'] for image in truth.images}
    known = {category['id'] for category in truth.categories}
    stems = {_plain(_stem(image)) for image in truth.images}
    return (
        all(map(is_whole, known))
        and all(map(is_whole, numbers))
        and not known.issuperset(numbers)
        and all(isinstance(image, (int, str)) and image not in ids and _plain(image) in stems for image in images)
    )


def refer_by_name(
    entries: list, source: str, truth: GroundTruth, order: Sequence[str] | None
) -> tuple[list, list[Note]]:
    """Return results that refer to the ground truth's images and classes by id, and notes.

    Args:
        entries: Results that know images by their files and classes by names or numbers.
        source: Name for them in messages.
        truth: The ground truth.
        order: Names of the classes in the order in which numbers count them. Defaults to None: numbers are ids of the
            ground truth, or count its classes in the order of their ids.

    Raises:
        InputError: If classes are numbers, and nothing says what they count.
    """
    entries = refer_to_files(entries, source, truth.images)
    ids = {category['id'] for category in truth.categories}
    if order is None and all(map(is_whole, ids)):
        # Ultralytics has no class 0, so that with ids from 0 even what looks like an id is another one's number.
        values = read_values(entries, 'category_id', source)
        if 0 not in ids and all(is_whole(value) and value in ids for value in values):
            return entries, []
        order = [category['name'] for category in truth.categories]
    return refer_to_names(entries, source, truth.categories, order)


def check_order(order: Sequence[str] | None, source: str, example: int) -> Sequence[str]:
    """Return the order of classes that numbers count, if there is one.

    Raises:
        InputError: If there is none.
    """
    if order is None:
        raise InputError(
            f'{source}: classes are numbers, such as {example}, and the ground truth names its classes: say what they '
            'count with --classes (classes=[...]): names, a file of them, a data.yaml or a config of mmdet'
        )
    return order


def refer_to_files(entries: list, source: str, images: Sequence[dict]) -> list:
    """Return results whose ``image_id`` is the id of the image with that file; what is none stays, as text.

    Args:
        entries: The results.
        source: Name for them in messages.
        images: Of the ground truth, with ``id`` and ``file_name``.
    """
    known: dict[str, Any] = {}
    for way in (_own_id, _path, _without_suffix, _name, _stem, lambda image: _plain(_stem(image))):
        found: dict[str, Any] = {}
        for image in images:
            key = way(image)
            found[key] = None if key in found else image['id']  # what two share is none
        known = {key: value for key, value in found.items() if key and value is not None} | known
    ids = []
    for value in read_values(entries, 'image_id', source):
        keys = (as_text(value), PurePosixPath(as_text(value)).name, _plain(value))
        ids.append(next((known[key] for key in keys if key in known), None if value is None else as_text(value)))
    return _replaced(entries, 'image_id', ids)


def refer_to_names(
    entries: list, source: str, categories: Sequence[dict], order: Sequence[str] | None
) -> tuple[list, list[Note]]:
    """Return results whose ``category_id`` is the id of the class with that name or number, and notes.

    Args:
        entries: The results.
        source: Name for them in messages.
        categories: Of the ground truth, with ``id`` and ``name``.
        order: Names of the classes in the order in which numbers count them; None if nothing says it.

    Raises:
        InputError: If classes are numbers, and nothing says what they count.
    """
    values = read_values(entries, 'category_id', source)
    numbers = {int(value) for value in values if is_whole(value)}
    names: dict[int, str] = {}
    notes = []
    if numbers:
        order = check_order(order, source, min(numbers))
        names, how = _count(numbers, order)
        text = f'{source}: numbers of classes are taken for {how}; --classes (classes=[...]) gives another order'
        notes.append(Note('class_numbers', len(values), f'{text}: {len(values):,}.'))
    known = {category['id']: category['id'] for category in categories if isinstance(category['id'], str)}
    known |= {category['name']: category['id'] for category in categories}
    folded = {name.casefold(): category for name, category in known.items()}
    ids = []
    for value in values:
        name = names.get(int(value), str(value)) if is_whole(value) else value
        if isinstance(name, str):
            name = known.get(name, folded.get(name.casefold(), name))
        ids.append(name)
    return _replaced(entries, 'category_id', ids), notes


def _count(numbers: set[int], order: Sequence[str]) -> tuple[dict[int, str], str]:
    """Return the name of each number, and in words how they are counted."""
    count = len(order)
    counts: dict[str, Sequence[int]] = {'counted from 1': range(1, count + 1), 'counted from 0': range(count)}
    if count == len(COCO_NUMBERS):
        counts["in COCO's numbers"] = COCO_NUMBERS
    # The first of those that fit; where none does, the one that knows most, and the rest is unknown.
    how = max(counts, key=lambda name: len(numbers & set(counts[name])))
    names = dict(zip(counts[how], order))
    words = f'the {count} classes {how} ({min(names)} is {shown(order[0])})'
    if how == 'counted from 1' and numbers <= set(range(1, count)):
        words += f', though neither 0 nor {count} occurs to tell it from counting from 0'
    return names, words


def _own_id(image: dict) -> str:
    """Of a ground truth whose images are known by their files; numbers say nothing of a file."""
    return image['id'] if isinstance(image['id'], str) else ''


def _path(image: dict) -> str:
    return image['file_name']


def _without_suffix(image: dict) -> str:
    return str(PurePosixPath(image['file_name']).with_suffix('')) if image['file_name'] else ''


def _name(image: dict) -> str:
    return PurePosixPath(image['file_name']).name


def _stem(image: dict) -> str:
    return PurePosixPath(image['file_name']).stem


def _plain(value: Any) -> str:
    """Return a number without the zeros before it, anything else as it is."""
    text = str(value)
    return str(int(text)) if text.isdecimal() and text.isascii() else text


def _replaced(entries: list, key: str, values: Sequence[Any]) -> list:
    """Return the entries with other values of a key."""
    return [entry | {key: value} for entry, value in zip(entries, values)]
