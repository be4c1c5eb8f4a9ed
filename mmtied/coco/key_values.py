"""What annotations or images have under a key of their own, as checked columns: numbers, words, truth values, boxes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.errors import InputError
from ..utils.names import similar_names
from .columns import FARTHEST, LENIENT, as_text, shown
from .data import KeyValues, Note

OF_IMAGES = 'image.'  # what a key begins with that stands in the entries of the images
MOST_WORDS = 50  # of a key, a bin each
ROUNDING = 1e-6  # how far a share may lie outside [0, 1] that was computed from areas
DECIMALS = 12  # of 1 less a share: 1 - .8 is not .2 else, and falls into the bin before
NUMBER = re.compile(r'[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?')
# Words in this order where all are of the list; any others by their letters.
LEVELS = (
    *('false', 'no', 'none', 'bare', 'easy', 'low', 'slight', 'little', 'light'),
    *('partial', 'partly', 'mid', 'middle', 'medium', 'moderate', 'high', 'heavy', 'heavily', 'hard'),
    *('full', 'fully', 'yes', 'true'),
)
KINDS = {bool: 'a truth value', float: 'a number', str: 'a word', tuple: 'a box'}


Plain = bool | float | str | tuple[float, ...] | None


@dataclass(frozen=True)
class Entry:
    """A value and where it stands.

    Attributes:
        where: Such as 'gt.json: annotations[3]', for messages.
        value: Any value of json; None where there is none.
    """

    where: str
    value: Any


def value_at(entry: dict, path: str) -> Any:
    """Return what stands under a key of an entry, or under a key of that, dots between them; None for nothing.

    Example:
        >>> from mmtied.coco.key_values import value_at
        >>> value_at({'attributes': {'occluded': True}}, 'attributes.occluded')
        True
    """
    if path in entry:
        return entry[path]
    key, dot, rest = path.partition('.')
    inner = entry.get(key) if dot else None
    return value_at(inner, rest) if isinstance(inner, dict) else None


def keys_of(entries: Sequence[dict], before: str = '') -> list[str]:
    """Return all keys of some entries, those of keys behind dots."""
    found: dict[str, None] = {}
    for entry in entries:
        for key, value in entry.items():
            name = f'{before}{key}'
            found |= dict.fromkeys(keys_of([value], f'{name}.') if isinstance(value, dict) and value else [name])
    return list(found)


def no_such_key(path: str, annotations: Sequence[dict], images: Sequence[dict], source: str) -> InputError:
    """Return the error of a key that nothing has, with the keys that may have been meant."""
    known = [as_text(name) for name in (*keys_of(annotations), *keys_of(images, OF_IMAGES))]
    same = [name for name in known if name.rpartition('.')[2] == path.rpartition('.')[2]]
    what = 'image' if path.startswith(OF_IMAGES) else 'annotation'
    listed = ', '.join(map(shown, same or similar_names(path, known)))
    return InputError(f'{source}: no {what} has the key {shown(path)}; others are {listed}')


def read_entries(
    entries: Sequence[Entry],
    name: str,
    source: str,
    of_images: bool,
    boxes: np.ndarray | None,
    visible: bool,
    lenient: bool,
    needed: bool = True,
) -> KeyValues:
    """Return values of one kind as a column.

    Args:
        entries: One for each annotation or image.
        name: The key.
        source: The file that has it, for messages.
        of_images: Whether they are of images.
        boxes: The whole box of each annotation, (n, 4), of which a value that is a box is the visible part; None where
            there can be none.
        visible: Whether numbers are visible shares, and occlusion is 1 less the number.
        lenient: Whether text may stand for numbers, and whatever is not of one kind is taken for words.
        needed: Whether it is an error if none has a value. Defaults to True.

    Raises:
        InputError: If a value is of no kind or out of its range, two are of different kinds, or all are missing.
    """
    values = [_plain(entry, name) for entry in entries]
    notes: tuple[Note, ...] = ()
    if lenient:
        values, notes = _mended(values, name, source)
    known = np.array([value is not None for value in values], dtype=bool)
    rows = np.flatnonzero(known)
    if not rows.size and needed:
        what = 'image' if of_images else 'instance'
        raise InputError(f'{source}: no {what} has a value of {name}')
    present, places = [values[i] for i in rows], [entries[i] for i in rows]
    kind = _only_kind(present, places, name)
    numbers = np.full(len(values), np.nan)
    words: tuple[str, ...] = ()
    if kind in (bool, str):
        if visible:
            raise InputError(
                f'{places[0].where}: {name} is {KINDS[kind]} ({shown(places[0].value)}), but only a number can be a '
                'visible share: leave --visible (visible=True) out'
            )
        numbers[known], words = _indices([_to_word(value) for value in present], name, source)
    elif kind is tuple:
        if boxes is None:
            raise InputError(
                f'{places[0].where}: {name} is {shown(places[0].value)}, it must be a number, a word or true or false: '
                'boxes of what is visible are of annotations'
            )
        numbers[known] = hidden_shares(boxes[known], np.array(present))
    elif rows.size:
        numbers[known] = _checked(np.array(present, dtype=np.float64), places, name=name, visible=visible)
    return KeyValues(
        name=name,
        of_images=of_images,
        numbers=numbers,
        words=words,
        given=[entry.value if has else None for entry, has in zip(entries, known)],
        boxes=kind is tuple,
        notes=notes,
    )


def _only_kind(present: Sequence[Plain], places: Sequence[Entry], name: str) -> type:
    """Return the kind of all values."""
    first: dict[type, Entry] = {}
    for value, place in zip(present, places):
        first.setdefault(type(value), place)
    if len(first) > 1:
        (kind, one), (other, another) = list(first.items())[:2]
        raise InputError(
            f'{one.where}: {name} is {KINDS[kind]} ({shown(one.value)}), but {KINDS[other]} ({shown(another.value)}) '
            f'at {another.where}; {LENIENT} takes text for numbers and mixtures for words'
        )
    return next(iter(first), float)


def _indices(texts: Sequence[str], name: str, source: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the index of each word, and all words in the order of their bins."""
    words = _ordered(set(texts))
    if len(words) > MOST_WORDS:
        hint = f'; {LENIENT} takes text for numbers' if NUMBER.fullmatch(texts[0]) else ''
        raise InputError(
            f'{source}: {name} has {len(words):,} different words, such as {shown(texts[0])}: a bin each is too many, '
            f'at most {MOST_WORDS}{hint}'
        )
    index = {word: i for i, word in enumerate(words)}
    return np.array([index[text] for text in texts]), words


def _checked(numbers: np.ndarray, places: Sequence[Entry], name: str, visible: bool) -> np.ndarray:
    """Return the occlusion that numbers stand for, (n,)."""
    low, high = (-ROUNDING, 1 + ROUNDING) if visible else (0, np.inf)
    wrong = np.flatnonzero((numbers < low) | (numbers > high))
    if wrong.size:
        right = 'a share from 0 to 1 to be the visible one' if visible else '0 or more'
        raise InputError(f'{places[wrong[0]].where}: {name} is {numbers[wrong[0]]:g}, it must be {right}')
    return (1 - numbers).clip(0, 1).round(DECIMALS) if visible else numbers


def hidden_shares(whole: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the share of each box that lies outside its visible part, (n,); 0 for a box without an area.

    Args:
        whole, visible: x, y, width, height in pixels, both (n, 4).
    """
    low = np.maximum(whole[:, :2], visible[:, :2])
    high = np.minimum(whole[:, :2] + whole[:, 2:], visible[:, :2] + visible[:, 2:])
    areas = whole[:, 2:].prod(1)
    seen = np.divide((high - low).clip(0).prod(1), areas, out=np.ones(len(areas)), where=areas > 0)
    return (1 - seen).clip(0, 1).round(DECIMALS)


def _plain(entry: Entry, name: str) -> Plain:
    """Return a value as one of the kinds, None for a missing one."""
    value = entry.value
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return ' '.join(as_text(value).split()) or None
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        number = _as_float(value)
        if number is None or np.isinf(number):
            raise InputError(f'{entry.where}: {name} is {shown(value)}, it must be a finite number')
        return None if np.isnan(number) else number
    if isinstance(value, (list, tuple)) and len(value) == 4:
        box = tuple(part for part in map(_as_float, value) if part is not None)
        if len(box) == 4 and not any(isinstance(part, bool) for part in value):
            if not np.isfinite(box).all() or min(box[2:]) < 0 or np.abs(box).max() > FARTHEST:
                raise InputError(
                    f'{entry.where}: {name} is {shown(value)}, it must be a box x, y, width, height of finite numbers '
                    f'within {FARTHEST:,} pixels, its width and height not negative'
                )
            return box
    inner = ''
    if isinstance(value, dict) and value:
        inner = f'; one of its keys may be meant, such as {name}.{shown(next(iter(value)))}'
    raise InputError(
        f'{entry.where}: {name} is {shown(value)}, it must be a number, a word, true or false, or a box of four '
        f'numbers{inner}'
    )


def _as_float(value: Any) -> float | None:
    try:
        return float(value) if isinstance(value, (int, float, np.number)) else None
    except OverflowError:
        return None


def _mended(values: list[Plain], name: str, source: str) -> tuple[list[Plain], tuple[Note, ...]]:
    """Return values of one kind: text for numbers or truth values where all can be, else whatever is mixed as words."""
    found = [value for value in values if value is not None]
    kinds: set[type] = set(map(type, found))
    ways: list[tuple[str, str, Callable[[Plain], Plain]]] = [
        ('text_number', 'taken for numbers', _to_number),
        ('truth_value', 'taken for true and false', _to_truth),
        ('word', 'taken for words, since not all are of one kind', _to_word),
    ]
    if not kinds - {bool} or not kinds - {float} or tuple in kinds:
        return values, ()
    for kind, text, change in ways:
        changed = [None if value is None else change(value) for value in values]
        if sum(value is not None for value in changed) == len(found):
            if kinds == {str} and kind == 'word':
                return values, ()
            count = sum(type(new) is not type(old) for new, old in zip(changed, values))
            return changed, (Note(kind, count, f'{source}: values of {name} are {text}: {count:,}.'),)
    return values, ()


def _to_number(value: Plain) -> float | None:
    if isinstance(value, str):
        return float(value) if NUMBER.fullmatch(value) else None
    return value if isinstance(value, float) else None


def _to_truth(value: Plain) -> bool | None:
    if isinstance(value, float):
        return bool(value) if value in (0, 1) else None
    return {'true': True, 'false': False, '1': True, '0': False}.get(str(value).lower())


def _to_word(value: Plain) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'{value:.12g}' if isinstance(value, float) else str(value)


def _ordered(words: set[str]) -> tuple[str, ...]:
    """Return words from little occlusion to much where they are levels that are known, else by their letters."""
    if all(word.lower() in LEVELS for word in words):
        return tuple(sorted(words, key=lambda word: (LEVELS.index(word.lower()), word)))
    return tuple(sorted(words, key=lambda word: ([_digits(part) for part in re.split('([0-9]+)', word)], word)))


def _digits(part: str) -> tuple[int, str]:
    """Sort what is digits by its number, before what is none."""
    return (int(part), '') if part.isascii() and part.isdigit() else (-1, part.lower())
