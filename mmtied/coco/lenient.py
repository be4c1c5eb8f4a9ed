"""Files that are not quite COCO's, mended before they are checked: every change is a note with its count.

What remains wrong is refused as ever. The rules are those of the reference API and of mmdet where they have one.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from pycocotools import mask as rle

from ..utils.errors import InputError
from .columns import FLAGS, as_text, shown
from .data import Note
from .masks import to_rle

Key = Callable[[dict], Iterable[Any]]


def mend_ground_truth(data: Any, source: str, masks: bool) -> tuple[Any, list[Note]]:
    """Return a ground truth whose ids are of one type and whose annotations have polygons and boxes, and the notes.

    Args:
        data: Content of the json file.
        source: Name for it in notes.
        masks: Whether masks are needed; else nothing is said of them.
    """
    if not isinstance(data, dict) or not all(_is_list_of_dicts(data.get(key)) for key in ('images', 'categories')):
        return data, []
    if not _is_list_of_dicts(data.get('annotations')):
        return data, []
    notes = _Notes(source)
    images = {image.get('id'): image for image in data['images'] if isinstance(image.get('id'), Hashable)}
    annotations = [dict(entry) for entry in data['annotations']]
    for key, known in (('image_id', data['images']), ('category_id', data['categories'])):
        same = _index(known, lambda entry: [str(entry.get('id'))])
        ids = {entry.get('id') for entry in known if isinstance(entry.get('id'), Hashable)}
        for entry in annotations:
            value = entry.get(key)
            if isinstance(value, Hashable) and value not in ids and str(value) in same:
                entry[key] = same[str(value)]
                notes.add(
                    f'text_{key}',
                    f"annotations whose {key} is text where the '{_list_of(key)}' have a number, or the reverse",
                )
    # The reference API looks at the listed categories alone.
    listed = {entry.get('id') for entry in data['categories'] if isinstance(entry.get('id'), Hashable)}
    # What is no id at all is refused afterwards.
    kept = [
        entry
        for entry in annotations
        if not isinstance(entry.get('category_id'), Hashable) or entry.get('category_id') in listed
    ]
    if len(kept) < len(annotations):
        text = 'annotations of no category of the list are left out'
        notes.add('unknown_category', text, len(annotations) - len(kept))
    for entry in kept:
        for flag in ('iscrowd', 'ignore'):
            spelled = entry.get(flag)
            if isinstance(spelled, str) and spelled in FLAGS:
                entry[flag] = FLAGS[spelled]
                notes.add(f'text_{flag}', f"annotations whose '{flag}' is text are taken by what it spells")
        if masks and not _mend_polygons(entry, notes):
            # As mmdet does; the mask covers nothing.
            entry['ignore'] = 1
            image = images.get(entry.get('image_id')) or {}
            if image.get('height') and image.get('width'):
                empty = np.zeros((int(image['height']), int(image['width'])), dtype=np.uint8, order='F')
                entry['segmentation'] = rle.encode(empty)
            notes.add('no_polygon', 'annotations without a polygon of three points or more are ignored')
        _mend_box(entry, images, notes)
    return data | {'annotations': kept}, notes.found


def mend_results(data: Any, source: str, truth: dict, boxes: bool) -> tuple[Any, list[Note]]:
    """Return results that refer to the ground truth's images and classes by id, and the notes.

    Images are known by their id, else by its text, else by the name or the stem of their file; classes by their id, its
    text or their name. One way is chosen for the whole file, the one that knows most, so that no id is taken for a
    name.

    Args:
        data: Content of the json file.
        source: Name for it in notes.
        truth: Content of the ground truth's file.
        boxes: Whether boxes are evaluated.

    Raises:
        InputError: If nothing in it belongs to the ground truth.
    """
    notes = _Notes(source)
    own: dict[str, Any] = {}
    if isinstance(data, dict) and isinstance(data.get('annotations'), list):
        own, data = data, data['annotations']
        notes.add('object', "results are an object, of which 'annotations' are taken", len(data))
    if not _is_list_of_dicts(data):
        return data, notes.found
    entries = [dict(entry) for entry in data]
    if own:
        # Its ids are its own where it lists images and classes: the names are what both have.
        _by_name(entries, 'image_id', own.get('images'), 'file_name')
        _by_name(entries, 'category_id', own.get('categories'), 'name')
        _compare_sizes(own.get('images'), truth['images'], notes)
    known: list[tuple[str, list[dict], dict[str, Key]]] = [
        ('image_id', truth['images'], IMAGE_KEYS),
        ('category_id', truth['categories'], CATEGORY_KEYS),
    ]
    for key, listed, ways in known:
        entries = _referred(entries, key, listed=listed, ways=ways, notes=notes)
        if data and not entries:
            raise InputError(
                f'{source}: no {key} is known to the ground truth, neither as an id nor as a name, for instance '
                f'{shown(data[0].get(key))}'
            )
    images = {image.get('id'): image for image in truth['images'] if isinstance(image.get('id'), Hashable)}
    kept = []
    for entry in entries:
        if not boxes and not _mend_polygons(entry, notes):
            notes.add('no_polygon', 'detections without a polygon of three points or more are left out')
            continue
        if boxes:
            _mend_box(entry, images, notes)
        kept.append(entry)
    _note_scores(kept, boxes, notes)
    return kept, notes.found


def _file_names(entry: dict) -> list[str]:
    name = entry.get('file_name')
    return [] if name is None else [as_text(name), PurePosixPath(as_text(name)).name]


def _stems(entry: dict) -> list[str]:
    return [str(PurePosixPath(name).with_suffix('')) for name in _file_names(entry) if name]


def _numbers(entry: dict) -> list[str]:
    return [str(int(stem)) for stem in _stems(entry) if stem.isdecimal()]


IMAGE_KEYS: dict[str, Key] = {
    'its id as text or as a number': lambda entry: [str(entry.get('id'))],
    'the name of its file': _file_names,
    'the stem of its file': _stems,
    'the number that its file is named': _numbers,
}
CATEGORY_KEYS: dict[str, Key] = {
    'its id as text or as a number': lambda entry: [str(entry.get('id'))],
    'its name': lambda entry: [as_text(entry.get('name'))],
}


def _referred(entries: list[dict], key: str, listed: list[dict], ways: dict[str, Key], notes: _Notes) -> list[dict]:
    """Return the entries that refer to something that is listed, by its id from here on."""
    ids = {entry.get('id') for entry in listed if isinstance(entry.get('id'), Hashable)}
    values = [entry.get(key) for entry in entries]
    values = [value if isinstance(value, Hashable) else None for value in values]
    best, how, count = {value: value for value in values if value in ids}, '', sum(value in ids for value in values)
    for name, way in ways.items():
        if count == len(values):
            break
        index = _index(listed, way)
        found = sum(str(value) in index for value in values)
        if found > count:
            best, how, count = {value: index[str(value)] for value in values if str(value) in index}, name, found
    what = 'image' if key == 'image_id' else 'class'
    if how:
        notes.add(f'{what}_by_name', f'detections know their {what} by {how}', count)
    if count < len(values):
        unknown = next(value for value in values if value not in best)
        notes.add(
            f'unknown_{what}',
            f'detections of no {what} of the ground truth (such as {key} {shown(unknown)}) are left out',
            len(values) - count,
        )
    return [entry | {key: best[value]} for entry, value in zip(entries, values) if value in best]


def _by_name(entries: list[dict], key: str, listed: Any, name: str) -> None:
    """Replace ids by the names that the results' own list has for them."""
    if not _is_list_of_dicts(listed):
        return
    names = {entry.get('id'): entry.get(name) for entry in listed if isinstance(entry.get('id'), Hashable)}
    for entry in entries:
        value = entry.get(key)
        if isinstance(value, Hashable) and names.get(value) is not None:
            entry[key] = as_text(names[value])


def _compare_sizes(own: Any, listed: list[dict], notes: _Notes) -> None:
    """Say where images of one name have two sizes: they may not be the same pictures."""
    if not _is_list_of_dicts(own):
        return
    sizes = {entry.get('file_name'): (entry.get('width'), entry.get('height')) for entry in listed}
    other = sum(
        sizes.get(entry.get('file_name'), (None, None)) != (entry.get('width'), entry.get('height'))
        for entry in own
        if entry.get('file_name') in sizes and entry.get('width') and sizes[entry['file_name']][0]
    )
    if other:
        notes.add('other_size', 'images have another size in the ground truth, and may be other pictures', other)


def _index(listed: list[dict], way: Key) -> dict[str, Any]:
    """Return the id of each key; a key that two share is none."""
    index: dict[str, Any] = {}
    for entry in listed:
        for key in set(way(entry)):
            index[key] = None if key in index else entry.get('id')
    return {key: value for key, value in index.items() if value is not None}


def _mend_polygons(entry: dict, notes: _Notes) -> bool:
    """Drop polygons that are none; return False if no other is left."""
    polygons = entry.get('segmentation')
    if not isinstance(polygons, list) or not polygons:
        return True
    kept = [polygon for polygon in polygons if not isinstance(polygon, list) or _is_polygon(polygon)]
    if len(kept) < len(polygons):
        notes.add('stray_polygon', 'polygons of less than three points are left out', len(polygons) - len(kept))
        entry['segmentation'] = kept
    return bool(kept)


def _is_polygon(polygon: Any) -> bool:
    return isinstance(polygon, list) and len(polygon) >= 6


def _mend_box(entry: dict, images: dict, notes: _Notes) -> None:
    """Give an entry without a box that of its mask."""
    masks = entry.get('segmentation')
    if entry.get('bbox') is not None or not masks or not isinstance(masks, (list, dict)):
        return
    if isinstance(masks, list):
        points = [value for polygon in masks if _is_polygon(polygon) for value in polygon]
        if not points or not all(isinstance(value, (int, float)) for value in points) or len(points) % 2:
            return
        x, y = np.array(points, dtype=float).reshape(-1, 2).T
        entry['bbox'] = [float(v) for v in (x.min(), y.min(), np.ptp(x), np.ptp(y))]
    else:
        size = images.get(entry.get('image_id')) or {}
        try:
            entry['bbox'] = rle.toBbox(to_rle(masks, {key: int(size[key]) for key in ('height', 'width')})).tolist()
        except (KeyError, TypeError, ValueError):
            return  # The check of masks says what is wrong.
    notes.add('box_of_mask', "masks without 'bbox' have that of the mask")


def _note_scores(entries: list[dict], boxes: bool, notes: _Notes) -> None:
    scores = [entry.get('score') for entry in entries]
    outside = sum(isinstance(score, (int, float)) and not 0 <= score <= 1 for score in scores)
    if outside:
        notes.add('score_as_rank', 'scores outside [0, 1] are taken as ranks, as all are', outside)
    if boxes:
        negative = 0
        for entry in entries:
            box = entry.get('bbox')
            if isinstance(box, (list, tuple)) and len(box) == 4:
                negative += any(isinstance(side, (int, float)) and side < 0 for side in box[2:])
        if negative:
            notes.add('negative_box', 'boxes of negative size meet nothing', negative)


def _is_list_of_dicts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) for entry in value)


def _list_of(key: str) -> str:
    return 'images' if key == 'image_id' else 'categories'


class _Notes:
    """Notes on one file, counted by kind."""

    def __init__(self, source: str) -> None:
        self.source, self.counts, self.texts = source, dict[str, int](), dict[str, str]()

    def add(self, kind: str, text: str, count: int = 1) -> None:
        self.counts[kind] = self.counts.get(kind, 0) + count
        self.texts.setdefault(kind, text)

    @property
    def found(self) -> list[Note]:
        return [
            Note(kind, count, f'{self.source}: {self.texts[kind]}: {count:,}.') for kind, count in self.counts.items()
        ]
