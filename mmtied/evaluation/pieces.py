"""Images of very many boxes or masks, cut into pieces that no match crosses, for the COCO libraries.

These make a table of all detections by all instances of an image and class. What can match lies close together: only
pairs from the least IoU of a match up have to stay in one piece.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..coco.data import Detections, GroundTruth
from .overlaps import find_overlaps

LARGEST_TABLE = 4_000_000  # detections by instances of an image
LEAST_IOU = 0.5
ALONE = -1  # what meets nothing


@dataclass(frozen=True)
class Pieces:
    """A set whose large images are cut, so that each piece is an image.

    Attributes:
        truth: Its images are the pieces. Behind its annotations are copies of crowd regions, one for each piece that
            they reach into: any number of detections may match a crowd region.
        found: The detections, in the same order; scores are ranks where something was cut, since the order of
            detections of equal score would depend on the piece.
        image: Index of each piece's image, (pieces,).
    """

    truth: GroundTruth
    found: Detections
    image: np.ndarray

    def of(self, images: np.ndarray) -> np.ndarray:
        """Return the indices of the pieces of images, given by their indices."""
        return np.flatnonzero(np.isin(self.image, images))


def within_limit(found: Detections, max_dets: int, of_class: bool = True) -> np.ndarray:
    """Return which detections are among the best ``max_dets`` of their class and image, (n,) bool.

    Args:
        found: The detections.
        max_dets: How many.
        of_class: Whether each class is looked at by itself. Defaults to True; else the best of an image.
    """
    classes = found.category if of_class else np.zeros_like(found.category)
    group = np.sort(found.image * (classes.max(initial=0) + 1) + classes)
    if not (group[max_dets:] == group[:-max_dets]).any():  # The usual case, without a sort by score.
        return np.ones(len(group), dtype=bool)
    order = np.lexsort((-found.score, classes, found.image))
    image, category = found.image[order], classes[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (image[1:] != image[:-1]) | (category[1:] != category[:-1])
    index = np.arange(len(order))
    within = np.empty(len(order), dtype=bool)
    within[order] = index - np.maximum.accumulate(np.where(begins, index, 0)) < max_dets
    return within


def cut(truth: GroundTruth, found: Detections, iou_type: str, max_dets: int) -> Pieces:
    """Return a set without the detections beyond the limit, its large images cut.

    Args:
        truth, found: As ``mmtied.coco`` has checked them.
        iou_type: 'bbox' or 'segm'.
        max_dets: How many detections of a class and image count.
    """
    found = found.rows(within_limit(found, max_dets))
    count = len(truth.images)
    tables = np.bincount(truth.image, minlength=count) * np.bincount(found.image, minlength=count)
    large = tables > LARGEST_TABLE
    if not large.any():
        return Pieces(truth, found, image=np.arange(count))
    truth_rows, found_rows = (np.flatnonzero(large[entries.image]) for entries in (truth, found))
    pairs = find_overlaps(truth.rows(truth_rows), found.rows(large[found.image]), iou_type, least=LEAST_IOU)
    pairs_truth, pairs_found = truth_rows[pairs.truth], found_rows[pairs.found]
    same_class = truth.category[pairs_truth] == found.category[pairs_found]
    pairs_truth, pairs_found = pairs_truth[same_class], pairs_found[same_class]
    crowd = truth.iscrowd[pairs_truth]
    instances = len(truth.image)
    label = _components(pairs_truth[~crowd], instances + pairs_found[~crowd], size=instances + len(found.image))
    # What is alone needs no company: instances in one piece, detections in another.
    linked = np.zeros(len(label), dtype=bool)
    linked[pairs_truth[~crowd]] = linked[instances + pairs_found[~crowd]] = True
    label[~linked] = ALONE
    label[instances:][~linked[instances:]] = ALONE - 1
    image = np.concatenate([truth.image, found.image])
    label[~large[image]] = 0
    keys, piece = np.unique(np.column_stack([image, label]), axis=0, return_inverse=True)
    piece = piece.ravel()
    # Images without entries are pieces too.
    empty = np.setdiff1d(np.arange(count), keys[:, 0])
    of_piece = np.concatenate([keys[:, 0], empty])
    reached = np.unique(np.column_stack([pairs_truth[crowd], piece[instances + pairs_found[crowd]]]), axis=0)
    copies = truth.rows(reached[:, 0])
    rank = np.empty(len(found.score))
    rank[np.lexsort((found.image, -found.score))] = np.arange(len(rank), 0, -1)
    images = [dict(truth.images[index], id=i) for i, index in enumerate(of_piece.tolist())]
    return Pieces(
        truth=replace(
            truth,
            images=images,
            image=np.concatenate([piece[:instances], reached[:, 1]]),
            category=np.concatenate([truth.category, copies.category]),
            bbox=np.concatenate([truth.bbox, copies.bbox]),
            area=np.concatenate([truth.area, copies.area]),
            sized=np.concatenate([truth.sized, copies.sized]),
            iscrowd=np.concatenate([truth.iscrowd, copies.iscrowd]),
            ignore=np.concatenate([truth.ignore, copies.ignore]),
            segmentation=None if truth.segmentation is None else truth.segmentation + (copies.segmentation or []),
            ids=truth.ids + copies.ids,
            amodal=None,
            values=None,
        ),
        found=replace(found, image=piece[instances:], score=rank / len(rank)),
        image=of_piece,
    )


def _components(first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    """Return a label of each of ``size`` nodes, equal where edges (first, second) connect them, (size,)."""
    label = np.arange(size)
    while True:
        before = label.copy()
        least = np.minimum(label[first], label[second])
        np.minimum.at(label, first, least)
        np.minimum.at(label, second, least)
        label = label[label]
        if np.array_equal(label, before):
            return label
