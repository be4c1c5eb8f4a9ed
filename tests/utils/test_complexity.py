"""Counts against those worked out by hand."""

import torch
from torch import nn

from mmtied.analysis import complexity, macs_by_module
from mmtied.layers import TiedConv2d, TiedLinear


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        TiedConv2d(8, 16, 1, bias=False, blocks=4),
        nn.Conv2d(16, 16, 3, groups=4, bias=False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        TiedLinear(16, 8, blocks=2),
    )


def test_counts_by_hand():
    assert macs_by_module(network(), (6, 10)) == {
        '': 3 * 8 * 9 * 60 + 8 * 16 // 4 * 60 + 16 * 4 * 9 * 32 + 16 * 8 // 2,
        '0': 3 * 8 * 9 * 60,
        '1': 8 * 16 // 4 * 60,
        '2': 16 * 4 * 9 * 32,
        '5': 16 * 8 // 2,
    }
    count = complexity(network(), (6, 10))
    assert count.macs == macs_by_module(network(), (6, 10))['']
    assert count.parameters == 3 * 8 * 9 + 8 + 8 * 16 // 16 + 16 * 4 * 9 + 16 * 8 // 4 + 4


def test_mode_and_statistics_of_the_network_stay():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    complexity(model, (4, 4))
    assert model.training
    assert model[1].num_batches_tracked == 0
    assert torch.equal(model[1].running_var, torch.ones(4))


def test_frozen_parameters_are_not_counted():
    model = network()
    model[0].requires_grad_(False)
    assert complexity(model, (6, 6)).parameters == complexity(network(), (6, 6)).parameters - (3 * 8 * 9 + 8)
