"""Bins: every ratio falls into exactly one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtied.evaluation import OcclusionBins

edges = st.sets(st.sampled_from([0.1, 0.2, 0.25, 0.5, 0.75, 0.9])).map(lambda inner: (0.0, *sorted(inner), 1.0))


def inside(ratio: float, bins: OcclusionBins, i: int) -> bool:
    """The definition of a bin, read from its limits."""
    low, high = bins.limits[i]
    if low == high:
        return ratio == low
    above = ratio > low if bins.zero_bin and low == 0 else ratio >= low
    return above and (high == 1 or ratio < high)


@given(st.floats(0, 1.5) | st.sampled_from([0.0, 0.2, 0.25, 0.5, 1.0]), edges, st.booleans())
def test_every_ratio_is_in_its_bin_alone(ratio, edges, zero_bin):
    bins = OcclusionBins(edges, zero_bin)
    found = bins.assign([ratio])[0]
    assert [i for i in range(len(bins.labels)) if inside(ratio, bins, i)] == [found]
    assert len(bins.labels) == len(bins.limits)


def test_default():
    bins = OcclusionBins()
    assert bins.labels == ['0', '(0, .2)', '[.2, .4)', '[.4, .6)', '[.6, .8)', '[.8, 1]']
    assert bins.limits == [(0, 0), (0, 0.2), (0.2, 0.4), (0.4, 0.6), (0.6, 0.8), (0.8, 1)]
    assert bins.assign([0, 1e-9, 0.2, 0.5, 0.8, 1, np.nan]).tolist() == [0, 1, 2, 3, 5, 5, -1]


def test_without_a_bin_for_exactly_zero():
    bins = OcclusionBins((0, 0.5, 1), zero_bin=False)
    assert bins.labels == ['[0, .5)', '[.5, 1]']
    assert bins.assign([0, 0.5, 1, np.nan]).tolist() == [0, 1, 1, -1]
    assert OcclusionBins((-0.0, 1)).labels == ['0', '(0, 1]']


@pytest.mark.parametrize('edges', [(), (0,), (0, 0.5), (0.1, 1), (0, 0.6, 0.5, 1), (0, 0.5, 0.5, 1), (0, np.nan, 1)])
def test_bad_edges(edges):
    with pytest.raises(ValueError, match='must ascend from 0 to 1'):
        OcclusionBins(edges)


def test_edges_beyond_one():
    bins = OcclusionBins((0, 1, 2), zero_bin=False)
    assert bins.labels == ['[0, 1)', '[1, 2]']
    assert bins.assign([0.5, 1, 2.5]).tolist() == [0, 1, 1]


def test_bad_ratio():
    with pytest.raises(ValueError, match=r'must not be negative, found -0\.5'):
        OcclusionBins().assign([0.5, -0.5])


@given(st.floats(0, 1), st.sets(st.integers(0, 99), min_size=2))
def test_nearest_centre(ratio, hundredths):
    centres = sorted(value / 100 for value in hundredths)
    bins = OcclusionBins.nearest(centres)
    distances = np.abs(np.array(centres) - ratio)
    assert distances[bins.assign([ratio])[0]] == pytest.approx(distances.min())


def test_nearest_centre_of_the_publications_curve():
    bins = OcclusionBins.nearest([0, 0.2, 0.4, 0.6, 0.8])
    assert bins.edges == (0, 0.1, 0.3, 0.5, 0.7, 1)
    assert bins.labels == ['[0, .1)', '[.1, .3)', '[.3, .5)', '[.5, .7)', '[.7, 1]']


@pytest.mark.parametrize('centres', [[0.5], [0.5, 0.2], [-0.1, 0.5], [0, 1], [0, np.nan]])
def test_bad_centres(centres):
    with pytest.raises(ValueError, match='must be two or more'):
        OcclusionBins.nearest(centres)


@pytest.mark.parametrize(
    'zero_bin, labels, lower',
    [
        (True, ['≥ 0', '> 0', '≥ .5'], [0, 0, 0.5]),
        (False, ['≥ 0', '≥ .5'], [0, 0.5]),
    ],
)
def test_cumulative(zero_bin, labels, lower):
    bins = OcclusionBins((0, 0.5, 1), zero_bin, cumulative=True)
    assert bins.labels == labels
    assert bins.limits == [(low, 1) for low in lower]
    ratios = np.array([0, 0.1, 0.5, 1, np.nan])
    tests = [ratios >= 0, ratios > 0, ratios >= 0.5] if zero_bin else [ratios >= 0, ratios >= 0.5]
    assert np.array_equal(bins.members(ratios), tests)


def test_setups_of_citypersons_hold_both_of_their_ends():
    bins = OcclusionBins(citypersons=True)
    visible = np.array([0, 0.64, 0.65, 0.7, 0.9, 0.95, 1, np.nan])
    ratios = 1 - visible  # as a key of the visible share becomes occlusion
    assert bins.labels == ['reasonable', 'bare', 'partial', 'heavy']
    assert bins.limits == [(0, 0.35), (0, 0.1), (0.1, 0.35), (0.35, 1)]
    assert np.array_equal(
        bins.members(ratios),
        [visible >= 0.65, visible >= 0.9, (visible >= 0.65) & (visible <= 0.9), visible <= 0.65],
    )
    assert bins.assign(ratios).tolist() == [3, 3, 2, 2, 1, 1, 1, -1]
    for other in ({'edges': (0, 1)}, {'cumulative': True}, {'zero_bin': False}):
        with pytest.raises(ValueError, match='citypersons has rows of its own'):
            OcclusionBins(citypersons=True, **other)
