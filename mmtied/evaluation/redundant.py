"""Redundant partial detections: those that hit only a part of an instance which another detection finds as a whole."""

from __future__ import annotations

import numpy as np
from pycocotools import mask as rle

from .coco_input import Detections, GroundTruth
from .errors import MATCH_IOU, PARTIAL_IOU
from .masks import to_rle


def redundant_partials(truth: GroundTruth, found: Detections, iou_type: str) -> np.ndarray:
    """Return which detections are redundant and partial, (n,) bool.

    Such a detection's best IoU with an instance of its class is from .1 to .5, and that instance has another detection
    of its class with an IoU of .5 or more. Crowd regions are no instances.

    Args:
        truth, found: What ``coco_input`` has checked.
        iou_type: 'bbox' or 'segm'.
    """
    redundant = np.zeros(len(found.score), dtype=bool)
    of_truth, of_found = (entries.image * len(truth.categories) + entries.category for entries in (truth, found))
    of_truth = np.where(truth.iscrowd, -1, of_truth)
    for group in np.intersect1d(of_truth, of_found):
        instances, detections = np.flatnonzero(of_truth == group), np.flatnonzero(of_found == group)
        if iou_type == 'segm':
            image = truth.images[truth.image[instances[0]]]
            regions = [
                [to_rle(entries.segmentation[row], image) for row in rows]
                for entries, rows in ((found, detections), (truth, instances))
            ]
        else:
            regions = [found.bbox[detections], truth.bbox[instances]]
        ious = rle.iou(*regions, [0] * len(instances))  # (detections, instances)
        best = ious.max(1)
        whole = ious.max(0) >= MATCH_IOU
        redundant[detections] = (best >= PARTIAL_IOU) & (best < MATCH_IOU) & whole[ious.argmax(1)]
    return redundant
