"""The deployed form: the trained network's outputs, ordinary layers, and no norm behind a convolution."""

import copy

import pytest
import timm
import torch
from mmcv.cnn import ConvModule
from mmengine.analysis import FlopAnalyzer, parameter_count
from mmengine.registry import MODELS, init_default_scope
from small_networks import BACKBONES, outputs, trained
from torch import nn

from mmtied.deploy import DeployHook, deploy
from mmtied.layers import TiedConv2d, TiedLinear
from mmtied.models import TiedResNet
from mmtied.tying import tie_model, tie_se
from mmtied.utils.complexity import complexity


def norms_behind_convolutions(network: nn.Module) -> list[nn.Module]:
    return [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]


@pytest.mark.parametrize('name', BACKBONES)
def test_backbones(name):
    network = trained(BACKBONES[name]())
    x = torch.randn(2, 3, 64, 64)
    wanted = outputs(network, x)
    macs = complexity(network, (64, 64)).macs
    assert deploy(network) is network
    for found, other in zip(outputs(network, x), wanted):
        torch.testing.assert_close(found, other, rtol=1e-5, atol=1e-5)
    kinds = {type(module) for module in network.modules() if isinstance(module, (nn.Conv2d, nn.Linear))}
    assert kinds <= {nn.Conv2d, nn.Linear}
    assert not norms_behind_convolutions(network)
    assert not network.training
    if name not in ('tiedsenet', 'tiedresnet-gcb'):  # A linear layer knows no groups.
        assert complexity(network, (64, 64)).macs == macs
    again = copy.deepcopy(network.state_dict())
    deploy(network)
    assert all(torch.equal(value, again[key]) for key, value in network.state_dict().items())


def test_a_network_of_timm():
    network = timm.create_model('resnet26', num_classes=10)
    tie_model(network, {'layer[34].*.conv2': 4})
    network = trained(network)
    x = torch.randn(2, 3, 64, 64)
    wanted = outputs(network, x)
    deploy(network)
    torch.testing.assert_close(outputs(network, x), wanted, rtol=1e-5, atol=1e-5)
    assert not norms_behind_convolutions(network)


def test_norms_that_do_more_stay():
    """timm's norms of EfficientNet hold its activation."""
    network = timm.create_model('efficientnet_lite0', num_classes=10)
    tie_model(network, {'classifier': 2})
    network = trained(network)
    x = torch.randn(1, 3, 64, 64)
    wanted = outputs(network, x)
    deploy(network)
    torch.testing.assert_close(outputs(network, x), wanted, rtol=1e-5, atol=1e-5)


class SharedConvolution(nn.Module):
    """Two levels with one convolution and a norm for each, as in mmdet's heads with separate norms."""

    def __init__(self) -> None:
        super().__init__()
        self.levels = nn.ModuleList(ConvModule(8, 8, 3, norm_cfg=dict(type='BN')) for _ in range(2))
        self.levels[1].conv = self.levels[0].conv

    def forward(self, x):
        return tuple(level(x) for level in self.levels)


class Order(nn.Sequential):
    """Norms that do not follow a convolution, whatever the order in which they are registered."""

    def __init__(self) -> None:
        cfg = dict(norm_cfg=dict(type='BN'), padding=1)
        super().__init__(
            ConvModule(8, 8, 3, order=('norm', 'conv', 'act'), **cfg),
            ConvModule(8, 8, 3, order=('conv', 'act', 'norm'), **cfg),
            ConvModule(8, 8, 3, order=('norm', 'act', 'conv'), **cfg),
            nn.Conv2d(8, 8, 3),
            nn.ReLU(),
            nn.BatchNorm2d(8),
        )


@pytest.mark.parametrize('make', [SharedConvolution, Order])
def test_what_cannot_be_folded_stays(make):
    network = trained(make())
    x = torch.randn(2, 8, 9, 9)
    wanted = outputs(network, x)
    count = len(norms_behind_convolutions(network))
    deploy(network)
    torch.testing.assert_close(outputs(network, x), wanted, rtol=1e-6, atol=1e-6)
    assert len(norms_behind_convolutions(network)) == count


def test_norms_of_other_kinds_stay():
    network = TiedResNet(26, base_channels=64, norm_cfg=dict(type='GN', num_groups=8)).eval()
    x = torch.randn(1, 3, 64, 64)
    wanted = outputs(network, x)
    deploy(network)
    torch.testing.assert_close(outputs(network, x), wanted, rtol=1e-5, atol=1e-5)
    assert any(isinstance(module, nn.GroupNorm) for module in network.modules())


def test_a_layer_alone():
    layer = TiedConv2d(8, 16, 3, blocks=2)
    x = torch.randn(2, 8, 9, 9)
    ordinary = deploy(layer)
    assert type(ordinary) is nn.Conv2d and ordinary.groups == 2
    assert torch.equal(ordinary(x), layer(x))


def test_se_of_any_network():
    init_default_scope('mmpretrain')
    network = MODELS.build(dict(type='mmpretrain.SEResNet', depth=50))
    tie_se(network, 2)
    network = trained(network)
    x = torch.randn(1, 3, 64, 64)
    wanted = outputs(network, x)
    deploy(network)
    torch.testing.assert_close(outputs(network, x), wanted, rtol=1e-5, atol=1e-5)
    assert not any(isinstance(module, TiedLinear) for module in network.modules())


def test_hook_deploys_what_is_wrapped():
    network = trained(BACKBONES['tiedresnet']())
    DeployHook().before_test(type('Runner', (), {'model': network}))
    assert not any(isinstance(module, TiedConv2d) for module in network.modules())


@pytest.mark.parametrize('name', BACKBONES)
def test_mmengines_counter_counts_both_forms(name):
    """It is what mmdet's `tools/analysis_tools/get_flops.py` calls; norms and activations are apart."""
    network = trained(BACKBONES[name]())
    for form in (lambda model: model, deploy):
        counted = FlopAnalyzer(form(network), (torch.zeros(1, 3, 64, 64),)).by_operator()
        ours = complexity(network, (64, 64))
        assert sum(counted[operator] for operator in ('conv', 'linear', 'matmul')) == ours.macs
        assert parameter_count(network)[''] == ours.parameters
