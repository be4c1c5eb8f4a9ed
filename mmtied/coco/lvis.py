"""What LVIS's json says beside COCO's: which classes each image was searched for, and how frequent each class is.

An image of LVIS is not searched for all classes. ``neg_category_ids`` are those that it surely has none of, and of
``not_exhaustive_category_ids`` only some instances are labelled; ``frequency`` is r, c or f: rare, common or frequent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..utils.errors import InputError
from .columns import Ids, kind_of, read_values, shown

NEGATIVE, NOT_EXHAUSTIVE = 'neg_category_ids', 'not_exhaustive_category_ids'
FREQUENCIES = ('r', 'c', 'f')


@dataclass(frozen=True)
class Federation:
    """Which classes each image was searched for.

    Attributes:
        negative: Pairs of an image and a class that it has none of, by their indices, (n, 2).
        not_exhaustive: Pairs of an image and a class of which not all instances are labelled, (m, 2).
        frequency: 'r', 'c' or 'f' of each class, (categories,).
    """

    negative: np.ndarray
    not_exhaustive: np.ndarray
    frequency: np.ndarray


def has_federation(data: dict) -> bool:
    """Return whether the content of a ground truth's file says which classes its images were searched for."""
    return bool(data['images']) and all(key in data['images'][0] for key in (NEGATIVE, NOT_EXHAUSTIVE))


def without_empty(data: Any) -> tuple[Any, int]:
    """Return a ground truth without the annotations of no area, as LVIS's evaluation has it, and how many they are.

    Args:
        data: Content of its file.
    """
    entries = data.get('annotations') if isinstance(data, dict) else None
    if not isinstance(entries, list):
        return data, 0
    kept = [entry for entry in entries if not isinstance(entry, dict) or not _is_empty(entry.get('area'))]
    return data | {'annotations': kept}, len(entries) - len(kept)


def read_federation(data: dict, source: str, images: Sequence[dict], categories: Sequence[dict]) -> Federation:
    """Read which classes the images were searched for.

    Args:
        data: Content of the ground truth's file.
        source: Name for it in messages.
        images, categories: Those of the ground truth, in the order of their ids.

    Raises:
        InputError: If an image or a category does not say it, or what it says makes no sense.
    """
    rows = {image['id']: i for i, image in enumerate(images)}
    ids = Ids(list(categories))
    pairs = {}
    for key in (NEGATIVE, NOT_EXHAUSTIVE):
        found = []
        for i, (image, listed) in enumerate(zip(data['images'], _lists(data['images'], key, source))):
            where = f'{source}: images[{i}]'
            if not isinstance(listed, list):
                raise InputError(f"{where}: '{key}' must be a list of category ids, found {kind_of(listed)}")
            for value in listed:
                if not isinstance(value, (int, float, str)) or value not in ids.index:
                    raise InputError(f"{where}: '{key}' holds {shown(value)}, which is not the id of a category")
                found.append((rows[image['id']], ids.index[value]))
        pairs[key] = np.array(found, dtype=np.int64).reshape(-1, 2)
    frequency = np.empty(len(categories), dtype='<U1')
    where = f'{source}: categories'
    values = read_values(data['categories'], 'frequency', where)
    for i, (entry, value) in enumerate(zip(data['categories'], values)):
        if value not in FREQUENCIES:
            raise InputError(f"{where}[{i}]: 'frequency' is {shown(value)}, it must be r, c or f")
        frequency[ids.index[entry['id']]] = value
    return Federation(pairs[NEGATIVE], pairs[NOT_EXHAUSTIVE], frequency)


def _lists(images: list[dict], key: str, source: str) -> list:
    try:
        return read_values(images, key, f'{source}: images')
    except InputError as error:
        raise InputError(
            f"{error}; LVIS's rules need to know which classes each image was searched for, else leave out --lvis"
        ) from error


def _is_empty(area: Any) -> bool:
    return isinstance(area, (int, float)) and not isinstance(area, bool) and area <= 0
