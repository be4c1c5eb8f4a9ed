"""Every kind of tied backbone, small, as if it were trained."""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmtied.models import TiedResNeSt, TiedResNet, TiedResNeXt, TiedSENet

GCB = [dict(cfg=dict(type='TiedGCB', ratio=1 / 4), stages=(False, True), position='after_conv3')]
# Two stages have everything that four have, the strides too.
SMALL = dict(base_channels=16, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
BACKBONES = {
    'tiedresnet': lambda: TiedResNet(26, **SMALL),
    'tiedresnet-concat': lambda: TiedResNet(26, **SMALL, mixer='concat', deep_stem=True, avg_down=True),
    'tiedresnet-gcb': lambda: TiedResNet(26, **SMALL, plugins=GCB),
    'tiedresnext': lambda: TiedResNeXt(26, **SMALL, groups=2, blocks=(1, 2, 4, 4)),
    'tiedsenet': lambda: TiedSENet(26, **SMALL),
    'tiedresnest': lambda: TiedResNeSt(26, **SMALL),
}


def trained(network: nn.Module) -> nn.Module:
    """A network whose norms have statistics and weights as if it were trained."""
    network = copy.deepcopy(network)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2)
            nn.init.uniform_(module.weight, 0.5, 1)
            nn.init.uniform_(module.bias, -0.2, 0.2)
    network.eval()
    return network


def outputs(network: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    with torch.no_grad():
        found = network(x)
    return found if isinstance(found, tuple) else (found,)
