"""Made-up ground truth and detections, and an ordinary evaluation of them with the reference API."""

from __future__ import annotations

import contextlib
import copy
import io

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

SCORES = ('AP', 'AP50', 'AP75', 'AR')


def made_up(seed: int = 0, images: int = 40) -> tuple[dict, list]:
    """Boxes of three classes with jittered, doubled and missed detections, one crowd, ids that start anywhere."""
    rng = np.random.default_rng(seed)
    truth = {'images': [], 'annotations': [], 'categories': [{'id': i, 'name': f'class {i}'} for i in (0, 3, 9)]}
    found = []
    for i in range(images):
        truth['images'].append({'id': 100 + 7 * i, 'width': 100, 'height': 100})
        for _ in range(rng.integers(0, 7)):
            x, y, w, h = (*rng.integers(0, 60, 2).tolist(), *rng.integers(8, 40, 2).tolist())
            entry = {'image_id': 100 + 7 * i, 'category_id': int(rng.choice([0, 3, 9])), 'bbox': [x, y, w, h]}
            crowd = int(rng.random() < 0.05)
            annotation = entry | {'id': len(truth['annotations']) + 1, 'iscrowd': crowd, 'area': w * h}
            annotation['segmentation'] = polygon(x, y, w, h)
            truth['annotations'].append(annotation)
            for _ in range(rng.integers(0, 3)):
                box = (np.array(entry['bbox']) + rng.normal(0, 2, 4)).clip(0.5).tolist()
                found.append(entry | {'bbox': box, 'score': round(rng.random(), 2)})
    return truth, found


def polygon(x: float, y: float, w: float, h: float) -> list[list[float]]:
    """A box as COCO's segmentation."""
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


def reference(truth: dict, found: list, iou_type: str, ids: list[int]) -> dict[str, float]:
    """An ordinary evaluation with the reference API on the given images."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(copy.deepcopy(found)), iou_type)
        evaluation.params.imgIds = ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(SCORES, evaluation.stats[[0, 1, 2, 8]]))


def by_area_ranges(truth: dict, found: list, engine_bins: np.ndarray, count: int) -> list[dict]:
    """AP of instances of each bin, the others ignored: the reference API's area ranges, over bins instead of areas."""
    truth = copy.deepcopy(truth)
    for annotation, index in zip(truth['annotations'], engine_bins):
        annotation['area'] = float(index)
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = truth
        gt.createIndex()
        dt = gt.loadRes(copy.deepcopy(found))
        for annotation in dt.anns.values():
            annotation['area'] = np.nan  # a detection has no occlusion: it is outside no range
        evaluation = COCOeval(gt, dt, 'bbox')
        evaluation.params.areaRng = [[index - 0.5, index + 0.5] for index in range(count)]
        evaluation.params.areaRngLbl = [str(index) for index in range(count)]
        evaluation.evaluate()
        evaluation.accumulate()
    rows = []
    for i in range(count):
        precision, recall = evaluation.eval['precision'][..., i, -1], evaluation.eval['recall'][..., i, -1]
        values = precision, precision[0], precision[5], recall
        rows.append(
            {key: value[value > -1].mean() if (value > -1).any() else np.nan for key, value in zip(SCORES, values)}
        )
    return rows
