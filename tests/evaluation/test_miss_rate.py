"""MR-2 against CityPersons' rules, written out one detection at a time; weights against copies of the images."""

import numpy as np
import pytest
from pedestrians import SETUPS, checked, copies, miss_rate, street

from mmtied.evaluation import OcclusionBins, evaluate_occlusion
from mmtied.evaluation.miss_rate import MissRateMatcher


def by_rules(truth: dict, found: list, setup: str = 'reasonable', height: float = 50) -> float:
    low, high = SETUPS[setup]
    entries = truth['annotations']
    outside = [not (low <= one['vis_ratio'] <= high and one['bbox'][3] >= height) for one in entries]
    truth, found = checked(truth, found)
    found = found.rows(found.boxes[:, 3] >= height / 1.25)
    rates = MissRateMatcher(truth, found).rates(truth.uncounted | np.array(outside, dtype=bool))
    return rates.scores(np.ones((1, len(truth.images)), dtype=int))[0]


@pytest.mark.parametrize('setup', SETUPS)
@pytest.mark.parametrize('ties', [False, True], ids=['', 'ties'])
@pytest.mark.parametrize('images', [30, 120])
def test_each_setup_equals_the_rules(setup, ties, images):
    """Of 30 images, one false positive is more than the first two rates."""
    rates = []
    for seed in range(3):
        truth, found = street(seed, images=images, ties=ties)
        rates.append(miss_rate(truth, found, SETUPS[setup]))
        assert by_rules(truth, found, setup) == pytest.approx(rates[-1], abs=1e-9)
    assert 0.1 < min(rates) < max(rates) < 0.9


def scene(boxes: list, images: int = 200) -> dict:
    """A ground truth whose instances are all in the first of its images."""
    return {
        'images': [{'id': i, 'width': 640, 'height': 480} for i in range(1, images + 1)],
        'categories': [{'id': 1, 'name': 'pedestrian'}],
        'annotations': [
            {'id': i, 'image_id': 1, 'category_id': 1, 'bbox': box, 'vis_ratio': 1.0} | more
            for i, (box, more) in enumerate(boxes, 1)
        ],
    }


def detection(box: list, score: float, image: int = 1) -> dict:
    return {'image_id': image, 'category_id': 1, 'bbox': box, 'score': score}


def test_an_ignored_instance_forgives_any_number_by_the_detections_area():
    region = [100, 100, 300, 300]
    truth = scene([([0, 0, 40, 100], {}), (region, {'ignore': 1})])
    # IoU .03, but inside; and 600 times, which would be 3 false positives an image.
    found = [detection([150 + i % 60, 150, 30, 90], 0.9) for i in range(600)] + [detection([0, 0, 40, 100], 0.5)]
    assert by_rules(truth, found) == miss_rate(truth, found, SETUPS['reasonable']) == 0
    del truth['annotations'][1]
    assert by_rules(truth, found) == miss_rate(truth, found, SETUPS['reasonable']) == 1


def test_instances_outside_the_setup_are_ignored_and_not_absent():
    truth = scene([([0, 0, 40, 100], {}), ([200, 0, 40, 100], {'vis_ratio': 0.3}), ([400, 0, 20, 49], {})])
    found = [detection([0, 0, 40, 100], 0.5), detection([200, 0, 40, 100], 0.9), detection([400, 0, 20, 49], 0.8)]
    assert by_rules(truth, found) == 0
    found += [detection([200, 300, 40, 100], 0.9)] * 300
    assert by_rules(truth, found) == miss_rate(truth, found, SETUPS['reasonable']) == 1


def test_detections_count_from_the_least_height_less_a_margin():
    truth = scene([([0, 0, 20, 50], {})])
    lowest = [detection([0, 0, 20, 40], 0.5)]
    assert by_rules(truth, lowest) == 0
    lower = [detection([0, 0, 20, 39.9], 0.5)]
    assert by_rules(truth, lower) == miss_rate(truth, lower, SETUPS['reasonable']) == 1


def test_all_images_count_also_those_without_instances():
    box = [0, 0, 40, 100]
    found = [detection([300, 300, 40, 100], 0.9, image=2), detection(box, 0.5)]
    rates = [by_rules(scene([(box, {})], images=images), found) for images in (100, 400)]
    assert rates == [0, 0]
    found = [detection([300, 300, 40, 100], 0.9, image=2)] * 3 + [detection(box, 0.5)]
    # Three false positives in 100 images are .03 an image: beyond the first two of nine rates; in 400 within all.
    rates = [by_rules(scene([(box, {}), ([200, 0, 40, 100], {})], images=images), found) for images in (100, 400)]
    assert rates == pytest.approx([0.5 ** (7 / 9), 0.5])


def test_both_ends_of_a_setup_belong_to_it():
    truth = scene([([0, 0, 40, 100], {'vis_ratio': 0.65}), ([200, 0, 40, 100], {'vis_ratio': 0.9})])
    found = [detection([0, 0, 40, 100], 0.5)]
    rates = {setup: by_rules(truth, found, setup) for setup in SETUPS}
    assert rates == pytest.approx({'reasonable': 0.5, 'bare': 1, 'partial': 0.5, 'heavy': 0})


def test_no_more_than_1000_detections_of_an_image_count():
    box = [0, 0, 40, 100]
    truth = scene([(box, {})], images=2000)
    for before, wanted in ((999, 0), (1000, 1)):
        low = [detection([300, 300, 10, 39], 0.9) for _ in range(before)]  # too low to be false
        found = [*low, detection(box, 0.5)]
        options = {'per_instance': True, 'miss_rate': True, 'min_height': 50, 'bins': OcclusionBins(citypersons=True)}
        row = evaluate_occlusion(truth, found, **options).all
        assert row.pedestrians.MR2 == miss_rate(truth, found, (0, 2)) == wanted


@pytest.mark.parametrize('images', [30, 120])
def test_weights_are_copies_of_images(images):
    truth, found = street(3, images=images)
    rng = np.random.default_rng(0)
    several = np.array([rng.multinomial(images, np.full(images, 1 / images)) for _ in range(4)])
    sets = checked(truth, found)
    low = np.array([entry['bbox'][3] < 50 for entry in truth['annotations']])
    tall = sets[1].rows(sets[1].boxes[:, 3] >= 40)
    scores = MissRateMatcher(sets[0], tall).rates(sets[0].uncounted | low).scores(several)
    for weights, score in zip(several, scores):
        assert score == pytest.approx(miss_rate(*copies(truth, found, weights), (0, 2)), abs=1e-9)


def test_very_many_false_ones_change_nothing_but_what_they_decide():
    truth, found = street(4, images=30)
    many = [detection([0, 380, 40, 99], 0.01, image=1 + i % 3) for i in range(300)]
    weights = np.ones((3, 30), dtype=int)
    weights[1, :3], weights[2, 3:] = 0, 0  # without them, and without all others
    sets = checked(truth, found + many)
    scores = MissRateMatcher(*sets).rates(sets[0].uncounted).scores(weights)
    for row, score in zip(weights, scores):
        assert score == pytest.approx(miss_rate(*copies(truth, found + many, row), (0, 2), height=0), abs=1e-9)


def test_classes_are_averaged_and_those_without_instances_left_out():
    truth, found = street(1, images=60)
    alone = by_rules(truth, found)
    truth['categories'] += [{'id': 2, 'name': 'rider'}, {'id': 3, 'name': 'absent'}]
    assert by_rules(truth, found) == alone
    missed = {'id': 10_000, 'image_id': 1, 'category_id': 2, 'bbox': [0, 0, 40, 100], 'vis_ratio': 1.0}
    truth['annotations'].append(missed)
    assert by_rules(truth, found) == pytest.approx((alone + 1) / 2)


def test_without_instances_or_detections():
    assert np.isnan(by_rules(scene([]), [detection([0, 0, 40, 100], 0.5)]))
    assert by_rules(scene([([0, 0, 40, 100], {})]), []) == 1
