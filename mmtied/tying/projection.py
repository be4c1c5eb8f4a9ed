"""Weights of ordinary layers as those of tied ones, and back.

A tied layer is an ordinary one whose weight is block diagonal, with one block repeated. So the tied weight nearest to
an ordinary one in least squares is the mean of its diagonal blocks, and a tied weight expands to a block diagonal.
"""

from __future__ import annotations

import torch
from torch import Tensor


def project(weight: Tensor, blocks: int, groups: int = 1) -> Tensor:
    """Return the tied weight nearest to an ordinary one: in every group, the mean of the B diagonal blocks.

    Args:
        weight: Of shape (out, in / G, ...), of a convolution in G groups or, with two dimensions, a linear layer.
        blocks: B; ``blocks * groups`` divides ``out``, and ``blocks`` divides ``in / G``.
        groups: G. Defaults to 1.

    Returns:
        Of shape (out / B, in / (B G), ...).
    """
    cut = weight.unflatten(0, (groups, blocks, -1)).unflatten(3, (blocks, -1))  # (G, B, out', B, in', ...)
    return cut.diagonal(dim1=1, dim2=3).mean(-1).flatten(0, 1)


def project_bias(bias: Tensor, blocks: int, groups: int = 1) -> Tensor:
    """Return the mean over the blocks of every group: (out,) -> (out / B,)."""
    return bias.unflatten(0, (groups, blocks, -1)).mean(1).flatten()


def expand(weight: Tensor, blocks: int, groups: int = 1) -> Tensor:
    """Return the ordinary weight of a tied one: (out / B, in / (B G), ...) -> (out, in / G, ...), block diagonal."""
    tied = weight.unflatten(0, (groups, -1))  # (G, out', in', ...)
    _, c_out, c_in, *kernel = tied.shape
    full = weight.new_zeros(groups, blocks, c_out, blocks, c_in, *kernel)
    for b in range(blocks):
        full[:, b, :, b] = tied
    return full.flatten(3, 4).flatten(0, 2)


def expand_bias(bias: Tensor, blocks: int, groups: int = 1) -> Tensor:
    """Return the ordinary bias of a tied one: (out / B,) -> (out,)."""
    return bias.unflatten(0, (groups, 1, -1)).expand(-1, blocks, -1).flatten()


def ungroup(weight: Tensor, groups: int) -> Tensor:
    """Return the weight in one group of a convolution in G groups: (out, in / G, ...) -> (out, in, ...)."""
    full = weight.new_zeros(groups, weight.shape[0] // groups, groups, *weight.shape[1:])
    for g, filters in enumerate(weight.chunk(groups)):
        full[g, :, g] = filters
    return full.flatten(2, 3).flatten(0, 1)


def regroup(weight: Tensor, groups: int) -> Tensor:
    """Return the diagonal groups of a weight in one group: (out, in, ...) -> (out, in / G, ...)."""
    cut = weight.unflatten(0, (groups, -1)).unflatten(2, (groups, -1))  # (G, out', G, in', ...)
    return torch.cat([cut[g, :, g] for g in range(groups)])
