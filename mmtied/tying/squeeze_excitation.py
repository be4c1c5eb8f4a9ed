"""TiedSE in place of the squeeze-and-excitation of mmpretrain's and mmdet's networks.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Fig. 5a and Table 3.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from ..layers import TiedSE
from ..layers.blocks import is_whole
from ..utils.complexity import Run
from .policy import LeftLayer, TieReport, replace
from .projection import project, project_bias


def tie_se(model: nn.Module, blocks: int, run: Run | None = None) -> TieReport:
    """Replace every ``SELayer`` of a network of mmpretrain or mmdet by TiedSE, in place.

    Squeezed channels that B does not divide are padded to the next multiple of B: EfficientNet-B0 has layers that
    squeeze to 6 and to 10 channels, for B = 4 they become 8 and 12. Weights start from the projection of the old ones.

    Args:
        model: A network with ``SELayer``, such as mmpretrain's SEResNet and EfficientNet and mmdet's EfficientNet.
        blocks: B, the number of equal blocks that share the layers.
        run: As in :func:`tie_model`. Defaults to None.

    Returns:
        What was tied; an ``SELayer`` whose channels B does not divide, or that returns its scale alone, is left.

    Raises:
        ValueError: If the network has no ``SELayer``, or B is not a whole number of at least 1.
    """
    if not is_whole(blocks):
        raise ValueError(f'tie_se: blocks={blocks!r} must be a whole number of at least 1')
    # By name: mmpretrain and mmdet have a class each, and this package imports neither.
    found = {name: module for name, module in model.named_modules() if type(module).__name__ == 'SELayer'}
    if not found or '' in found:
        raise ValueError(f'tie_se: {type(model).__name__} is not a network with an SELayer of mmpretrain or mmdet')
    chosen, left = {}, []
    for name, layer in found.items():
        channels = layer.conv1.conv.in_channels
        if channels % blocks:
            left.append(LeftLayer(name, 'SELayer', f'{channels} channels cannot be cut into {blocks} equal blocks'))
        elif getattr(layer, 'return_weight', False):
            left.append(LeftLayer(name, 'SELayer', 'it returns its scale alone'))
        elif layer.conv1.conv.bias is None or layer.conv2.conv.bias is None:
            left.append(LeftLayer(name, 'SELayer', 'it has no bias, TiedSE has'))
        else:
            chosen[name] = (tied_se(layer, blocks), blocks)
    return replace(model, chosen, left=left, run=run)


def tied_se(layer: nn.Module, blocks: int) -> TiedSE:
    """Return TiedSE in place of an ``SELayer``, with its activations and its projected weights."""
    squeeze, excite = layer.conv1.conv, layer.conv2.conv
    padding = -squeeze.out_channels % blocks
    tied = TiedSE(squeeze.in_channels, blocks, squeeze_channels=squeeze.out_channels + padding)
    tied.activate, tied.gate = layer.conv1.activate, layer.conv2.activate
    weights = {
        tied.squeeze.weight: project(F.pad(squeeze.weight.flatten(1), (0, 0, 0, padding)), blocks),
        tied.squeeze.bias: project_bias(F.pad(squeeze.bias, (0, padding)), blocks),
        tied.excite.weight: project(F.pad(excite.weight.flatten(1), (0, padding)), blocks),
        tied.excite.bias: project_bias(excite.bias, blocks),
    }
    for parameter, weight in weights.items():
        parameter.data = weight.detach()
        parameter.requires_grad = squeeze.weight.requires_grad
    return tied.train(layer.training)
