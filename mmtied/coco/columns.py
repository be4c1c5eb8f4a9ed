"""Fields of json entries as checked columns: each wrong one is a sentence that names the file and the entry."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Hashable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np

from ..utils.errors import InputError
from .masks import wrong_counts

LARGEST = 30_000  # width or height of an image with masks: the libraries count its pixels in 32 bits
LENIENT = '--lenient (lenient=True)'
# Texts that spell a flag. Any text is true in Python, so the reference API ignores what "0" marks.
FLAGS = {'0': 0, '1': 1, 'false': 0, 'true': 1, 'False': 0, 'True': 1}
FARTHEST = 1_000_000  # pixels of a coordinate: beyond, the libraries fail on memory or overflow


class RawDetection(msgspec.Struct, gc=False):
    """What a clean results file holds of a detection; read several times faster than a dict."""

    image_id: int | str
    category_id: int | str
    score: float
    bbox: tuple[float, float, float, float] | None = None
    segmentation: msgspec.Raw = msgspec.Raw()
    file_name: str | None = None


def as_text(value: Any) -> str:
    """Return a name as text that every file can hold; json may spell halves of characters."""
    return str(value).encode('utf-8', 'replace').decode()


def shown(value: Any) -> str:
    """Return a value for a sentence: on one line, and not too long."""
    return ' '.join(as_text(value)[:80].split())


def kind_of(value: Any) -> str:
    """Name the type of a json value."""
    return 'nothing' if value is None else type(value).__name__


def is_whole(value: Any) -> bool:
    """Return whether a value is a whole number, of Python or of numpy, and not a truth value."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def read_values(entries: list, key: str, where: str) -> list:
    """Return a key of all entries; if one lacks it, find the entry and say so."""
    if entries and isinstance(entries[0], RawDetection):
        return list(map(attrgetter(key), entries))
    try:
        return [entry[key] for entry in entries]
    except (KeyError, TypeError, IndexError):
        for i, entry in enumerate(entries):
            if not isinstance(entry, dict):
                raise InputError(f'{where}[{i}] must be an object, found {kind_of(entry)}') from None
            if key not in entry:
                raise InputError(f"{where}[{i}] has no '{key}'" + _mended(entry, key)) from None
        raise


def _mended(entry: Any, key: str) -> str:
    """Say what could be done about a key that an entry lacks."""
    masks = entry.segmentation if isinstance(entry, RawDetection) else entry.get('segmentation')
    if key == 'bbox' and masks is not None and (not isinstance(masks, msgspec.Raw) or bytes(masks)):
        return f"; {LENIENT} takes the box of its 'segmentation'"
    return ''


def check_ids(values: list, where: str) -> None:
    """Check that ids are numbers or text, and none is given twice."""
    seen = set()
    for i, value in enumerate(values):
        if not isinstance(value, (int, float, str, np.number)):
            raise InputError(f"{where}[{i}]: 'id' is {shown(value)}, it must be a whole number")
        if value != value or value in seen:
            raise InputError(
                f'{where}: id {shown(value)} ' + ('is given twice' if value == value else 'is not a number')
            )
        seen.add(value)


def id_order(entry: dict) -> tuple:
    """Sort by id; numbers go before text."""
    return isinstance(entry['id'], str), entry['id']


class Ids:
    """What entries may refer to, images or categories, by its id.

    Args:
        listed: Entries with an ``id``, in the order of their ids.
    """

    def __init__(self, listed: list[dict]) -> None:
        ids = [entry['id'] for entry in listed]
        self.index = {own: i for i, own in enumerate(ids)}
        self.numbers: np.ndarray | None = None
        if set(map(type, ids)) == {int}:
            with contextlib.suppress(OverflowError):  # beyond 64 bits
                self.numbers = np.array(ids, dtype=np.int64)

    def indices(self, entries: list, key: str, where: str) -> np.ndarray:
        """Return the index of what each entry refers to, (n,); -1 for what is not listed."""
        values = read_values(entries, key, where)
        if self.numbers is not None and set(map(type, values)) == {int}:
            with contextlib.suppress(OverflowError):
                wanted = np.array(values, dtype=np.int64)
                indices = np.searchsorted(self.numbers, wanted).clip(max=len(self.numbers) - 1)
                return np.where(self.numbers[indices] == wanted, indices, -1)
        if None in values:
            raise InputError(f"{where}[{values.index(None)}] has no '{key}'")
        try:
            return np.array([self.index.get(value, -1) for value in values], dtype=np.int64)
        except TypeError:
            i = next(i for i, value in enumerate(values) if not isinstance(value, Hashable))
            raise InputError(f"{where}[{i}]: '{key}' is {shown(values[i])}, it must be an id") from None


def check_known(
    indices: np.ndarray, rows: np.ndarray, entries: list, key: str, where: str, what: str, known: list[dict]
) -> None:
    """Check that every entry refers to something; `rows` are the indices of the entries in the file."""
    unknown = np.flatnonzero(indices < 0)
    if unknown.size:
        i = rows[unknown[0]]
        value = read_values(entries[i : i + 1], key, where)[0]
        same = next((entry['id'] for entry in known if str(entry['id']) == str(value)), None)
        if same is not None:
            raise InputError(
                f'{where}[{i}]: {key} is the {in_words(value)}, but among the {what} it is the {in_words(same)}; '
                f'{LENIENT} takes them for the same'
            )
        raise InputError(
            f'{where}[{i}]: {key}={shown(value)} is not among the {what}; {LENIENT} leaves such entries out, and finds '
            'images by their file names and classes by theirs'
        )


def in_words(value: Any) -> str:
    """Return an id with its type, as 'text "1"' or 'number 1'."""
    return f'text "{shown(value)}"' if isinstance(value, str) else f'number {shown(value)}'


def read_column(entries: list, key: str, where: str, shape: tuple[int, ...], right: str) -> np.ndarray:
    """Return a key of all entries as one array of finite floats; if that fails, find the entry and say so."""

    def array(part: list) -> np.ndarray | None:
        try:
            if shape and isinstance(entries[0], RawDetection):
                # Boxes as msgspec has checked them; twice as fast as an array of tuples.
                column = np.fromiter(chain.from_iterable(part), dtype=np.float64).reshape(-1, *shape)
            else:
                column = np.array(part, dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        return column if column.shape == (len(part), *shape) and np.isfinite(column).all() else None

    values = read_values(entries, key, where)
    if not values:
        return np.empty((0, *shape))
    column = array(values)
    if column is None:
        i = next(i for i, value in enumerate(values) if array([value]) is None)
        if values[i] is None:
            raise InputError(f"{where}[{i}] has no '{key}'" + _mended(entries[i], key))
        raise InputError(f"{where}[{i}]: '{key}' is {shown(values[i])}, it must be {right}")
    return column


def read_boxes(entries: list, where: str, strict: bool = True) -> np.ndarray:
    """Return boxes (n, 4) in pixels that the COCO libraries can compute with."""
    boxes = read_column(entries, 'bbox', where=where, shape=(4,), right='four numbers x, y, width, height')
    if strict and boxes[:, 2:].min(initial=0) < 0:
        i = np.flatnonzero((boxes[:, 2:] < 0).any(1))[0]
        raise InputError(f"{where}[{i}]: 'bbox' is {boxes[i].tolist()}, its width and height must not be negative")
    if max(boxes.max(initial=0), -boxes.min(initial=0)) > FARTHEST:
        i = np.flatnonzero((np.abs(boxes) > FARTHEST).any(1))[0]
        raise InputError(f"{where}[{i}]: 'bbox' is {boxes[i].tolist()}, it must lie within {FARTHEST:,} pixels")
    return boxes


def read_flags(entries: list, key: str, where: str) -> np.ndarray:
    """Return which annotations have 1 (or true) under a key, (n,) bool; what lacks it has 0."""
    values = [entry.get(key) for entry in entries]
    for i, value in enumerate(values):
        if isinstance(value, str) and value in FLAGS:
            raise InputError(f'{where}[{i}]: \'{key}\' is the text "{value}", it must be 0 or 1; {LENIENT} takes it so')
        if not (value is None or (isinstance(value, (bool, int, float, np.generic)) and value in (0, 1))):
            raise InputError(f"{where}[{i}]: '{key}' is {shown(value)}, it must be 0 or 1")
    return np.array([bool(value) for value in values], dtype=bool)


def read_segmentations(entries: list, where: str, images: Sequence[dict], indices: np.ndarray) -> list:
    """Return masks as they are in the file, checked so that the COCO libraries can decode them."""
    if entries and isinstance(entries[0], RawDetection):
        raw = (bytes(entry.segmentation) or b'null' for entry in entries)
        segmentations = [msgspec.json.decode(value) for value in raw]
    else:
        segmentations = [entry.get('segmentation') for entry in entries]
    check_masks(segmentations, [images[i] for i in indices], lambda i: f"{where}[{i}]: 'segmentation'")
    return segmentations


def check_masks(segmentations: Sequence[Any], images: Sequence[dict], place: Callable[[int], str]) -> None:
    """Check that the COCO libraries can decode masks.

    Args:
        segmentations: Run-length encodings or lists of polygons.
        images: That of each, with its size.
        place: Names the mask of an index, for messages.
    """
    encoded = []
    for i, (segmentation, image) in enumerate(zip(segmentations, images)):
        if isinstance(segmentation, dict):
            wrong = _wrong_rle(segmentation, image)
            encoded.append(i)
        else:
            wrong = _wrong_polygons(segmentation)
        if wrong:
            raise InputError(f'{place(i)} {wrong}')
    bad = wrong_counts([segmentations[i] for i in encoded])
    if bad is not None:
        raise InputError(f'{place(encoded[bad])} has counts that do not add up to the pixels of its size')


def _wrong_rle(segmentation: dict, image: dict) -> str:
    size = [image['height'], image['width']]
    found = segmentation.get('size')
    if not isinstance(found, (list, tuple)) or list(found) != size or not all(map(is_whole, found)):
        return f'has size {found}, but the image has height and width {size}'
    counts = segmentation.get('counts')
    if isinstance(counts, list):
        if not all(is_whole(count) and count >= 0 for count in counts):
            return 'has counts that are not all whole numbers of 0 or more'
    elif not isinstance(counts, (str, bytes)):
        return 'has no counts, a string or a list of numbers'
    return ''


def _wrong_polygons(segmentation: Any) -> str:
    if not isinstance(segmentation, list) or not segmentation:
        return 'must be a run-length encoding or a list of polygons'
    for polygon in segmentation:
        try:
            points = np.zeros(0) if polygon == [] else np.array(polygon)
        except (TypeError, ValueError):
            points = np.array('')
        if points.dtype.kind not in 'iuf':
            return f'holds {shown(polygon)}, which is not a polygon'
        if points.ndim != 1 or len(points) < 6 or len(points) % 2 or not np.isfinite(points).all():
            return f'holds a polygon that is not three or more points x, y; {LENIENT} leaves such polygons out'
        if np.abs(points).max() > FARTHEST:
            return f'holds a polygon that does not lie within {FARTHEST:,} pixels'
    return ''
