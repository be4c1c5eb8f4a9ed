"""Read COCO ground truth and results as they are found, into columns that hold only what the evaluation needs.

Users' files are not clean: extra keys, odd types in fields that nobody reads, ids that start at 0. The engines differ
in what they refuse and in what they make of it (the reference API takes an annotation with id 0 for unmatched). So
images and categories are known by their place in the order of their ids, by which the reference API breaks ties of
score, annotations by none, and both engines get the same columns.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from .masks import wrong_counts

LARGEST = 30_000  # width or height of an image with masks: the libraries count its pixels in 32 bits
FARTHEST = 1_000_000  # pixels of a coordinate: beyond, the libraries fail on memory or overflow


class InputError(ValueError):
    """The user's input is wrong. The message is one sentence that names the file and the offending entry."""


@dataclass(frozen=True)
class GroundTruth:
    """A checked COCO ground truth; rows of the arrays are annotations."""

    images: list[dict]  # id, file_name, width, height (the size only where masks are evaluated); in the order of ids
    categories: list[dict]  # id, name; in the order of ids
    image: np.ndarray  # (n,) place in `images`
    category: np.ndarray  # (n,) place in `categories`
    bbox: np.ndarray  # (n, 4) x, y, width, height
    iscrowd: np.ndarray  # (n,) bool
    segmentation: list | None  # (n,) RLE or polygons; None where no mask is needed
    labels: np.ndarray  # (categories,) place in `categories` of each category of the file: what mmdet calls its label
    orphans: int  # annotations of images that the file does not list; left out, as the reference API does


@dataclass(frozen=True)
class Detections:
    """Checked COCO results; rows of the arrays are detections."""

    image: np.ndarray  # (n,) place in the images of the ground truth
    category: np.ndarray  # (n,) place in its categories
    score: np.ndarray  # (n,)
    bbox: np.ndarray | None  # (n, 4) x, y, width, height; None where masks are evaluated
    segmentation: list | None  # (n,) RLE or polygons; None where boxes are evaluated

    def rows(self, chosen: np.ndarray) -> Detections:
        """Return some of the detections, chosen by (n,) bool."""
        segmentation = self.segmentation
        if segmentation is not None:
            segmentation = [segmentation[row] for row in np.flatnonzero(chosen)]
        bbox = None if self.bbox is None else self.bbox[chosen]
        return Detections(self.image[chosen], self.category[chosen], self.score[chosen], bbox, segmentation)


class _Detection(msgspec.Struct, gc=False):
    """What a clean results file holds of a detection; read several times faster than a dict."""

    image_id: int | str
    category_id: int | str
    score: float
    bbox: tuple[float, float, float, float] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()


def read_json(source: str | PathLike | Any, name: str, results: bool = False) -> tuple[Any, str]:
    """Return the content of a json file, or the content as it was given, and a name for messages.

    Args:
        source: A path, or what the file would hold.
        name: The name for content that is given.
        results: Whether a list of detections is expected, which is read faster. Defaults to False.

    Raises:
        InputError: If there is no such file, or it is not json.
    """
    if not isinstance(source, (str, PathLike)):
        return source, name
    try:
        content = Path(source).read_bytes()
    except OSError as error:
        raise InputError(f'{source}: cannot be read: {error.strerror}') from error
    try:
        return msgspec.json.decode(content, type=list[_Detection] if results else Any), str(source)
    except (msgspec.DecodeError, RecursionError):
        pass  # dirt, or what strict json has no word for, such as NaN
    try:
        return json.loads(content.removeprefix(b'\xef\xbb\xbf')), str(source)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{source}: not valid json: {error}') from error


def check_ground_truth(data: Any, source: str, masks: bool = False) -> GroundTruth:
    """Check a COCO ground truth and keep what is evaluated.

    Args:
        data: Content of the json file.
        source: Name for it in messages.
        masks: Whether masks are needed: every annotation's segmentation and every image's size. Defaults to False.

    Raises:
        InputError: If a needed key is missing or an entry makes no sense.
    """
    if not isinstance(data, dict):
        raise InputError(f'{source}: a ground truth is a json object, found {_kind(data)}; are the files swapped?')
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(data.get(key), list):
            raise InputError(f"{source}: '{key}' must be a list, found {_kind(data.get(key))}")
    for key in ('images', 'categories'):
        if not data[key]:
            raise InputError(f"{source}: '{key}' is empty, so there is nothing to evaluate")
    for key in ('images', 'categories'):
        _check_ids(_values(data[key], 'id', f'{source}: {key}'), f'{source}: {key}')
    # Annotations need no id, but one that is given twice tells of a file that was put together wrongly.
    given = [entry['id'] for entry in data['annotations'] if isinstance(entry, dict) and 'id' in entry]
    _check_ids(given, f'{source}: annotations')
    images = [{'id': image['id'], 'file_name': _text(image.get('file_name', ''))} for image in data['images']]
    if masks:
        right = f'a whole number of pixels from 1 to {LARGEST:,}; masks need it'
        for key in ('width', 'height'):
            sizes = _column(data['images'], key, f'{source}: images', (), right)
            wrong = np.flatnonzero((sizes < 1) | (sizes > LARGEST) | (sizes % 1 != 0))
            if wrong.size:
                raise InputError(f"{source}: images[{wrong[0]}]: '{key}' is {sizes[wrong[0]]:g}, it must be {right}")
            for image, size in zip(images, sizes.astype(int).tolist()):
                image[key] = size
    images.sort(key=_order)
    categories = [{'id': entry['id'], 'name': _text(entry.get('name', entry['id']))} for entry in data['categories']]
    names = Counter(category['name'] for category in categories)
    for category in categories:
        if names[category['name']] > 1:
            category['name'] += f' ({category["id"]})'
    file_order = [category['id'] for category in categories]
    categories.sort(key=_order)
    place = {category['id']: i for i, category in enumerate(categories)}

    where = f'{source}: annotations'
    image = _places(data['annotations'], 'image_id', where, images)
    category = _places(data['annotations'], 'category_id', where, categories)
    kept = image >= 0
    if len(kept) and not kept.any():
        example = _shown(data['annotations'][0]['image_id'])
        raise InputError(f'{where}: no image_id is among the images, such as image_id={example} of {where}[0]')
    _check_known(category[kept], np.flatnonzero(kept), data['annotations'], 'category_id', where, 'categories')
    annotations = [data['annotations'][i] for i in np.flatnonzero(kept)]
    return GroundTruth(
        images=images,
        categories=categories,
        image=image[kept],
        category=category[kept],
        bbox=_boxes(annotations, where),
        iscrowd=_crowds(annotations, where),
        segmentation=_segmentations(annotations, where, images, image[kept]) if masks else None,
        labels=np.array([place[value] for value in file_order]),
        orphans=int((~kept).sum()),
    )


def check_results(data: Any, source: str, ground_truth: GroundTruth, iou_type: str, strict: bool = True) -> Detections:
    """Check COCO results and keep what is evaluated.

    Args:
        data: Content of the json file: a list of detections with ``image_id``, ``category_id``, ``score`` and
            ``bbox`` or ``segmentation``.
        source: Name for it in messages.
        ground_truth: The detections must belong to its images and categories.
        iou_type: 'bbox' or 'segm'.
        strict: Whether a score outside [0, 1], a box of negative size and an empty list are errors, as they should be
            in a file. A detector may make all three in training; AP is defined for them.

    Raises:
        InputError: If a needed key is missing or an entry makes no sense.
    """
    if not isinstance(data, list):
        raise InputError(
            f'{source}: results are a json list of detections, found {_kind(data)}; are the files swapped?'
        )
    if strict and not data:
        raise InputError(f'{source}: holds no detection, so there is nothing to evaluate')
    places = {}
    for name, known in (('image', ground_truth.images), ('category', ground_truth.categories)):
        places[name] = _places(data, f'{name}_id', source, known)
        what = 'images' if name == 'image' else 'categories'
        _check_known(places[name], np.arange(len(data)), data, f'{name}_id', source, f'{what} of the ground truth')
    score = _column(data, 'score', source, (), 'a number')
    outside = np.flatnonzero((score < 0) | (score > 1))
    if strict and outside.size:
        raise InputError(f'{source}[{outside[0]}]: score={score[outside[0]]:g} must lie in [0, 1]')
    return Detections(
        image=places['image'],
        category=places['category'],
        score=score,
        bbox=_boxes(data, source, strict) if iou_type == 'bbox' else None,
        segmentation=(
            _segmentations(data, source, ground_truth.images, places['image']) if iou_type == 'segm' else None
        ),
    )


def iou_type_of(results: Any) -> str:
    """Return 'segm' for results that hold masks and no boxes, else 'bbox'."""
    first = results[0] if isinstance(results, list) and results else None
    if isinstance(first, _Detection):
        return 'segm' if bytes(first.segmentation) and not first.bbox else 'bbox'
    return 'segm' if isinstance(first, dict) and first.get('segmentation') and not first.get('bbox') else 'bbox'


def _text(value: Any) -> str:
    """Return a name as text that every file can hold; json may spell halves of characters."""
    return str(value).encode('utf-8', 'replace').decode()


def _shown(value: Any) -> str:
    """Return a value for a sentence: on one line, and not too long."""
    return ' '.join(_text(value)[:80].split())


def _kind(value: Any) -> str:
    return 'nothing' if value is None else type(value).__name__


def _values(entries: list, key: str, where: str) -> list:
    if entries and isinstance(entries[0], _Detection):
        return list(map(attrgetter(key), entries))
    try:
        return [entry[key] for entry in entries]
    except (KeyError, TypeError, IndexError):
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise InputError(f'{where}[{i}] must be an object, found {_kind(entry)}') from None
            if key not in entry:
                raise InputError(f"{where}[{i}] has no '{key}'") from None
        raise


def _check_ids(values: list, where: str) -> None:
    seen = set()
    for i, value in enumerate(values):
        if not isinstance(value, (int, float, str)):
            raise InputError(f"{where}[{i}]: 'id' is {_shown(value)}, it must be a whole number")
        if value != value or value in seen:
            raise InputError(f'{where}: id {_shown(value)} ' + ('is given twice' if value == value else 'is no number'))
        seen.add(value)


def _order(entry: dict) -> tuple:
    return isinstance(entry['id'], str), entry['id']


def _places(entries: list, key: str, where: str, known: list[dict]) -> np.ndarray:
    """Return the place among the known, in the order of their ids, of what each entry refers to; -1 for none."""
    values = _values(entries, key, where)
    if None in values:
        raise InputError(f"{where}[{values.index(None)}] has no '{key}'")
    ids = [entry['id'] for entry in known]
    if set(map(type, values)) | set(map(type, ids)) == {int}:
        with contextlib.suppress(OverflowError):  # beyond 64 bits
            ids, wanted = (np.array(part, dtype=np.int64) for part in (ids, values))
            places = np.searchsorted(ids, wanted).clip(max=len(ids) - 1)
            return np.where(ids[places] == wanted, places, -1)
    places = {entry['id']: i for i, entry in enumerate(known)}
    try:
        return np.array([places.get(value, -1) for value in values], dtype=np.int64)
    except TypeError:
        i = next(i for i, value in enumerate(values) if not isinstance(value, Hashable))
        raise InputError(f"{where}[{i}]: '{key}' is {_shown(values[i])}, it must be an id") from None


def _check_known(places: np.ndarray, rows: np.ndarray, entries: list, key: str, where: str, what: str) -> None:
    unknown = np.flatnonzero(places < 0)
    if unknown.size:
        i = rows[unknown[0]]
        value = _values(entries[i : i + 1], key, where)[0]
        raise InputError(f'{where}[{i}]: {key}={_shown(value)} is not among the {what}')


def _column(entries: list, key: str, where: str, shape: tuple[int, ...], right: str) -> np.ndarray:
    """Return a key of all entries as one array of finite floats; if that fails, find the entry and say so."""

    def array(part: list) -> np.ndarray | None:
        try:
            column = np.array(part, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        return column if column.shape == (len(part), *shape) and np.isfinite(column).all() else None

    values = _values(entries, key, where)
    if not values:
        return np.empty((0, *shape))
    column = array(values)
    if column is None:
        i = next(i for i, value in enumerate(values) if array([value]) is None)
        if values[i] is None:
            raise InputError(f"{where}[{i}] has no '{key}'")
        raise InputError(f"{where}[{i}]: '{key}' is {_shown(values[i])}, it must be {right}")
    return column


def _boxes(entries: list, where: str, strict: bool = True) -> np.ndarray:
    boxes = _column(entries, 'bbox', where, (4,), 'four numbers x, y, width, height')
    negative = np.flatnonzero((boxes[:, 2:] < 0).any(1))
    if strict and negative.size:
        i = negative[0]
        raise InputError(f"{where}[{i}]: 'bbox' is {boxes[i].tolist()}, its width and height must not be negative")
    far = np.flatnonzero((np.abs(boxes) > FARTHEST).any(1))
    if far.size:
        raise InputError(
            f"{where}[{far[0]}]: 'bbox' is {boxes[far[0]].tolist()}, it must lie within {FARTHEST:,} pixels"
        )
    return boxes


def _crowds(entries: list, where: str) -> np.ndarray:
    known = {'None': False, '0': False, '1': True, 'False': False, 'True': True, '0.0': False, '1.0': True}
    crowds = np.empty(len(entries), dtype=bool)
    for i, entry in enumerate(entries):
        value = str(entry.get('iscrowd'))
        if value not in known:
            raise InputError(f"{where}[{i}]: 'iscrowd' is {value[:80]}, it must be 0 or 1")
        crowds[i] = known[value]
    return crowds


def _segmentations(entries: list, where: str, images: Sequence[dict], places: np.ndarray) -> list:
    if entries and isinstance(entries[0], _Detection):
        raw = (bytes(entry.segmentation) or b'null' for entry in entries)
        segmentations = [msgspec.json.decode(value) for value in raw]
    else:
        segmentations = [entry.get('segmentation') for entry in entries]
    encoded = []
    for i, (segmentation, place) in enumerate(zip(segmentations, places)):
        if isinstance(segmentation, dict):
            wrong = _wrong_rle(segmentation, images[place])
            encoded.append(i)
        else:
            wrong = _wrong_polygons(segmentation)
        if wrong:
            raise InputError(f"{where}[{i}]: 'segmentation' {wrong}")
    bad = wrong_counts([segmentations[i] for i in encoded])
    if bad is not None:
        raise InputError(
            f"{where}[{encoded[bad]}]: 'segmentation' has counts that do not add up to the pixels of its size"
        )
    return segmentations


def _wrong_rle(segmentation: dict, image: dict) -> str:
    size = [image['height'], image['width']]
    found = segmentation.get('size')
    if not isinstance(found, (list, tuple)) or list(found) != size or set(map(type, found)) != {int}:
        return f'is of size {found}, the image is of height and width {size}'
    counts = segmentation.get('counts')
    if isinstance(counts, list):
        if not all(type(count) is int and count >= 0 for count in counts):
            return 'has counts that are not all whole numbers from 0 up'
    elif not isinstance(counts, (str, bytes)):
        return 'has no counts, a string or a list of numbers'
    return ''


def _wrong_polygons(segmentation: Any) -> str:
    if not isinstance(segmentation, list) or not segmentation:
        return 'must be a run-length encoding or a list of polygons'
    for polygon in segmentation:
        try:
            points = np.array(polygon)
        except (TypeError, ValueError):
            points = np.array('')
        if points.dtype.kind not in 'iuf':
            return f'holds {_shown(polygon)}, which is no polygon'
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            return 'holds a polygon that is not three or more points x, y'
        if np.abs(points).max() > FARTHEST:
            return f'holds a polygon that does not lie within {FARTHEST:,} pixels'
    return ''
