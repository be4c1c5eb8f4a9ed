"""Why a detector fails: false positives, duplicates, poor localisation, and instances that are only hit in part."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hotcoco.primitives import mask_iou
from pycocotools import mask as rle

from ..coco.data import Detections, GroundTruth
from ..coco.masks import to_rle
from .engine import hotcoco_evaluation
from .scores import Errors

MATCH_IOU = 0.5
PARTIAL_IOU = 0.1
KINDS = ('Cls', 'Loc', 'Both', 'Dupe', 'Bkg', 'Miss')  # as hotcoco names them; all but the last are false positives


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
        truth, found: As ``mmtied.coco`` has checked them.
        iou_type: 'bbox' or 'segm'.
        parts: Indices of images.
        score_thr: Detections of a lower score do not count.
        ignored: Annotations that do not count, (n,) bool: neither they nor what matches them. Defaults to none.
    """
    found = found.rows(found.score >= score_thr)
    instances = ~truth.iscrowd if ignored is None else ~truth.iscrowd & ~ignored
    partial = _hit_in_part(truth, found, iou_type)
    evaluation = hotcoco_evaluation(truth, found, iou_type=iou_type, ignored=ignored)
    evaluation.params.iou_thrs = [MATCH_IOU]
    # Counts add up: images of the same parts are counted together, and once.
    member = np.zeros((len(truth.images), len(parts)), dtype=bool)
    for i, part in enumerate(parts):
        member[part, i] = True
    groups, group_of = np.unique(member, axis=0, return_inverse=True)
    counts = np.zeros((len(groups), len(KINDS)), dtype=np.int64)
    for i in range(len(groups)):
        evaluation.params.img_ids = (np.flatnonzero(group_of == i) + 1).tolist()
        evaluation.evaluate()
        of_group = evaluation.tide_errors(MATCH_IOU, PARTIAL_IOU)['counts']
        counts[i] = [of_group[kind] for kind in KINDS]
    errors: list[Errors | None] = []
    for i, of_part in enumerate(groups.T.astype(np.int64) @ counts):
        kinds = dict(zip(KINDS, of_part.tolist()))
        missed = kinds.pop('Miss')
        hits = partial[instances & member[truth.image, i]]
        if ignored is not None:
            kinds = dict.fromkeys(kinds, float('nan'))
        errors.append(
            Errors(
                false_positives=sum(kinds.values()) / len(parts[i]),
                duplicates=kinds['Dupe'],
                localisation=kinds['Loc'],
                missed=missed,
                partial=float(hits.mean()) if hits.size else float('nan'),
            )
            if len(parts[i])
            else None
        )
    return errors


def _hit_in_part(truth: GroundTruth, found: Detections, iou_type: str) -> np.ndarray:
    """Which instances have a detection of their class with an IoU from .1 to .5 and none above, (n,) bool."""
    instances = np.flatnonzero(~truth.iscrowd)
    # An instance's candidates are the detections of its image and class: neighbours in this order.
    groups = [entries.image * len(truth.categories) + entries.category for entries in (truth, found)]
    order = np.argsort(groups[1], kind='stable')
    begin, end = (np.searchsorted(groups[1], groups[0][instances], side, sorter=order) for side in ('left', 'right'))
    best = np.zeros(len(truth.image))
    hit = end > begin
    instances, begin, counts = instances[hit], begin[hit], (end - begin)[hit]
    if iou_type == 'segm':
        for row, first, count in zip(instances, begin, counts):
            image = truth.images[truth.image[row]]
            candidates = [to_rle(found.segmentation[k], image) for k in order[first : first + count]]
            best[row] = mask_iou(candidates, [to_rle(truth.segmentation[row], image)], [False]).max()
    elif len(instances):
        starts = np.cumsum(counts) - counts
        pairs = order[np.repeat(begin - starts, counts) + np.arange(counts.sum())]
        ious = _paired_iou(np.repeat(truth.bbox[instances], counts, axis=0), found.bbox[pairs])
        best[instances] = np.maximum.reduceat(ious, starts)
    return (best >= PARTIAL_IOU) & (best < MATCH_IOU)


def _paired_iou(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The IoU of each pair of boxes (n, 4), (n,); 0 where they do not meet."""
    low = np.maximum(first[:, :2], second[:, :2])
    high = np.minimum(first[:, :2] + first[:, 2:], second[:, :2] + second[:, 2:])
    common = (high - low).clip(0).prod(1)
    union = first[:, 2:].prod(1) + second[:, 2:].prod(1) - common
    return np.divide(common, union, out=np.zeros(len(common)), where=common > 0)


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


def redundant_partials(truth: GroundTruth, found: Detections, iou_type: str) -> np.ndarray:
    """Return which detections are redundant and partial, (n,) bool.

    Such a detection's best IoU with an instance of its class is from .1 to .5, and that instance has another detection
    of its class with an IoU of .5 or more. Crowd regions do not count as instances.

    Args:
        truth, found: As ``mmtied.coco`` has checked them.
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
