"""Accumulation of weighted images against the reference API on copies of the images."""

import copy

import numpy as np
import pytest
from made_up import SCORES, made_up, reference

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.evaluation.accumulator import RECALLS, Accumulator, _recalls_up_to
from mmtied.evaluation.engine import ENGINES, HotcocoEngine, PycocotoolsEngine


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
@pytest.mark.parametrize('engine', ENGINES)
def test_weights_are_copies_of_images(seed, engine):
    truth, found = made_up(seed)
    rng = np.random.default_rng(seed)
    for detection in found:
        detection['score'] = float(rng.random())  # no ties: copies of an image are tied, but to themselves
    sets = checked(truth, found)
    accumulator = Accumulator(*sets, *ENGINES[engine](*sets, 'bbox').matches())
    for weights in (np.ones(40, int), rng.integers(0, 4, 40), (rng.random(40) < 0.3).astype(int)):
        of_copies = copies(truth, found, weights)
        wanted = reference(*of_copies, 'bbox', [image['id'] for image in of_copies[0]['images']])
        assert [*accumulator.scores(weights)] == pytest.approx([wanted[key] for key in SCORES], abs=1e-9)
        part = accumulator.part(weights > 0)
        assert [*part.scores(weights)] == pytest.approx([*accumulator.scores(weights)], abs=1e-12)


@pytest.mark.parametrize('seed', range(4))
def test_ties_of_score_are_broken_as_by_the_engine(seed):
    truth, found = made_up(seed)
    for detection in found:
        detection['score'] = round(detection['score'], 1)
    sets = checked(truth, found)
    engine = HotcocoEngine(*sets, 'bbox')
    accumulator = Accumulator(*sets, *engine.matches())
    (wanted,) = engine.scores([np.arange(40)])
    assert [*accumulator.scores(np.ones(40, int))] == pytest.approx([wanted[key] for key in SCORES], abs=1e-12)


def test_both_engines_match_alike():
    sets = checked(*made_up(images=100))
    ignored = np.random.default_rng(0).random(len(sets[0].image)) < 0.3
    for ignore in (None, ignored):
        results = [engine(*sets, 'bbox', ignore).matches() for engine in (HotcocoEngine, PycocotoolsEngine)]
        for ours, theirs in zip(*results):
            assert (ours == theirs).all()
            assert ours.any()


def test_matches_are_the_same_in_chunks(monkeypatch):
    sets = checked(*made_up(images=100))
    engine = HotcocoEngine(*sets, 'bbox')
    wanted, scores = engine.matches(), engine.scores([np.arange(0, 100, 2)])
    monkeypatch.setattr('mmtied.evaluation.engine.CHUNK', 7)
    for ours, theirs in zip(engine.matches(), wanted):
        assert (ours == theirs).all()
    assert engine.scores([np.arange(0, 100, 2)]) == scores


def test_only_a_hundred_detections_of_a_class_count():
    truth, _ = made_up()
    box = truth['annotations'][0] | {'score': 0.5}
    found = [box | {'bbox': [200 + i, 0, 5, 5], 'score': 0.9 - i / 1000} for i in range(100)] + [box]
    sets = checked(truth, found)
    for engine in (HotcocoEngine, PycocotoolsEngine):
        matched, counted = engine(*sets, 'bbox').matches()
        assert counted.sum(1).tolist() == [100] * 10
        assert not matched.any()


def test_nothing_to_accumulate():
    truth, found = made_up()
    sets = checked(truth, found)
    accumulator = Accumulator(*sets, *HotcocoEngine(*sets, 'bbox').matches())
    assert np.isnan([*accumulator.scores(np.zeros(40, int))]).all()
    nothing = sets[0], check_results([], 'found', sets[0], 'bbox', strict=False)
    accumulator = Accumulator(*nothing, *HotcocoEngine(*nothing, 'bbox').matches())
    assert [*accumulator.scores(np.ones(40, int))] == [0, 0, 0, 0]


def test_recalls_are_counted_as_by_a_search():
    for instances in range(1, 300):
        recall = np.arange(instances + 1) / instances
        assert (_recalls_up_to(recall) == np.searchsorted(RECALLS, recall, 'right')).all()
