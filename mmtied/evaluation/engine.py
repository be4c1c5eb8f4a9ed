"""AP of a whole set and of parts of its images: matched once, accumulated for every part.

Two engines that give the same numbers: hotcoco, and pycocotools, the reference API.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence

import hotcoco
import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from .coco_input import Detections, GroundTruth

ENGINES = ('hotcoco', 'pycocotools')
SCORES = ('AP', 'AP50', 'AP75', 'AR')


def average_precisions(
    truth: GroundTruth, found: Detections, parts: Sequence[np.ndarray], engine: str = 'hotcoco'
) -> list[dict[str, float]]:
    """Return AP (IoU .50:.95), AP50, AP75 and AR, at 100 detections an image, of each part of the images.

    Args:
        truth, found: What ``coco_input`` has checked, for masks if it holds segmentations, else for boxes.
        parts: Places of images.
        engine: 'hotcoco' or 'pycocotools'.

    Returns:
        Scores of each part, between 0 and 1; NaN where a part has no ground truth.
    """
    scores = (_hotcoco if engine == 'hotcoco' else _pycocotools)(truth, found, parts)
    return [{key: value if value > -1 else float('nan') for key, value in part.items()} for part in scores]


# The engines know images and categories by their place, from 1: they differ in which ids they take.


def _hotcoco(truth: GroundTruth, found: Detections, parts: Sequence[np.ndarray]) -> list[dict[str, float]]:
    masks = truth.segmentation is not None
    images = [image | {'id': i} for i, image in enumerate(truth.images, start=1)]
    categories = [category | {'id': i} for i, category in enumerate(truth.categories, start=1)]
    gt = hotcoco.COCO.from_arrays(
        *(images, categories, truth.image + 1, truth.category + 1, truth.bbox),
        area=_areas(truth),
        iscrowd=truth.iscrowd.astype(np.int64),
        segmentation=truth.segmentation,
    )
    boxes = np.zeros((len(found.score), 4)) if masks else found.bbox
    rows = np.column_stack([found.image + 1, boxes, found.score, found.category + 1])
    dt = gt.load_res(rows, segmentation=found.segmentation if masks else None)
    evaluation = hotcoco.COCOeval(gt, dt, 'segm' if masks else 'bbox')
    evaluation.evaluate()
    evaluation.accumulate()
    slices = evaluation.slice_by({str(i): (part + 1).tolist() for i, part in enumerate(parts)})
    names = dict(zip(SCORES, ('AP', 'AP50', 'AP75', 'AR100')))
    return [{key: slices[str(i)][name] for key, name in names.items()} for i in range(len(parts))]


def _pycocotools(truth: GroundTruth, found: Detections, parts: Sequence[np.ndarray]) -> list[dict[str, float]]:
    masks = truth.segmentation is not None
    shape = {'segmentation': found.segmentation} if masks else {'bbox': found.bbox.tolist()}
    # Of a detection's area only the sign counts, and masks have no negative one.
    areas = [1.0] * len(found.score) if masks else found.bbox[:, 2:].prod(1).tolist()
    sets = (
        {'bbox': truth.bbox.tolist(), 'area': _areas(truth).tolist(), 'iscrowd': truth.iscrowd.astype(int).tolist()}
        | ({'segmentation': truth.segmentation} if masks else {}),
        {'score': found.score.tolist(), 'area': areas, 'iscrowd': [0] * len(found.score)} | shape,
    )
    apis = []
    for columns, source in zip(sets, (truth, found)):
        api = COCO()
        columns |= {'image_id': (source.image + 1).tolist(), 'category_id': (source.category + 1).tolist()}
        api.dataset = {
            'images': [image | {'id': i} for i, image in enumerate(truth.images, start=1)],
            'categories': [category | {'id': i} for i, category in enumerate(truth.categories, start=1)],
            'annotations': [dict(zip(columns, row), id=i) for i, row in enumerate(zip(*columns.values()), start=1)],
        }
        apis.append(api)
    with contextlib.redirect_stdout(io.StringIO()):
        for api in apis:
            api.createIndex()
        evaluation = COCOeval(*apis, 'segm' if masks else 'bbox')
        evaluation.evaluate()
    params = evaluation.params
    matches = np.array(evaluation.evalImgs, dtype=object)
    matches = matches.reshape(len(params.catIds), len(params.areaRng), len(params.imgIds))
    scores = []
    for part in parts:
        part = np.sort(part)
        # accumulate() reads the matches in the order of the images that evaluate() was given.
        evaluation.evalImgs = matches[:, :, part].ravel().tolist()
        evaluation.params.imgIds = evaluation._paramsEval.imgIds = (part + 1).tolist()
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        precision = evaluation.eval['precision'][..., 0, -1]  # (IoU thresholds, recalls, classes)
        recall = evaluation.eval['recall'][..., 0, -1]  # (IoU thresholds, classes)
        at_50, at_75 = (precision[np.isclose(params.iouThrs, threshold)] for threshold in (0.5, 0.75))
        scores.append({key: _mean(value) for key, value in zip(SCORES, (precision, at_50, at_75, recall))})
    return scores


def _areas(truth: GroundTruth) -> np.ndarray:
    """The areas of the boxes, whatever the file says: only scores by size would need those of the masks."""
    return truth.bbox[:, 2] * truth.bbox[:, 3]


def _mean(values: np.ndarray) -> float:
    values = values[values > -1]
    return float(values.mean()) if values.size else -1.0
