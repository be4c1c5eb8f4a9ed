"""Why a detector fails: false positives, duplicates, poor localisation, and what only partial detections hit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from hotcoco.primitives import bbox_iou, mask_iou

from .coco_input import Detections, GroundTruth
from .engine import hotcoco_evaluation
from .masks import to_rle

MATCH_IOU = 0.5
PARTIAL_IOU = 0.1


@dataclass(frozen=True)
class Errors:
    """The errors of a bin's detections from a score up, at IoU .5; kinds as in TIDE (Bolya et al., ECCV 2020).

    Attributes:
        false_positives: Detections an image that match no instance, of all kinds.
        duplicates: Detections of an instance that a better one has matched already.
        localisation: Detections of the right class whose IoU with an instance is from .1 to .5.
        missed: Instances that no detection matches, nor would after mending its class or its place.
        partial: Share of the instances that only partial detections of their class hit: the best IoU is from .1 to .5.
            NaN without instances.
    """

    false_positives: float
    duplicates: int
    localisation: int
    missed: int
    partial: float


def count_errors(
    truth: GroundTruth,
    found: Detections,
    iou_type: str,
    parts: Sequence[np.ndarray],
    score_thr: float,
    ignored: np.ndarray | None = None,
) -> list[Errors | None]:
    """Return the errors of each part of the images, None for a part without images.

    Args:
        truth, found: What ``coco_input`` has checked.
        iou_type: 'bbox' or 'segm'.
        parts: Places of images.
        score_thr: Detections of a lower score do not count.
        ignored: Annotations that do not count, (n,) bool: neither they nor what matches them. Defaults to none.
    """
    found = found.rows(found.score >= score_thr)
    instances = ~truth.iscrowd if ignored is None else ~truth.iscrowd & ~ignored
    partial = _hit_in_part(truth, found, iou_type)
    evaluation = hotcoco_evaluation(truth, found, iou_type, ignored)
    evaluation.params.iou_thrs = [MATCH_IOU]
    errors: list[Errors | None] = []
    for part in parts:
        if not len(part):
            errors.append(None)
            continue
        evaluation.params.img_ids = (part + 1).tolist()
        evaluation.evaluate()
        counts = evaluation.tide_errors(MATCH_IOU, PARTIAL_IOU)['counts']
        inside = np.zeros(len(truth.images), dtype=bool)
        inside[part] = True
        of_part = partial[instances & inside[truth.image]]
        errors.append(
            Errors(
                false_positives=(sum(counts.values()) - counts['Miss']) / len(part),
                duplicates=counts['Dupe'],
                localisation=counts['Loc'],
                missed=counts['Miss'],
                partial=float(of_part.mean()) if of_part.size else float('nan'),
            )
        )
    return errors


def _hit_in_part(truth: GroundTruth, found: Detections, iou_type: str) -> np.ndarray:
    """Which instances have a detection of their class with an IoU from .1 to .5 and none above, (n,) bool."""
    best = np.zeros(len(truth.image))
    groups = [entries.image * len(truth.categories) + entries.category for entries in (truth, found)]
    order = [np.argsort(group, kind='stable') for group in groups]
    for group in np.intersect1d(*groups):
        rows, detected = (
            order_[slice(*np.searchsorted(group_, [group, group + 1], sorter=order_))]
            for group_, order_ in zip(groups, order)
        )
        rows = rows[~truth.iscrowd[rows]]
        if len(rows):
            no_crowd = [False] * len(rows)
            if iou_type == 'segm':
                image = truth.images[truth.image[rows[0]]]
                masks = [[to_rle(entries.segmentation[row], image) for row in part]
                         for entries, part in ((found, detected), (truth, rows))]  # fmt: skip
                ious = mask_iou(*masks, no_crowd)
            else:
                ious = bbox_iou(found.bbox[detected], truth.bbox[rows], no_crowd)
            best[rows] = ious.max(0)
    return (best >= PARTIAL_IOU) & (best < MATCH_IOU)


def image_f1(truth: GroundTruth, found: Detections, iou_type: str, score_thr: float) -> np.ndarray:
    """Return each image's F1 at IoU .5, of detections from a score up, (images,).

    NaN where there is nothing to find and nothing was found.
    """
    evaluation = hotcoco_evaluation(truth, found.rows(found.score >= score_thr), iou_type)
    evaluation.params.iou_thrs = [MATCH_IOU]
    evaluation.evaluate()
    f1 = np.full(len(truth.images), np.nan)
    for image, summary in evaluation.image_diagnostics(iou_thr=MATCH_IOU, score_thr=2.0)['img_summary'].items():
        if summary['tp'] or summary['fp'] or summary['fn']:
            f1[image - 1] = summary['f1']
    return f1
