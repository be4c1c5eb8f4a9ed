"""Bins: every ratio falls into exactly one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtied.evaluation import OcclusionBins
from mmtied.evaluation.bins import NO_INSTANCES

ratios = st.floats(0, 1)
edges = st.lists(st.sampled_from([0.1, 0.2, 0.25, 0.5, 0.75, 0.9]), max_size=8).map(
    lambda inner: (0.0, *sorted(e for e in inner if inner.count(e) <= 2), 1.0)
)


def inside(ratio: float, bins: OcclusionBins, i: int) -> bool:
    """The definition of a bin, read from its edges."""
    low, high = bins.edges[i], bins.edges[i + 1]
    if low == high:
        return ratio == low
    own_point = i > 0 and bins.edges[i - 1] == low
    last = i == len(bins.labels) - 1
    return (ratio > low if own_point else ratio >= low) and (ratio <= high if last else ratio < high)


@given(ratios | st.sampled_from([0.0, 0.2, 0.25, 0.5, 1.0]), edges)
def test_every_ratio_is_in_its_bin_alone(ratio, edges):
    bins = OcclusionBins(edges)
    found = bins.assign([ratio])[0]
    assert [i for i in range(len(bins.labels)) if inside(ratio, bins, i)] == [found]


def test_default():
    bins = OcclusionBins()
    assert bins.labels == ('0', '(0, .2)', '[.2, .4)', '[.4, .6)', '[.6, .8)', '[.8, 1]')
    assert bins.assign([0, 1e-9, 0.2, 0.5, 0.8, 1, np.nan]).tolist() == [0, 1, 2, 3, 5, 5, -1]


def test_without_a_bin_for_exactly_zero():
    bins = OcclusionBins((0, 0.5, 1))
    assert bins.labels == ('[0, .5)', '[.5, 1]')
    assert bins.assign([0, 0.5, 1]).tolist() == [0, 1, 1]


def test_a_last_bin_of_one_alone():
    bins = OcclusionBins((0, 0.5, 1, 1))
    assert bins.labels == ('[0, .5)', '[.5, 1)', '1')
    assert bins.assign([0.99, 1]).tolist() == [1, 2]


def test_split_loses_no_image():
    parts = OcclusionBins().split({5: 0.0, 6: 0.3, 7: np.nan, 8: 0.0})
    assert parts['0'] == [5, 8]
    assert parts['[.2, .4)'] == [6]
    assert parts[NO_INSTANCES] == [7]
    assert sorted(i for ids in parts.values() for i in ids) == [5, 6, 7, 8]


@pytest.mark.parametrize(
    'edges', [(), (0,), (0, 0.5), (0.1, 1), (0, 0.6, 0.5, 1), (0, 0.5, 0.5, 0.5, 1), (0, np.nan, 1)]
)
def test_bad_edges(edges):
    with pytest.raises(ValueError, match='must ascend from 0 to 1'):
        OcclusionBins(edges)


def test_bad_ratio():
    with pytest.raises(ValueError, match='must lie in'):
        OcclusionBins().assign([0.5, 1.5])
