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

PAIRS = 1_000_000  # that are looked at together
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
    parts = list(_ious(truth, found, iou_type=iou_type, least=least))
    rows, columns, iou = (np.concatenate(part) for part in zip(*parts)) if parts else (np.zeros(0, int),) * 3
    order = np.argsort(rows, kind='stable')
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
        for part in _chunks(counts):
            own = np.repeat(part, counts[part])
            ends = np.cumsum(counts[part])
            yield own, rows[np.arange(len(own)) - np.repeat(ends - counts[part] - first[part], counts[part])]


def _chunks(counts: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the indices of what counts for something, in runs of about ``PAIRS`` together."""
    rows = np.flatnonzero(counts)
    yield from filter(len, np.split(rows, np.flatnonzero(np.diff(np.cumsum(counts[rows]) // PAIRS)) + 1))


def _ious(
    truth: GroundTruth, found: Detections, iou_type: str, least: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield rows of detections, rows of annotations and their IoUs, image by image, ascending in each."""
    for index, rows, columns in by_image(found, truth):
        size = len(rows) * len(columns)
        if iou_type == 'bbox' and size > PAIRS:
            yield _box_ious(truth, found, rows=rows, columns=columns, least=least)
            continue
        crowds = truth.iscrowd[columns].astype(np.uint8)
        regions = _regions(truth, columns, image=truth.images[index], iou_type=iou_type)
        for part in np.array_split(rows, -(-size // PAIRS)):
            ious = rle.iou(_regions(found, part, image=truth.images[index], iou_type=iou_type), regions, crowds)
            own, others = np.nonzero(ious >= least)
            yield part[own], columns[others], ious[own, others]


def _box_ious(
    truth: GroundTruth, found: Detections, rows: np.ndarray, columns: np.ndarray, least: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The same of one image with very many boxes."""
    kept = []
    for own, others in meeting_boxes(found.image[rows], found.boxes[rows], truth.image[columns], truth.boxes[columns]):
        own, others = rows[own], columns[others]
        first, second = found.boxes[own], truth.boxes[others]
        low = np.maximum(first[:, :2], second[:, :2])
        common = (np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:]) - low).clip(0).prod(1)
        area = first[:, 2:].prod(1)
        union = np.where(truth.iscrowd[others], area, area + second[:, 2:].prod(1) - common)
        iou = np.divide(common, union, out=np.zeros(len(own)), where=common > 0)
        meet = iou >= least
        kept.append((own[meet], others[meet], iou[meet]))
    own, others, iou = (np.concatenate(part) for part in zip(*kept)) if kept else (rows[:0], columns[:0], np.zeros(0))
    order = np.lexsort((others, own))
    return own[order], others[order], iou[order]


def _regions(entries: Entries, rows: np.ndarray, image: dict, iou_type: str) -> np.ndarray | list[dict]:
    """Boxes or masks of one image as pycocotools takes them."""
    return masks_of(entries, rows, image) if iou_type == 'segm' else entries.boxes[rows]


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
