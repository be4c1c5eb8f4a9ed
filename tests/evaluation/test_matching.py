"""Matches against those of the reference API, detection by detection."""

import contextlib
import io

import numpy as np
import pytest
from made_up import made_up
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.evaluation.engine import IOU_THRESHOLDS
from mmtied.evaluation.matching import Candidates
from mmtied.evaluation.overlaps import find_overlaps


def reference(truth: dict, found: list, iou_type: str) -> list[dict[int, tuple[int, bool]]]:
    """At each threshold, detection's index -> the annotation's id, 0 for none, and whether the detection counts."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = truth
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(found), iou_type)
        evaluation.params.areaRng = evaluation.params.areaRng[:1]
        evaluation.params.areaRngLbl = ['all']
        evaluation.params.maxDets = [1000]
        evaluation.evaluate()
    matches = [{} for _ in IOU_THRESHOLDS]
    for of_image in filter(None, evaluation.evalImgs):
        for i, at_threshold in enumerate(matches):
            rows = zip(of_image['dtIds'], of_image['dtMatches'][i], of_image['dtIgnore'][i])
            at_threshold |= {id_ - 1: (int(matched), not ignored) for id_, matched, ignored in rows}
    return matches


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('ties', [False, True], ids=['', 'ties'])
@pytest.mark.parametrize('seed', range(4))
def test_matches_are_those_of_the_reference(seed, ties, iou_type):
    truth, found = made_up(seed, images=60)
    rng = np.random.default_rng(seed)
    for annotation in truth['annotations']:
        annotation['iscrowd'] = int(rng.random() < 0.2)
    if ties:  # Boxes that are given twice, equal scores, and IoUs that are exactly a threshold.
        truth['annotations'] += [entry | {'id': 10_000 + i} for i, entry in enumerate(truth['annotations'][::3])]
        found += [dict(entry) for entry in found[::4]]
        for detection in found:
            detection['bbox'] = [float(round(value / 8) * 8 or 8) for value in detection['bbox']]
            detection['score'] = round(detection['score'], 1)
    if iou_type == 'segm':
        for detection in found:
            x, y, w, h = detection.pop('bbox')
            detection['segmentation'] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        with contextlib.redirect_stdout(io.StringIO()):
            coco = COCO()
            coco.dataset = truth
            coco.createIndex()
        for detection in found:
            detection['segmentation'] = coco.annToRLE(detection)
    sets = check_ground_truth(truth, 'truth', masks=iou_type == 'segm')
    detections = check_results(found, 'found', sets, iou_type)
    candidates = Candidates(sets, detections, find_overlaps(sets, detections, iou_type, least=0.1), least=0.5)
    ids = np.array([annotation['id'] for annotation in truth['annotations']])
    wanted = reference(truth, found, iou_type)
    for threshold, of_reference in zip(IOU_THRESHOLDS, wanted):
        ours = candidates.match(threshold, sets.uncounted)
        assert len(of_reference) == len(found)
        for i, (matched, counts) in of_reference.items():
            row = ours.truth[i]
            assert (ids[row] if row >= 0 else 0, not ours.forgiven[i]) == (matched, counts)
    assert any(matched for matched, _ in wanted[0].values())


def test_ignored_instances_forgive_once_and_crowds_any_number():
    image = {'id': 1, 'width': 100, 'height': 100}
    box = {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 10, 10]}
    truth = {'images': [image], 'categories': [{'id': 1, 'name': 'a'}], 'annotations': [box | {'id': 1}]}
    found = [box | {'score': score} for score in (0.9, 0.8)]
    for flags, forgiven in (({'ignore': 1}, [True, False]), ({'iscrowd': 1}, [True, True]), ({}, [False, False])):
        sets = check_ground_truth(truth | {'annotations': [box | {'id': 1} | flags]}, 'truth')
        detections = check_results(found, 'found', sets, 'bbox')
        overlaps = find_overlaps(sets, detections, 'bbox', least=0.1)
        ours = Candidates(sets, detections, overlaps, least=0.5).match(0.5, sets.uncounted)
        assert ours.forgiven.tolist() == forgiven
        assert ours.truth.tolist() == ([0, 0] if 'iscrowd' in flags else [0, -1])
        assert ours.right.tolist() == [not flags, False]
