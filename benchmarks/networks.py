"""The networks that the benchmarks of cost compare: ResNet-50, other networks of its cost, and ours."""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import nn

from mmtied.models import VARIANTS

BASE = 'ResNet-50'
NETWORKS: dict[str, dict] = {
    BASE: dict(type='mmpretrain.ResNet', depth=50),
    'ResNeXt-50 32x4d': dict(type='mmpretrain.ResNeXt', depth=50, groups=32, width_per_group=4),
    'Res2Net-50 26w4s': dict(type='mmpretrain.TIMMBackbone', model_name='res2net50_26w_4s'),
    'TiedResNet-50': VARIANTS['tiedresnet50'],
    'TiedResNet-50-S': VARIANTS['tiedresnet50-s'],
    'TiedResNet-50-S16': VARIANTS['tiedresnet50-s16'],
}


def build(name: str) -> nn.Module:
    """Return a backbone with random weights, all norms of which let something through."""
    network = MODELS.build(NETWORKS[name])
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
    return network
