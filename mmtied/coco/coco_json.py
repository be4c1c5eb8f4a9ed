"""Read COCO ground truth and results as they are found, into columns that hold only what the evaluation needs.

Users' files are not clean: extra keys, odd types in fields that nobody reads, ids that start at 0. The engines differ
in what they refuse and in what they make of it (the reference API takes an annotation with id 0 for unmatched). So
images and categories are known by their index in the order of their ids, by which the reference API breaks ties of
score, annotations by none, and both engines get the same columns.
"""

from __future__ import annotations

import json
from collections import Counter
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from ..utils.errors import InputError
from .amodal import amodal_areas
from .columns import (
    LARGEST,
    LENIENT,
    Ids,
    RawDetection,
    as_text,
    check_ids,
    check_known,
    id_order,
    kind_of,
    read_boxes,
    read_column,
    read_flags,
    read_segmentations,
    read_values,
    shown,
)
from .data import Detections, GroundTruth, Note
from .key import Key

LARGEST_AREA = 1e5**2  # of the reference API's range of all sizes


def read_json(source: str | PathLike | Any, name: str, results: bool = False) -> tuple[Any, str]:
    """Return the content of a json file, or the content as it was given, and a name for messages.

    Args:
        source: A path, what the file would hold, or a ``COCO`` object of pycocotools, mmdet or hotcoco.
        name: The name for content that is given.
        results: Whether a list of detections is expected, which a ``COCO`` object has among its own. Defaults to False.

    Raises:
        InputError: If there is no such file, or it is not json.
    """
    if not isinstance(source, (str, PathLike)):
        # What the COCO libraries have read.
        content = getattr(source, 'dataset', source)
        if results and content is not source and isinstance(content, dict):
            content = content.get('annotations')
        return content, name
    try:
        content = Path(source).read_bytes()
    except OSError as error:
        raise InputError(f'{source}: cannot be read: {error.strerror}') from error
    try:
        return msgspec.json.decode(content), str(source)
    except (msgspec.DecodeError, RecursionError):
        pass  # dirt, or what strict json has no word for, such as NaN
    try:
        return json.loads(content.removeprefix(b'\xef\xbb\xbf')), str(source)
    except (ValueError, RecursionError) as error:
        raise InputError(f'{source}: not valid json: {error}') from error


def check_ground_truth(
    data: Any, source: str, masks: bool = False, by: Key | None = None, amodal: bool = False
) -> GroundTruth:
    """Check a COCO ground truth and keep what is evaluated.

    Args:
        data: Content of the json file.
        source: Name for it in messages.
        masks: Whether masks are needed: every annotation's segmentation and every image's size. Defaults to False.
        by: What is binned, if it stands under a key. Defaults to None.
        amodal: Whether amodal masks are needed, see :func:`~mmtied.coco.amodal.amodal_areas`. Defaults to False.

    Raises:
        InputError: If a needed key is missing or an entry makes no sense.
    """
    if not isinstance(data, dict):
        raise InputError(f'{source}: a ground truth is a json object, found {kind_of(data)}; are the files swapped?')
    for key in ('images', 'annotations', 'categories'):
        if not isinstance(data.get(key), list):
            raise InputError(f"{source}: '{key}' must be a list, found {kind_of(data.get(key))}")
    for key in ('images', 'categories'):
        if not data[key]:
            raise InputError(f"{source}: '{key}' is empty, so there is nothing to evaluate")
    for key in ('images', 'categories'):
        check_ids(read_values(data[key], 'id', f'{source}: {key}'), f'{source}: {key}')
    # Annotations need no id, but one that is given twice tells of a file that was put together wrongly.
    given = [entry['id'] for entry in data['annotations'] if isinstance(entry, dict) and 'id' in entry]
    check_ids(given, f'{source}: annotations')
    images = read_images(data['images'], f'{source}: images', masks or amodal)
    categories = read_categories(data['categories'])
    index = {entry['id']: i for i, entry in enumerate(categories)}

    where = f'{source}: annotations'
    image = Ids(images).indices(data['annotations'], 'image_id', where)
    category = Ids(categories).indices(data['annotations'], 'category_id', where)
    kept = image >= 0
    if len(kept) and not kept.any():
        example = shown(data['annotations'][0]['image_id'])
        raise InputError(
            f'{where}: none of the image_ids is among the images, for instance image_id={example} of {where}[0]'
        )
    check_known(
        category[kept],
        np.flatnonzero(kept),
        entries=data['annotations'],
        key='category_id',
        where=where,
        what='categories',
        known=categories,
    )
    annotations = [data['annotations'][i] for i in np.flatnonzero(kept)]
    ignore, iscrowd = (read_flags(annotations, name, where) for name in ('ignore', 'iscrowd'))
    areas = np.array([area_of(entry.get('area')) for entry in annotations], dtype=np.float64)
    sized = ~np.isnan(areas)
    outside = sized & ((areas < 0) | (areas > LARGEST_AREA))
    notes: tuple[Note, ...] = ()
    if outside.any():
        count = int(outside.sum())
        what = "annotations whose 'area' is negative or above 10^10, which the reference API ignores"
        notes = (Note('area', count, f'{source}: {what}: {count:,}.'),)
    ignore |= outside
    bbox = read_boxes(annotations, where)
    values = None
    if by is not None:
        values = by.read(
            annotations,
            data['images'],
            source=source,
            rows=np.flatnonzero(kept),
            counted=~(ignore | iscrowd),
            bbox=bbox,
        )
        notes += values.notes
    hidden = None
    if amodal:
        counted = ~(ignore | iscrowd)
        hidden = amodal_areas(annotations, images=images, indices=image[kept], counted=counted, where=where)
    return GroundTruth(
        images=images,
        categories=categories,
        image=image[kept],
        category=category[kept],
        bbox=bbox,
        area=np.where(sized, areas, bbox[:, 2:].prod(1).clip(max=LARGEST_AREA)),
        sized=sized,
        iscrowd=iscrowd,
        ignore=ignore,
        segmentation=read_segmentations(annotations, where, images=images, indices=image[kept]) if masks else None,
        ids=[entry.get('id') for entry in annotations],
        labels=np.array([index[entry['id']] for entry in data['categories']]),
        orphans=int((~kept).sum()),
        amodal=hidden,
        values=values,
        notes=notes,
    )


def area_of(area: Any) -> float:
    """Return an annotation's area, NaN for what is none; those outside the reference API's range are ignored there."""
    if not isinstance(area, (int, float, np.number)):
        return float('nan')
    try:
        return float(area)
    except OverflowError:
        return float('inf') if area > 0 else float('-inf')


def read_images(entries: list[dict], where: str, masks: bool) -> list[dict]:
    """Return id, name of the file ('' for none) and size, if it has one, of each image, in the order of ids."""
    images = []
    for image in entries:
        name = image.get('file_name')
        if name is None and image.get('coco_url') is not None:  # LVIS's has folder and name behind the host
            name = '/'.join(as_text(image['coco_url']).split('/')[-2:])
        images.append({'id': image['id'], 'file_name': '' if name is None else as_text(name)})
        for key in ('width', 'height'):
            value = image.get(key)
            if isinstance(value, (int, float, np.number)) and 1 <= value <= LARGEST and int(value) == value:
                images[-1][key] = int(value)
    right = f'a whole number of pixels from 1 to {LARGEST:,}; masks need it'
    for key in ('width', 'height') if masks else ():
        sizes = read_column(entries, key, where=where, shape=(), right=right)
        wrong = [i for i, image in enumerate(images) if key not in image]
        if wrong:
            raise InputError(f"{where}[{wrong[0]}]: '{key}' is {sizes[wrong[0]]:g}, it must be {right}")
    return sorted(images, key=id_order)


def read_categories(entries: list[dict]) -> list[dict]:
    """Return id and name of each category, in the order of ids; those of one name are told apart by their ids."""
    categories = [{'id': entry['id'], 'name': as_text(entry.get('name', entry['id']))} for entry in entries]
    names = Counter(entry['name'] for entry in categories)
    for entry in categories:
        if names[entry['name']] > 1:
            entry['name'] += f' ({entry["id"]})'
    return sorted(categories, key=id_order)


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
        scored = isinstance(data, dict) and isinstance(data.get('annotations'), list)
        if scored and any(isinstance(entry, dict) and 'score' in entry for entry in data['annotations']):
            raise InputError(
                f"{source}: results are a json list of detections, found an object with scored 'annotations'; "
                f'{LENIENT} takes these'
            )
        raise InputError(
            f'{source}: results are a json list of detections, found {kind_of(data)}; are the files swapped?'
        )
    if strict and not data:
        raise InputError(f'{source}: contains no detections, so there is nothing to evaluate')
    indices = {}
    for name, known, ids in (
        ('image', ground_truth.images, ground_truth.image_ids),
        ('category', ground_truth.categories, ground_truth.category_ids),
    ):
        indices[name] = ids.indices(data, f'{name}_id', source)
        what = 'images' if name == 'image' else 'categories'
        check_known(
            indices[name],
            np.arange(len(data)),
            entries=data,
            key=f'{name}_id',
            where=source,
            what=f'{what} of the ground truth',
            known=known,
        )
    score = read_column(data, 'score', where=source, shape=(), right='a number')
    outside = np.flatnonzero((score < 0) | (score > 1))
    if strict and outside.size:
        raise InputError(
            f'{source}[{outside[0]}]: score={score[outside[0]]:g} must lie in [0, 1]; {LENIENT} takes scores as ranks'
        )
    return Detections(
        image=indices['image'],
        category=indices['category'],
        score=score,
        bbox=read_boxes(data, source, strict) if iou_type == 'bbox' else None,
        segmentation=(
            read_segmentations(data, source, images=ground_truth.images, indices=indices['image'])
            if iou_type == 'segm'
            else None
        ),
    )


def iou_type_of(results: Any) -> str:
    """Return 'segm' for results that hold masks and no boxes, else 'bbox'."""
    if isinstance(results, dict):  # With scored annotations, which the lenient mode takes.
        results = results.get('annotations')
    first = results[0] if isinstance(results, list) and results else None
    if isinstance(first, RawDetection):
        return 'segm' if bytes(first.segmentation) and not first.bbox else 'bbox'
    return 'segm' if isinstance(first, dict) and first.get('segmentation') and not first.get('bbox') else 'bbox'
