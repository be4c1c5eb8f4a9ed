"""What the engines are given: large sets class by class, with the scores of all classes together."""

import numpy as np
import pytest
from made_up import made_up

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.evaluation import engine
from mmtied.evaluation.engine import HotcocoEngine, classes_together


@pytest.mark.parametrize('seed', range(3))
def test_groups_of_classes_make_no_difference(seed, monkeypatch):
    truth, found = made_up(seed)
    truth = check_ground_truth(truth, 'truth')
    found = check_results(found, 'found', truth, 'bbox')
    ignored = np.random.default_rng(seed).random(len(truth.image)) < 0.3
    # Parts in which classes are missing, one of them all.
    parts = [
        np.arange(40),
        np.arange(0, 40, 7),
        np.array([3]),
        np.flatnonzero(np.bincount(truth.image, minlength=40) == 0),
    ]
    wanted = HotcocoEngine(truth, found, 'bbox', ignored=ignored).scores(parts)
    for together in (1, len(found.score) // 2):
        monkeypatch.setattr(engine, 'TOGETHER', together)
        assert len(classes_together(found, len(truth.categories))) > 1
        scores = HotcocoEngine(truth, found, 'bbox', ignored=ignored).scores(parts)
        for own, other in zip(scores, wanted, strict=True):
            assert tuple(own) == pytest.approx(tuple(other), abs=1e-12, nan_ok=True)


def test_classes_without_detections_are_in_a_group():
    truth, found = made_up(0)
    truth['categories'] += [{'id': 90 + i, 'name': f'rare {i}'} for i in range(3)]
    truth = check_ground_truth(truth, 'truth')
    found = check_results(found, 'found', truth, 'bbox')
    groups = classes_together(found, len(truth.categories))
    assert np.concatenate(groups).tolist() == [*range(len(truth.categories))]
