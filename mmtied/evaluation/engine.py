"""AP of a whole set and of parts of its images: matched once, accumulated for every part.

Two engines that give the same numbers: hotcoco, and pycocotools, the reference API.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping, Sequence

import hotcoco
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .coco_input import Detections, GroundTruth

SCORES = ('AP', 'AP50', 'AP75', 'AR')
ALL = 'all'


def average_precisions(
    ground_truth: GroundTruth,
    detections: Detections,
    iou_type: str,
    parts: Mapping[str, Sequence[int]],
    engine: str = 'hotcoco',
) -> dict[str, dict[str, float]]:
    """Return AP (IoU .50:.95), AP50, AP75 and AR, at 100 detections an image, of all images and of each part.

    Args:
        ground_truth, detections: What ``coco_input`` has checked.
        iou_type: 'bbox' or 'segm'.
        parts: Image ids by the name of the part.
        engine: 'hotcoco' or 'pycocotools'.

    Returns:
        Scores by part, the whole set under 'all'. -1 where a part has no ground truth, as in the reference API.
    """
    evaluate = {'hotcoco': _hotcoco, 'pycocotools': _pycocotools}[engine]
    return evaluate(ground_truth, detections, iou_type, parts)


def _hotcoco(ground_truth, detections, iou_type, parts):
    truth = hotcoco.COCO.from_arrays(
        ground_truth.images,
        ground_truth.categories,
        ground_truth.image_id,
        ground_truth.category_id,
        ground_truth.bbox,
        area=ground_truth.bbox[:, 2] * ground_truth.bbox[:, 3],
        iscrowd=ground_truth.iscrowd.astype(np.int64),
        segmentation=ground_truth.segmentation,
    )
    boxes = detections.bbox if iou_type == 'bbox' else np.zeros((len(detections.score), 4))
    rows = np.column_stack([detections.image_id, boxes, detections.score, detections.category_id])
    found = truth.load_res(rows, segmentation=detections.segmentation if iou_type == 'segm' else None)
    evaluation = hotcoco.COCOeval(truth, found, iou_type)
    evaluation.evaluate()
    evaluation.accumulate()
    scores = evaluation.slice_by({name: list(ids) for name, ids in parts.items()})
    scores[ALL] = scores.pop('_overall')
    return {name: {key: scores[name]['AR100' if key == 'AR' else key] for key in SCORES} for name in (ALL, *parts)}


def _pycocotools(ground_truth, detections, iou_type, parts):
    truth = COCO()
    truth.dataset = {
        'images': ground_truth.images,
        'categories': ground_truth.categories,
        'annotations': _entries(
            image_id=ground_truth.image_id.tolist(),
            category_id=ground_truth.category_id.tolist(),
            bbox=ground_truth.bbox.tolist(),
            area=(ground_truth.bbox[:, 2] * ground_truth.bbox[:, 3]).tolist(),
            iscrowd=ground_truth.iscrowd.astype(int).tolist(),
            segmentation=ground_truth.segmentation,
        ),
    }
    found = COCO()
    shape = detections.bbox.tolist() if iou_type == 'bbox' else detections.segmentation
    found.dataset = {
        'images': ground_truth.images,
        'categories': ground_truth.categories,
        'annotations': _entries(
            image_id=detections.image_id.tolist(),
            category_id=detections.category_id.tolist(),
            score=detections.score.tolist(),
            # Sizes of detections matter for size ranges only.
            area=[1.0] * len(detections.score),
            iscrowd=[0] * len(detections.score),
            **{'bbox' if iou_type == 'bbox' else 'segmentation': shape},
        ),
    }
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        found.createIndex()
        evaluation = COCOeval(truth, found, iou_type)
        evaluation.evaluate()
    params = evaluation.params
    matches = np.array(evaluation.evalImgs, dtype=object)
    matches = matches.reshape(len(params.catIds), len(params.areaRng), len(params.imgIds))
    position = {image_id: i for i, image_id in enumerate(params.imgIds)}
    scores = {}
    for name, ids in {ALL: params.imgIds, **parts}.items():
        chosen = sorted(position[image_id] for image_id in ids)
        # accumulate() reads the matches in the order of the images that evaluate() was given.
        evaluation.evalImgs = matches[:, :, chosen].ravel().tolist()
        evaluation._paramsEval.imgIds = [list(position)[i] for i in chosen]
        evaluation.params.imgIds = evaluation._paramsEval.imgIds
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        precision = evaluation.eval['precision'][..., 0, -1]  # (IoU thresholds, recalls, classes)
        recall = evaluation.eval['recall'][..., 0, -1]  # (IoU thresholds, classes)
        at = {f'AP{t}': precision[np.isclose(params.iouThrs, t / 100)] for t in (50, 75)}
        scores[name] = {key: _mean(value) for key, value in {'AP': precision, **at, 'AR': recall}.items()}
    return scores


def _entries(**columns) -> list[dict]:
    """Return columns as COCO's list of entries, numbered from 1."""
    columns = {key: column for key, column in columns.items() if column is not None}
    return [{'id': i, **dict(zip(columns, row))} for i, row in enumerate(zip(*columns.values()), start=1)]


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
