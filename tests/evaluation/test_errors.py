"""Errors against a slow count from their definitions."""

import numpy as np
import pytest
from made_up import made_up, polygon
from pycocotools import mask as rle

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.evaluation.errors import Hits, count_errors, image_f1
from mmtied.evaluation.scores import Errors


def iou(a: list, b: list) -> float:
    x = max(0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    y = max(0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    return x * y / (a[2] * a[3] + b[2] * b[3] - x * y)


def slow_errors(truth: dict, found: list, ids: list, score_thr: float) -> Errors:
    """Count image by image, without crowds (the data has none)."""
    counts = dict(false=0, duplicates=0, localisation=0, missed=0, partial=0, instances=0)
    for image in ids:
        instances = [a for a in truth['annotations'] if a['image_id'] == image]
        detections = [d for d in found if d['image_id'] == image and d['score'] >= score_thr]
        detections.sort(key=lambda d: -d['score'])
        taken, false = set(), []
        for detection in detections:
            pairs = [
                (iou(a['bbox'], detection['bbox']), i)
                for i, a in enumerate(instances)
                if a['category_id'] == detection['category_id'] and i not in taken
            ]
            best = max(pairs, default=(0, 0))
            if best[0] >= 0.5:
                taken.add(best[1])
            else:
                false.append(detection)
        mendable = set()
        for detection in false:
            same = [
                (iou(a['bbox'], detection['bbox']), i)
                for i, a in enumerate(instances)
                if a['category_id'] == detection['category_id']
            ]
            other = [
                (iou(a['bbox'], detection['bbox']), i)
                for i, a in enumerate(instances)
                if a['category_id'] != detection['category_id']
            ]
            of_same, of_other = max(same, default=(0, 0)), max(other, default=(0, 0))
            if 0.1 <= of_same[0] < 0.5:
                counts['localisation'] += 1
                mendable.add(of_same[1])
            elif of_other[0] >= 0.5:
                mendable.add(of_other[1])
            elif of_same[0] >= 0.5:
                counts['duplicates'] += 1
        counts['false'] += len(false)
        counts['missed'] += len(set(range(len(instances))) - taken - mendable)
        counts['instances'] += len(instances)
        for a in instances:
            ious = [iou(a['bbox'], d['bbox']) for d in detections if d['category_id'] == a['category_id']]
            counts['partial'] += 0.1 <= max(ious, default=0) < 0.5
    partial = counts['partial'] / counts['instances'] if counts['instances'] else float('nan')
    return Errors(counts['false'] / len(ids), counts['duplicates'], counts['localisation'], counts['missed'], partial)


def without_crowds(seed: int) -> tuple[dict, list]:
    truth, found = made_up(seed)
    rng = np.random.default_rng(seed)
    for annotation in truth['annotations']:
        annotation['iscrowd'] = 0
    for detection in found:
        detection['score'] = float(rng.random())
        if rng.random() < 0.3:
            detection['bbox'][0] += 9  # poor localisation
        if rng.random() < 0.2:
            detection['category_id'] = 3
    return truth, found


@pytest.mark.parametrize('seed', range(6))
def test_boxes_equal_the_slow_count(seed):
    truth, found = without_crowds(seed)
    checked = check_ground_truth(truth, 'truth')
    detections = check_results(found, 'found', checked, 'bbox')
    parts = [np.arange(40), np.arange(0, 40, 3), np.array([], dtype=int)]
    ids = [image['id'] for image in truth['images']]
    for score_thr in (0.0, 0.4):
        errors = count_errors(Hits.of(checked, detections, 'bbox', score_thr), parts)
        for part, of_part in zip(parts[:2], errors):
            wanted = slow_errors(truth, found, [ids[i] for i in part], score_thr)
            assert of_part.false_positives == pytest.approx(wanted.false_positives)
            assert (of_part.duplicates, of_part.localisation, of_part.missed) == (
                wanted.duplicates,
                wanted.localisation,
                wanted.missed,
            )
            assert of_part.partial == pytest.approx(wanted.partial)
        assert errors[2] is None


def test_masks_of_boxes_fail_as_the_boxes_do():
    truth, found = without_crowds(0)
    for detection in found:
        detection['bbox'] = [max(round(value), 1) for value in detection['bbox']]
    checked = check_ground_truth(truth, 'truth', masks=True)
    wanted = count_errors(
        Hits.of(checked, check_results(found, 'found', checked, 'bbox'), 'bbox', 0.3), [np.arange(40)]
    )
    masks = [d | {'segmentation': rle.merge(rle.frPyObjects(polygon(*d['bbox']), 100, 100))} for d in found]
    assert (
        count_errors(Hits.of(checked, check_results(masks, 'found', checked, 'segm'), 'segm', 0.3), [np.arange(40)])
        == wanted
    )


def test_ignored_instances_and_crowds_are_no_errors():
    truth, found = made_up()
    checked = check_ground_truth(truth, 'truth')
    detections = check_results(found, 'found', checked, 'bbox')
    every = np.ones(len(checked.image), dtype=bool)
    (errors,) = count_errors(Hits.of(checked, detections, 'bbox'), [np.arange(40)], ignored=every)
    assert errors.missed == 0
    assert np.isnan(errors.partial)
    (counted,) = count_errors(Hits.of(checked, detections, 'bbox'), [np.arange(40)])
    # A false detection is of no instance.
    assert np.isnan([errors.false_positives, errors.duplicates, errors.localisation]).all()
    assert counted.missed > 0


def test_f1_of_images():
    truth, found = without_crowds(1)
    checked = check_ground_truth(truth, 'truth')
    f1 = image_f1(Hits.of(checked, check_results(found, 'found', checked, 'bbox'), 'bbox', 0.4))
    for i, image in enumerate(truth['images']):
        errors = slow_errors(truth, found, [image['id']], 0.4)
        instances = sum(a['image_id'] == image['id'] for a in truth['annotations'])
        detections = sum(d['image_id'] == image['id'] and d['score'] >= 0.4 for d in found)
        right = detections - errors.false_positives
        if instances + detections:
            assert f1[i] == pytest.approx(2 * right / (instances + detections))
        else:
            assert np.isnan(f1[i])
