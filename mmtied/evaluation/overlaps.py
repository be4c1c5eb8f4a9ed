"""Which detections and instances of one image meet, in memory that grows with how many do.

A table of all detections by all instances of an image is what the COCO libraries make: at 20,000 of each it takes
3 GB. Here a pair is kept only where the two meet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from pycocotools import mask as rle

from ..coco.data import Detections, Entries, GroundTruth
from ..coco.masks import to_rle

PAIRS = 250_000  # that are looked at together
# Wider than any coordinate, so that the boxes of two images, laid out side by side, never meet.
APART = 1e7


@dataclass(frozen=True)
class Overlaps:
    """Pairs of a detection and an annotation of one image, in the order of the detections, then of the annotations.

    Attributes:
        found: Row of the detection, (pairs,).
        truth: Row of the annotation, (pairs,).
        iou: Intersection over union; for crowd regions over the detection's area, as the reference API has it.
    """

    found: np.ndarray
    truth: np.ndarray
    iou: np.ndarray

    def part(self, kept: np.ndarray) -> Overlaps:
        """Return some of the pairs, (pairs,) bool."""
        return Overlaps(self.found[kept], self.truth[kept], iou=self.iou[kept])


def find_overlaps(truth: GroundTruth, found: Detections, iou_type: str, least: float) -> Overlaps:
    """Return all pairs, of any classes, whose IoU is at least a value above 0.

    Args:
        truth, found: As ``mmtied.coco`` has checked them.
        iou_type: 'bbox' or 'segm'.
        least: The value.
    """
    find = _box_ious if iou_type == 'bbox' else _mask_ious
    parts = list(find(truth, found, least))
    rows, columns, iou = (np.concatenate(part) for part in zip(*parts)) if parts else (np.zeros(0, int),) * 3
    order = np.lexsort((columns, rows))
    return Overlaps(rows[order], columns[order], iou=iou[order].astype(np.float64))


def meeting_boxes(
    image: np.ndarray, boxes: np.ndarray, others_image: np.ndarray, others: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of boxes and rows of the others that may meet: their spans along x do, in one image.

    The others are looked at by their width, each octave apart, so that one wide box does not make all of them
    candidates of every box.

    Args:
        image: Index of each box's image, (n,).
        boxes: x, y, width, height in pixels, (n, 4).
        others_image, others: The same of the others, (m,) and (m, 4).
    """
    left = image * APART + boxes[:, 0] - 1
    right = left + boxes[:, 2].clip(0) + 2
    octave = np.ceil(np.log2(others[:, 2].clip(1))).astype(int)
    for power in np.unique(octave):
        rows = np.flatnonzero(octave == power)
        begin = others_image[rows] * APART + others[rows, 0]
        order = np.argsort(begin)
        rows, begin = rows[order], begin[order]
        first = np.searchsorted(begin, left - 2.0**power)
        counts = (np.searchsorted(begin, right, 'right') - first).clip(0)
        yield from ((own, rows[index]) for own, index in _spread(first, counts))


def _spread(first: np.ndarray, counts: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield each row as often as it counts, with the indices from its first on; about ``PAIRS`` of them together."""
    rows = np.flatnonzero(counts)
    for part in filter(len, np.split(rows, np.flatnonzero(np.diff(np.cumsum(counts[rows]) // PAIRS)) + 1)):
        own = np.repeat(part, counts[part])
        ends = np.cumsum(counts[part])
        yield own, np.arange(len(own)) - np.repeat(ends - counts[part] - first[part], counts[part])


def _candidates(truth: GroundTruth, found: Detections) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield rows of detections and of annotations whose boxes may meet: all of an image, unless it has very many."""
    images = len(truth.images)
    per_image = np.bincount(truth.image, minlength=images)
    many = per_image * np.bincount(found.image, minlength=images) > PAIRS
    order = np.argsort(truth.image, kind='stable')
    first = np.cumsum(per_image) - per_image
    counts = np.where(many, 0, per_image)[found.image]
    yield from ((own, order[index]) for own, index in _spread(first[found.image], counts))
    rows, columns = np.flatnonzero(many[found.image]), np.flatnonzero(many[truth.image])
    if len(rows):
        for own, others in meeting_boxes(
            found.image[rows], found.boxes[rows], others_image=truth.image[columns], others=truth.boxes[columns]
        ):
            yield rows[own], columns[others]


def _box_ious(
    truth: GroundTruth, found: Detections, least: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows of detections, rows of annotations and their IoUs, bit by bit those of pycocotools."""
    first, second = (np.ascontiguousarray(entries.boxes.T) for entries in (found, truth))
    ends = [boxes[:2] + boxes[2:] for boxes in (first, second)]
    areas = [boxes[2] * boxes[3] for boxes in (first, second)]
    for own, others in _candidates(truth, found):
        common = np.ones(len(own))
        for axis in (0, 1):  # What does not meet along x is not looked at along y.
            side = np.minimum(ends[0][axis][own], ends[1][axis][others])
            side -= np.maximum(first[axis][own], second[axis][others])
            meet = np.flatnonzero(side > 0)
            own, others, common = own[meet], others[meet], common[meet] * side[meet]
        area = areas[0][own]
        iou = common / np.where(truth.iscrowd[others], area, area + areas[1][others] - common)
        kept = np.flatnonzero(iou >= least)
        yield own[kept], others[kept], iou[kept]


def _mask_ious(
    truth: GroundTruth, found: Detections, least: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The same of masks, image by image."""
    for index, rows, columns in by_image(found, truth):
        crowds = truth.iscrowd[columns].astype(np.uint8)
        masks = masks_of(truth, columns, truth.images[index])
        for part in np.array_split(rows, -(-len(rows) * len(columns) // PAIRS)):
            ious = rle.iou(masks_of(found, part, truth.images[index]), masks, crowds)
            own, others = np.nonzero(ious >= least)
            yield part[own], columns[others], ious[own, others]


def by_image(first: Entries, second: Entries) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yield the index of every image that both have entries of, and the rows of each."""
    orders = [np.argsort(entries.image, kind='stable') for entries in (first, second)]
    images = np.intersect1d(first.image, second.image)
    bounds = [
        [np.searchsorted(entries.image[order], images, side) for side in ('left', 'right')]
        for entries, order in zip((first, second), orders)
    ]
    for i, index in enumerate(images.tolist()):
        own, others = (order[begin[i] : end[i]] for order, (begin, end) in zip(orders, bounds))
        yield index, own, others


def masks_of(entries: Entries, rows: np.ndarray, image: dict) -> list[dict]:
    """Return masks of one image as compressed run-length encodings."""
    return [to_rle(entries.masks[row], image) for row in rows]
