"""Read COCO ground truth and results as they are found, into columns that hold only what the evaluation needs.

Users' files are not clean: extra keys, odd types in fields that nobody reads, ids that start at 0. The engines differ
in what they refuse and in what they make of it (the reference API takes an annotation with id 0 for unmatched), so
both are fed from the same clean columns.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np


class InputError(ValueError):
    """The user's input is wrong. The message is one sentence that names the file and the offending entry."""


@dataclass(frozen=True)
class GroundTruth:
    """A checked COCO ground truth; rows of the arrays are annotations."""

    images: list[dict]  # id, width, height, file_name
    categories: list[dict]  # id, name
    image_id: np.ndarray  # (n,) int
    category_id: np.ndarray  # (n,) int
    bbox: np.ndarray  # (n, 4) x, y, width, height
    iscrowd: np.ndarray  # (n,) bool
    segmentation: list | None  # (n,) RLE or polygons; None where it is not evaluated


@dataclass(frozen=True)
class Detections:
    """Checked COCO results; rows of the arrays are detections."""

    image_id: np.ndarray  # (n,) int
    category_id: np.ndarray  # (n,) int
    score: np.ndarray  # (n,)
    bbox: np.ndarray | None  # (n, 4) x, y, width, height
    segmentation: list | None  # (n,) RLE or polygons


def read_json(source: str | PathLike | Any) -> tuple[Any, str]:
    """Return the content of a json file, or the content as it was given, and a name for messages.

    Raises:
        InputError: If there is no such file, or it is not json.
    """
    if not isinstance(source, (str, PathLike)):
        return source, 'results' if isinstance(source, list) else 'ground truth'
    try:
        with open(source, encoding='utf-8') as file:
            return json.load(file), str(source)
    except OSError as error:
        raise InputError(f'{source}: cannot be read: {error.strerror}') from error
    except ValueError as error:
        raise InputError(f'{source}: not valid json: {error}') from error


def check_ground_truth(data: Any, source: str, segm: bool) -> GroundTruth:
    """Check a COCO ground truth and keep what is evaluated.

    Args:
        data: Content of the json file.
        source: Name for it in messages.
        segm: Whether segmentations are evaluated, so that every annotation needs one and every image its size.

    Raises:
        InputError: If a needed key is missing or an entry makes no sense.
    """
    if not isinstance(data, dict):
        raise InputError(f'{source}: a ground truth is a json object, found {_kind(data)}; are the files swapped?')
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(data.get(key), list):
            raise InputError(f"{source}: '{key}' must be a list, found {_kind(data.get(key))}")
    if not data['categories']:
        raise InputError(f"{source}: 'categories' is empty, so there is nothing to evaluate")
    images, categories, annotations = data['images'], data['categories'], data['annotations']

    where = f'{source}: images'
    columns = {'id': _ids(images, where)}
    for key in ('width', 'height') if segm else ():
        columns[key] = _numbers(images, key, where, whole=True)
    clean_images = [
        {key: int(column[i]) for key, column in columns.items()} | {'file_name': str(image.get('file_name', ''))}
        for i, image in enumerate(images)
    ]
    category_ids = _ids(categories, f'{source}: categories').tolist()
    clean_categories = [
        {'id': category_id, 'name': str(category.get('name', category_id))}
        for category_id, category in zip(category_ids, categories)
    ]

    where = f'{source}: annotations'
    return GroundTruth(
        images=clean_images,
        categories=clean_categories,
        image_id=_references(annotations, 'image_id', where, columns['id'], 'images'),
        category_id=_references(annotations, 'category_id', where, np.array(category_ids), 'categories'),
        bbox=_boxes(annotations, where),
        iscrowd=np.array([annotation.get('iscrowd') in (1, '1') for annotation in annotations], dtype=bool),
        segmentation=_segmentations(annotations, where) if segm else None,
    )


def check_results(data: Any, source: str, ground_truth: GroundTruth, iou_types: Sequence[str]) -> Detections:
    """Check COCO results and keep what is evaluated.

    Args:
        data: Content of the json file: a list of detections with ``image_id``, ``category_id``, ``score`` and
            ``bbox`` or ``segmentation``.
        source: Name for it in messages.
        ground_truth: The detections must belong to its images and categories.
        iou_types: 'bbox', 'segm' or both.

    Raises:
        InputError: If a needed key is missing or an entry makes no sense.
    """
    if not isinstance(data, list):
        raise InputError(
            f'{source}: results are a json list of detections, found {_kind(data)}; are the files swapped?'
        )
    image_ids = np.array([image['id'] for image in ground_truth.images], dtype=np.int64)
    category_ids = np.array([category['id'] for category in ground_truth.categories])
    score = _numbers(data, 'score', source)
    outside = np.flatnonzero((score < 0) | (score > 1))
    if outside.size:
        raise InputError(f'{source}[{outside[0]}]: score={score[outside[0]]:g} must lie in [0, 1]')
    return Detections(
        image_id=_references(data, 'image_id', source, image_ids, 'images of the ground truth'),
        category_id=_references(data, 'category_id', source, category_ids, 'categories of the ground truth'),
        score=score,
        bbox=_boxes(data, source) if 'bbox' in iou_types else None,
        segmentation=_segmentations(data, source) if 'segm' in iou_types else None,
    )


def iou_types_of(results: Any) -> tuple[str, ...]:
    """Return what results can be evaluated for: 'bbox', 'segm' or both; 'bbox' where there are none."""
    first = results[0] if isinstance(results, list) and results and isinstance(results[0], dict) else {}
    types = tuple(name for name, key in (('bbox', 'bbox'), ('segm', 'segmentation')) if first.get(key))
    return types or ('bbox',)


def _kind(value: Any) -> str:
    return 'nothing' if value is None else type(value).__name__


def _column(entries: list, key: str, where: str, shape: tuple[int, ...], right: str) -> np.ndarray:
    """Return a key of all entries as one array of finite floats; if that fails, find the entry and say so."""

    def array(part: list) -> np.ndarray | None:
        try:
            column = np.array([entry[key] for entry in part], dtype=np.float64)
        except (KeyError, TypeError, ValueError, IndexError):
            return None
        return column if column.shape == (len(part), *shape) and np.isfinite(column).all() else None

    if not entries:
        return np.empty((0, *shape))
    column = array(entries)
    if column is None:
        i = next(i for i, entry in enumerate(entries) if array([entry]) is None)
        if not isinstance(entries[i], dict):
            raise InputError(f'{where}[{i}] must be an object, found {_kind(entries[i])}')
        if key not in entries[i]:
            raise InputError(f"{where}[{i}] has no '{key}'")
        raise InputError(f"{where}[{i}]: '{key}' is {str(entries[i][key])[:80]}, it must be {right}")
    return column


def _numbers(entries: list, key: str, where: str, whole: bool = False) -> np.ndarray:
    column = _column(entries, key, where, (), 'a whole number' if whole else 'a number')
    if not whole:
        return column
    odd = np.flatnonzero(column != np.round(column))
    if odd.size:
        raise InputError(f"{where}[{odd[0]}]: '{key}' is {column[odd[0]]}, it must be a whole number")
    return column.astype(np.int64)


def _ids(entries: list, where: str) -> np.ndarray:
    ids = _numbers(entries, 'id', where, whole=True)
    values, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise InputError(f'{where}: id {values[counts > 1][0]} is given twice')
    return ids


def _references(entries: list, key: str, where: str, known: np.ndarray, what: str) -> np.ndarray:
    ids = _numbers(entries, key, where, whole=True)
    unknown = np.flatnonzero(~np.isin(ids, known))
    if unknown.size:
        raise InputError(f'{where}[{unknown[0]}]: {key}={ids[unknown[0]]} is not among the {what}')
    return ids


def _boxes(entries: list, where: str) -> np.ndarray:
    right = 'four numbers x, y, width, height'
    boxes = _column(entries, 'bbox', where, (4,), right)
    negative = np.flatnonzero((boxes[:, 2:] < 0).any(1))
    if negative.size:
        i = negative[0]
        raise InputError(f"{where}[{i}]: 'bbox' is {boxes[i].tolist()}, its width and height must not be negative")
    return boxes


def _segmentations(entries: list, where: str) -> list:
    for i, entry in enumerate(entries):
        shape = entry.get('segmentation') if isinstance(entry, dict) else None
        if isinstance(shape, dict):
            right = {'size', 'counts'} <= shape.keys()
        else:
            right = isinstance(shape, list) and shape and all(isinstance(p, list) and len(p) >= 6 for p in shape)
        if not right:
            raise InputError(f"{where}[{i}]: 'segmentation' must be a run-length encoding or a list of polygons")
    return [entry['segmentation'] for entry in entries]
