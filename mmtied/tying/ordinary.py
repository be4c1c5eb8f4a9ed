"""Expand tied layers to ordinary ones that compute the same."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import parametrize

from ..layers import TiedConv2d, TiedLinear
from .policy import swap
from .projection import expand, expand_bias


def untie(model: nn.Module, dense: bool = False) -> nn.Module:
    """Replace every tied layer by an ordinary one of the same outputs, in place, and return the model.

    A tied convolution becomes one of B x G groups whose filters are repeated: B times as many parameters, the same
    multiply-adds, and outputs equal to the last bit. A tied linear layer, which knows no groups, becomes block
    diagonal: B² times as many parameters and B times as many multiply-adds, most of them zeros.

    It is for tools that know only ordinary layers: mmcv's ``fuse_conv_bn`` fails on a tied layer with a mismatch of
    sizes, for a norm scales every channel by its own factor and the filter is shared.

    Args:
        model: Any network, or a tied layer.
        dense: Whether convolutions become block diagonal as well, for tools that know no groups beyond G: B² times as
            many parameters, B times as many multiply-adds. Defaults to False.

    Returns:
        The network itself; for a tied layer, the ordinary one.

    Raises:
        ValueError: If the weight of a tied layer is computed from others, as by pruning, weight norm or spectral norm.
    """
    tied = {name: module for name, module in model.named_modules() if isinstance(module, TiedConv2d | TiedLinear)}
    for name, module in tied.items():
        if parametrize.is_parametrized(module) or any(
            getattr(module, key, None) is not None and key not in module._parameters for key in ('weight', 'bias')
        ):
            raise ValueError(
                f'{name or "the layer"}: its weight is computed from others, by pruning or a norm of the weight; make '
                'it a parameter first: torch.nn.utils.prune.remove, remove_weight_norm, remove_spectral_norm or '
                'parametrize.remove_parametrizations'
            )
    shared: dict[nn.Parameter, nn.Parameter] = {}
    ordinary = {module: ordinary_layer(module, shared, dense=dense) for module in tied.values()}
    swap(model, ordinary)
    return ordinary.get(model, model)


def ordinary_layer(
    tied: TiedConv2d | TiedLinear, shared: dict[nn.Parameter, nn.Parameter], dense: bool
) -> nn.Conv2d | nn.Linear:
    """Return the ordinary layer of the same outputs; parameters that tied layers share, the ordinary ones share too."""
    weight, bias, groups = tied.weight.detach(), tied.bias, 1
    layer: nn.Conv2d | nn.Linear
    if isinstance(tied, TiedLinear):
        layer = nn.Linear(tied.in_features, tied.out_features, bias=bias is not None, device='meta')
        weight = expand(weight, tied.blocks)
    else:
        groups = tied.groups
        layer = nn.Conv2d(
            tied.in_channels,
            tied.out_channels,
            tied.kernel_size,
            stride=tied.stride,
            padding=tied.padding,
            dilation=tied.dilation,
            groups=groups if dense else groups * tied.blocks,
            bias=bias is not None,
            padding_mode=tied.padding_mode,
            device='meta',
        )
        # With one block, what is repeated is the tied layer's own.
        weight = expand(weight, tied.blocks, groups) if dense else tied.repeated()[0].detach().clone()
    for name, own, full in (
        ('weight', tied.weight, weight),
        ('bias', bias, None if bias is None else expand_bias(bias.detach(), tied.blocks, groups).clone()),
    ):
        if own is not None and full is not None:
            if own not in shared:
                shared[own] = nn.Parameter(full, own.requires_grad)
            setattr(layer, name, shared[own])
    return layer.train(tied.training)
