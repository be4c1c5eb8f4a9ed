"""LVIS's rules, brought into a form that COCO's rules judge in the same way.

An image of LVIS is searched for some of the classes only (Gupta et al., CVPR 2019). What is detected of others is
neither right nor wrong, so these detections are left out. Of some classes not all instances are labelled, so that what
matches none is not wrong: a crowd region around the detections of such a class in an image forgives these, as crowd
regions do in the reference API.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..coco.data import Detections, GroundTruth
from .pieces import within_limit
from .sizes import detection_areas

MAX_DETECTIONS = 300  # of an image, whatever their class


def federated(truth: GroundTruth, found: Detections, max_dets: int) -> tuple[GroundTruth, Detections]:
    """Return the detections that LVIS's evaluation counts, and a ground truth that forgives what it forgives.

    Args:
        truth: A ground truth that knows which classes its images were searched for.
        found: All detections.
        max_dets: How many detections of an image count, the best first.

    Returns:
        The ground truth with these regions behind its annotations, and with what hotcoco's evaluation of LVIS reads of
        images and categories; and those of the detections that count.
    """
    found = found.rows(counted(truth, found, max_dets))
    frequencies = zip(truth.categories, truth.searched.frequency.tolist())
    truth = replace(
        truth,
        images=_with_searched(truth, found),
        categories=[entry | {'frequency': frequency} for entry, frequency in frequencies],
    )
    return _with_regions(truth, found), found


def counted(truth: GroundTruth, found: Detections, max_dets: int) -> np.ndarray:
    """Return which detections LVIS's evaluation counts, (n,) bool.

    Args:
        truth, found, max_dets: As of :func:`federated`.
    """
    count = len(truth.categories)
    searched = [(truth.image, truth.category), tuple(truth.searched.negative.T)]
    keys = np.concatenate([image * count + category for image, category in searched])
    areas = detection_areas(found, truth, 'segm' if found.bbox is None else 'bbox')
    known = np.isin(found.image * count + found.category, keys)
    return within_limit(found, max_dets, of_class=False) & known & (areas > 0)


def _with_regions(truth: GroundTruth, found: Detections) -> GroundTruth:
    """Return a ground truth with crowd regions around the detections of classes that are not exhaustively labelled."""
    count = len(truth.categories)
    own = found.image * count + found.category
    not_exhaustive = np.isin(own, truth.searched.not_exhaustive @ np.array([count, 1]))
    regions, members = np.unique(own[not_exhaustive], return_inverse=True)
    if not len(regions) or not len(truth.image):  # Without any instance nothing is scored.
        return truth
    image, category = np.divmod(regions, count)
    if found.bbox is not None:
        boxes = found.bbox[not_exhaustive]
        low, high = np.full((len(regions), 2), np.inf), np.full((len(regions), 2), -np.inf)
        np.minimum.at(low, members, boxes[:, :2])
        np.maximum.at(high, members, boxes[:, :2] + boxes[:, 2:])
        around = np.column_stack([low - 1, high - low + 2])
    else:
        around = np.array([[0.0, 0.0, truth.images[i]['width'], truth.images[i]['height']] for i in image])
    segmentation = truth.segmentation
    if segmentation is not None:
        sizes = [[truth.images[i]['height'], truth.images[i]['width']] for i in image]
        segmentation = segmentation + [{'size': size, 'counts': [0, size[0] * size[1]]} for size in sizes]
    added = np.zeros(len(regions), dtype=np.int64)
    # Copies of an annotation have the other columns, which nobody reads of a crowd region.
    return replace(
        truth.rows(np.concatenate([np.arange(len(truth.image)), added])),
        image=np.concatenate([truth.image, image]),
        category=np.concatenate([truth.category, category]),
        bbox=np.concatenate([truth.bbox, around]),
        iscrowd=np.concatenate([truth.iscrowd, added == 0]),
        ignore=np.concatenate([truth.ignore, added > 0]),
        segmentation=segmentation,
    )


def _with_searched(truth: GroundTruth, found: Detections) -> list[dict]:
    """Return the images with the classes that hotcoco may judge, all that are still detected, by its numbers from 1."""
    order = np.argsort(found.image, kind='stable')
    ends = np.searchsorted(found.image[order], np.arange(len(truth.images)), side='right')
    parts = np.split(found.category[order], ends[:-1])
    return [
        image | {'neg_category_ids': (np.unique(part) + 1).tolist(), 'not_exhaustive_category_ids': []}
        for image, part in zip(truth.images, parts)
    ]
