"""Accumulation of weighted images against the reference API on copies of the images."""

import copy

import numpy as np
import pytest
from made_up import SCORES, made_up, reference

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.evaluation.accumulator import RECALLS, Accumulator, _recalls_up_to
from mmtied.evaluation.engine import HotcocoEngine


def checked(truth: dict, found: list) -> tuple:
    truth = check_ground_truth(truth, 'truth')
    return truth, check_results(found, 'found', truth, 'bbox')


def copies(truth: dict, found: list, weights: np.ndarray) -> tuple[dict, list]:
    """Each image as often as its weight says, under ids of their own."""
    images, annotations, detections = [], [], []
    for image, weight in zip(truth['images'], weights):
        for copy_ in range(weight):
            number = len(images) + 1
            images.append(image | {'id': number})
            for source, target in ((truth['annotations'], annotations), (found, detections)):
                of_image = [entry for entry in source if entry['image_id'] == image['id']]
                target += [entry | {'image_id': number} for entry in copy.deepcopy(of_image)]
            del copy_
    for i, annotation in enumerate(annotations, 1):
        annotation['id'] = i
    return truth | {'images': images, 'annotations': annotations}, detections


@pytest.mark.parametrize('seed', range(4))
def test_weights_are_copies_of_images(seed):
    truth, found = made_up(seed)
    rng = np.random.default_rng(seed)
    for detection in found:
        detection['score'] = float(rng.random())  # no ties: copies of an image are tied, but to themselves
    sets = checked(truth, found)
    accumulator = Accumulator.of(*sets, 'bbox')
    several = np.array([np.ones(40, int), rng.integers(0, 4, 40), (rng.random(40) < 0.3).astype(int)])
    scores = accumulator.scores(several)
    for weights, of_weights in zip(several, scores):
        of_copies = copies(truth, found, weights)
        wanted = reference(*of_copies, 'bbox', [image['id'] for image in of_copies[0]['images']])
        assert of_weights == pytest.approx([wanted[key] for key in SCORES], abs=1e-9)
        images = np.flatnonzero(weights)
        part = accumulator.part(images)
        assert part.scores(weights[None, images])[0] == pytest.approx(of_weights, abs=1e-12)


def test_many_weights_are_scored_as_each_alone(monkeypatch):
    sets = checked(*made_up(0))
    accumulator = Accumulator.of(*sets, 'bbox')
    weights = np.random.default_rng(0).integers(0, 4, (23, 40))
    alone = np.concatenate([accumulator.scores(one[None]) for one in weights])
    for cells in (1, 100, 1 << 16):
        monkeypatch.setattr('mmtied.evaluation.accumulator.CELLS', cells)
        assert accumulator.scores(weights) == pytest.approx(alone, abs=1e-12)


@pytest.mark.parametrize('seed', range(4))
def test_ties_of_score_are_broken_as_by_the_engine(seed):
    truth, found = made_up(seed)
    for detection in found:
        detection['score'] = round(detection['score'], 1)
    sets = checked(truth, found)
    (wanted,) = HotcocoEngine(*sets, 'bbox').scores([np.arange(40)])
    found = Accumulator.of(*sets, 'bbox').scores(np.ones((1, 40), int))
    assert found[0] == pytest.approx([wanted[key] for key in SCORES], abs=1e-12)


def test_classes_are_scored_as_by_the_reference():
    truth, found = made_up(images=100)
    scores = Accumulator.of(*checked(truth, found), 'bbox').class_scores()
    images = [image['id'] for image in truth['images']]
    for category in truth['categories']:
        annotations, of_class = (
            [entry for entry in entries if entry['category_id'] == category['id']]
            for entries in (truth['annotations'], found)
        )
        alone = truth | {'annotations': annotations, 'categories': [category]}
        wanted = reference(alone, of_class, 'bbox', images)
        for measure in ('AP', 'AP75'):
            assert scores[category['name']][measure] == pytest.approx(wanted[measure], abs=1e-9)


def test_only_a_hundred_detections_of_a_class_count():
    truth, _ = made_up()
    box = next(entry for entry in truth['annotations'] if not entry['iscrowd']) | {'score': 0.5}
    found = [box | {'bbox': [200 + i, 0, 5, 5], 'score': 0.9 - i / 1000} for i in range(100)] + [box]
    sets = checked(truth, found)
    once = np.ones((1, 40), int)
    assert Accumulator.of(*sets, 'bbox').scores(once).max() == 0
    assert Accumulator.of(*sets, 'bbox', max_dets=101).scores(once).min() > 0


def test_nothing_to_accumulate():
    truth, found = made_up()
    sets = checked(truth, found)
    accumulator = Accumulator.of(*sets, 'bbox')
    assert np.isnan(accumulator.scores(np.zeros((2, 40), int))).all()
    nothing = sets[0], check_results([], 'found', sets[0], 'bbox', strict=False)
    assert (Accumulator.of(*nothing, 'bbox').scores(np.ones((1, 40), int)) == 0).all()


def test_recalls_are_counted_as_by_a_search():
    for instances in range(1, 400):
        found = np.arange(instances + 1)
        wanted = np.searchsorted(RECALLS, found / instances, 'right')
        assert (_recalls_up_to(found[None], np.array([[instances]])) == wanted).all()
