"""Resampling: seeded, paired, of the right size, and as wide as the scores of other sets say."""

import numpy as np
import pytest
from made_up import made_up

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.evaluation import evaluate_occlusion
from mmtied.evaluation.accumulator import Accumulator
from mmtied.evaluation.resampling import bootstrap, interval, middle, random_subsets, widened


def accumulator(seed: int = 0, images: int = 40) -> Accumulator:
    truth, found = made_up(seed, images)
    truth = check_ground_truth(truth, 'truth')
    found = check_results(found, 'found', truth, 'bbox')
    return Accumulator.of(truth, found, 'bbox')


def test_bootstrap_samples_the_images_alone():
    matches, images = accumulator(), np.arange(5, 25)
    samples = bootstrap([matches], images, 30, (1,), 'test')
    assert samples.shape == (30, 1, 4)
    for i in (0, 29):
        chosen = np.random.default_rng([1, i]).integers(0, 20, 20)
        weights = np.bincount(images[chosen], minlength=40)
        assert samples[i, 0] == pytest.approx(matches.scores(weights[None])[0], abs=1e-12)


def test_detectors_are_scored_on_the_same_samples():
    matches = accumulator()
    samples = bootstrap([matches, matches], np.arange(40), 20, (0,), 'test')
    assert (samples[:, 0] == samples[:, 1]).all()
    assert samples[:, 0].std(0).min() > 0


def test_subsets_are_chosen_without_replacement():
    matches, pool = accumulator(), np.arange(30)
    wanted = matches.scores((np.arange(40) < 30).astype(int)[None])
    assert random_subsets(matches, pool, 30, 5, (0,), 'test') == pytest.approx(np.repeat(wanted, 5, axis=0), abs=1e-12)
    few = random_subsets(matches, pool, 8, 30, (0,), 'test')
    assert few.std(0).min() > 0


def test_seed_decides_all():
    truth, found = made_up()
    options = dict(bootstrap=15, random_subsets=15)
    first, again, other = (evaluate_occlusion(truth, found, **options, seed=seed) for seed in (4, 4, 5))
    assert first.to_dict() == again.to_dict()
    for kind in ('interval', 'random'):
        assert getattr(first.bins[1], kind) != getattr(other.bins[1], kind)


def test_middle_and_interval():
    samples = np.append(np.arange(1001.0), np.nan)
    assert middle(samples) == pytest.approx((25, 975))
    assert interval(samples, 300.0) == pytest.approx((-175, 775))
    assert np.isnan(middle(np.array([np.nan]))).all()
    assert np.isnan(interval(np.array([np.nan]), np.nan)).all()


def test_widened_samples_keep_their_mean_and_grow_where_classes_are_in_few_images():
    samples = np.random.default_rng(0).normal(size=(50, 2, 3))
    both = 1.25 / (0.35 + 3.35 / 16)
    for images, factor in (([1], 0.35**-0.5), ([2, 2], 0.675**-0.5), ([1, 4], both**0.5), ([500], 1.1)):
        wide = widened(samples, np.array(images))
        assert wide.mean(0) == pytest.approx(samples.mean(0))
        assert wide.std(0) == pytest.approx(factor * samples.std(0), rel=1e-3)
    # A difference of widened samples is the widened difference, so that pairs stay pairs.
    one, other = np.moveaxis(widened(samples, np.array([3, 1])), 1, 0)
    assert other - one == pytest.approx(widened(samples[:, 1] - samples[:, 0], np.array([3, 1])))


def test_intervals_of_a_row_are_widened_by_its_own_classes():
    truth, found = made_up(images=60)
    result = evaluate_occlusion(truth, found, bootstrap=50)
    sets = check_ground_truth(truth, 'truth')
    matches = Accumulator.of(sets, check_results(found, 'found', sets, 'bbox'), 'bbox')
    samples = bootstrap([matches], np.arange(60), 50, (0, 0, 0), 'test')[:, 0, 0]
    instances = [entry for entry in truth['annotations'] if not entry['iscrowd']]
    shown = [len({entry['image_id'] for entry in instances if entry['category_id'] == name}) for name in (0, 3, 9)]
    wanted = interval(widened(samples, np.array(shown)), result.all.AP)
    assert result.all.interval['AP'] == pytest.approx(wanted)
    assert wanted[1] - wanted[0] > np.subtract(*middle(samples)[::-1])


def test_what_has_intervals_and_bands():
    truth, found = made_up()
    result = evaluate_occlusion(truth, found, bootstrap=15, random_subsets=15)
    assert result.all.interval
    assert not result.all.random
    assert not result.unassigned.interval
    for row in result.bins:
        assert bool(row.interval) == (row.images >= 10)
        assert bool(row.random) == (row.images > 0)
        for low, high in row.interval.values():
            assert 0 <= low <= high <= 1
        for low, mean, high in row.random.values():
            assert 0 <= low <= mean <= high <= 1


def test_intervals_are_as_wide_as_the_spread_of_other_sets():
    """Sets of 60 images, chosen from 600: the bootstrap of one knows how far the AP of the others spreads."""
    matches = accumulator(images=600)
    rng = np.random.default_rng(0)
    scores, widths = [], []
    for i in range(40):
        images = rng.choice(600, 60, replace=False)
        weights = np.bincount(images, minlength=600)
        scores.append(matches.scores(weights[None])[0, 0])
        low, high = interval(bootstrap([matches], images, 60, (i,), 'test')[:, 0, 0], scores[-1])
        widths.append(high - low)
    assert 0.6 < np.mean(widths) / (2 * 1.96 * np.std(scores)) < 1.6


def test_instances_of_few_images_have_no_interval_either():
    truth, found = made_up()
    result = evaluate_occlusion(truth, found, per_instance=True, bootstrap=15)
    assert {row.images >= 10 for row in result.bins} == {True, False}
    for row in result.bins:
        assert bool(row.interval) == (row.images >= 10)
    assert 'Bins of fewer than 10 images have no interval' in str(result)
