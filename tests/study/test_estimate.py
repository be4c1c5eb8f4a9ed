"""Intervals of the study hold what they promise, and measures read what the runs keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import ttest_1samp

from mmtied.study.estimate import difference, estimate, partial_boxes, score, similarity, slope


def run(ap: list[float], samples: list[list[float]] | None = None, partial=(0, 2, 1, 1)) -> dict:
    """A run of six bins and a row of all images."""
    labels = ('all', '0', '(0, .2)', '[.2, .4)', '[.4, .6)', '[.6, .8)', '[.8, 1]')
    rows = [
        {'label': label, 'images': 10, 'ratio': 0.15 * i, 'AP': round(100 * value)}
        | ({'AP_samples': [round(100 * one) for one in samples[i]]} if samples else {'AP_samples': []})
        for i, (label, value) in enumerate(zip(labels, ap))
    ]
    return {'rows': rows, 'partial': list(partial)}


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=8).filter(lambda values: np.std(values) > 1e-3))
def test_without_resamples_it_is_the_t_test(values):
    found = estimate(values, [np.array([])] * len(values))
    low, high = ttest_1samp(values, 0).confidence_interval(0.95)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-6, abs=1e-9)


def test_one_seed_has_the_interval_of_the_images():
    samples = np.random.default_rng(0).normal(3, 2, 4000)
    found = estimate([3.0], [samples])
    assert (found.low, found.high) == pytest.approx((3 - 1.96 * samples.std(), 3 + 1.96 * samples.std()), abs=0.01)


def test_no_runs_no_estimate():
    found = difference({}, {}, score('AP'))
    assert found.seeds == 0
    assert np.isnan(found.mean)


def test_interval_covers_seeds_and_images():
    """Of simulated studies, 95% or a little more have the truth in their interval."""
    rng = np.random.default_rng(1)
    images, seeds, resamples, hits, studies = 60, 3, 100, 0, 400
    for _ in range(studies):
        of_image = rng.normal(0, 3, images)  # What all seeds share on an image; the truth is 0.
        scores = of_image + rng.normal(0, 1, (seeds, 1)) + rng.normal(0, 2, (seeds, images))
        chosen = rng.integers(0, images, (resamples, images))
        found = estimate(scores.mean(1), [one[chosen].mean(1) for one in scores])
        hits += found.low <= 0 <= found.high
    assert 0.93 <= hits / studies <= 0.995


def test_runs_are_paired_by_seed_and_resample():
    first = {seed: run([40 + seed] * 7, [[40 + seed, 42 + seed]] * 7) for seed in (0, 1, 2)}
    second = {seed: run([41 + seed] * 7, [[41 + seed, 43 + seed]] * 7) for seed in (1, 2, 3)}
    found = difference(first, second, score('AP'))
    assert (found.mean, found.low, found.high, found.seeds) == pytest.approx((-1, -1, -1, 2))


def test_slope_over_the_bins():
    assert slope(run([0, *(10 + 40 * 0.15 * i for i in range(1, 7))]))[0] == pytest.approx(40)
    value, samples = slope(run([0, *range(6)], [[0, 0], *([i, 2 * i] for i in range(6))]))
    assert value == pytest.approx(samples[0])
    assert samples[1] == pytest.approx(2 * samples[0])


def test_partial_boxes_of_a_hundred_images():
    value, samples = partial_boxes(run([0] * 7, partial=[0, 2, 1, 1]))
    assert value == 100
    assert samples.mean() == pytest.approx(100, rel=0.1)


def test_similarity_is_above_the_start():
    layers = [
        {'state': state, 'layer': layer, 'mean': mean}
        for state, layer, mean in (
            ('start', 'a', 0.2),
            ('start', 'b', 0.4),
            ('trained', 'a', 0.5),
            ('trained', 'b', 0.6),
        )
    ]
    assert similarity({'similarity': layers})[0] == pytest.approx(25)
    dead = {'state': 'start', 'layer': 'c', 'mean': None}
    assert similarity({'similarity': [*layers, dead, dead | {'state': 'trained'}]})[0] == pytest.approx(25)
