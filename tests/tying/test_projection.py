"""Projection and expansion of weights, against their definitions written out."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.testing import assert_close

from mmtied.tying.projection import expand, expand_bias, project, project_bias, regroup, ungroup

shapes = st.fixed_dictionaries(
    dict(
        blocks=st.integers(1, 4),
        groups=st.integers(1, 3),
        c_out=st.integers(1, 3),
        c_in=st.integers(1, 3),
        kernel=st.sampled_from([(), (1, 1), (3, 3), (1, 3)]),
    )
)


def ordinary(blocks, groups, c_out, c_in, kernel):
    return torch.randn(blocks * groups * c_out, blocks * c_in, *kernel, dtype=torch.double)


@given(random=st.random_module(), shape=shapes)
def test_projection_is_the_mean_of_the_diagonal_blocks(random, shape):
    blocks, groups, weight = shape['blocks'], shape['groups'], ordinary(**shape)
    wanted = [
        sum(group.chunk(blocks, 0)[b].chunk(blocks, 1)[b] for b in range(blocks)) / blocks
        for group in weight.chunk(groups, 0)
    ]
    assert_close(project(weight, blocks, groups), torch.cat(wanted))


@given(random=st.random_module(), shape=shapes)
def test_projection_is_the_nearest_tied_weight(random, shape):
    """The distance to the expanded weight has no slope at the projection, and it is convex."""
    blocks, groups, weight = shape['blocks'], shape['groups'], ordinary(**shape)
    tied = project(weight, blocks, groups).requires_grad_()
    (expand(tied, blocks, groups) - weight).square().sum().backward()
    assert_close(tied.grad, torch.zeros_like(tied), atol=1e-12, rtol=0)


@given(random=st.random_module(), shape=shapes)
def test_expansion_is_undone(random, shape):
    blocks, groups = shape['blocks'], shape['groups']
    tied = torch.randn(groups * shape['c_out'], shape['c_in'], *shape['kernel'], dtype=torch.double)
    assert_close(project(expand(tied, blocks, groups), blocks, groups), tied)
    assert torch.equal(regroup(ungroup(tied, groups), groups), tied)
    bias = torch.randn(groups * shape['c_out'], dtype=torch.double)
    assert_close(project_bias(expand_bias(bias, blocks, groups), blocks, groups), bias)
