"""Expand tied layers to ordinary ones that compute the same."""

from __future__ import annotations

from torch import nn

from ..layers import TiedConv2d, TiedLinear
from .policy import swap
from .projection import expand, expand_bias


def untie(model: nn.Module) -> nn.Module:
    """Replace every tied layer by an ordinary one of the same outputs, in place, and return the model.

    Its weights are block diagonal: B² times as many parameters and B times as many multiply-adds, most of them zeros.
    It is for tools that know only ordinary layers: mmcv's ``fuse_conv_bn`` fails on a tied layer with a mismatch of
    sizes, for a norm scales every channel by its own factor and the filter is shared.

    Args:
        model: Any network, or a tied layer.

    Returns:
        The network itself; for a tied layer, the ordinary one.
    """
    tied = [module for module in model.modules() if isinstance(module, TiedConv2d | TiedLinear)]
    shared: dict[nn.Parameter, nn.Parameter] = {}
    ordinary = {module: ordinary_layer(module, shared) for module in tied}
    swap(model, ordinary)
    return ordinary.get(model, model)


def ordinary_layer(tied: TiedConv2d | TiedLinear, shared: dict[nn.Parameter, nn.Parameter]) -> nn.Conv2d | nn.Linear:
    """Return the ordinary layer of the same outputs; parameters that tied layers share, the ordinary ones share too."""
    bias = tied.bias is not None
    if isinstance(tied, TiedLinear):
        groups = 1
        layer = nn.Linear(tied.in_features, tied.out_features, bias=bias, device='meta')
    else:
        groups = tied.groups
        layer = nn.Conv2d(
            tied.in_channels,
            tied.out_channels,
            tied.kernel_size,
            stride=tied.stride,
            padding=tied.padding,
            dilation=tied.dilation,
            groups=groups,
            bias=bias,
            padding_mode=tied.padding_mode,
            device='meta',
        )
    for name, own, full in (('weight', tied.weight, expand), ('bias', tied.bias, expand_bias)):
        if own is not None:
            if own not in shared:
                shared[own] = nn.Parameter(full(own.detach(), tied.blocks, groups), own.requires_grad)
            setattr(layer, name, shared[own])
    return layer.train(tied.training)
