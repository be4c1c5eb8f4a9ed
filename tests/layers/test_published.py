"""Layers with the names and the computation of the published ones, and their checkpoints in ours."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmtied.layers import TiedConv2d, TiedLinear, TiedSE, load_published


class Convolution(nn.Module):
    """Their TBC by its definition and names: an ordinary convolution, inside ``conv``, of the blocks as samples."""

    def __init__(self, channels: int, out: int, kernel: int, blocks: int, **kwargs) -> None:
        super().__init__()
        self.blocks = blocks
        self.conv = nn.Conv2d(channels // blocks, out // blocks, kernel, **kwargs)

    def forward(self, x):
        return torch.cat([self.conv(block) for block in x.chunk(self.blocks, 1)], 1)


class Connections(nn.Module):
    """Their TFC: an ordinary layer inside ``linear``."""

    def __init__(self, features: int, out: int, blocks: int) -> None:
        super().__init__()
        self.blocks = blocks
        self.linear = nn.Linear(features // blocks, out // blocks)

    def forward(self, x):
        return torch.cat([self.linear(block) for block in x.chunk(self.blocks, 1)], 1)


class Attention(nn.Module):
    """Their SE: two ordinary layers inside ``fc``, at least two channels between them."""

    def __init__(self, channels: int, blocks: int, reduction: int) -> None:
        super().__init__()
        self.blocks = blocks
        width = channels // blocks
        hidden = max(2, width // reduction)
        self.fc = nn.Sequential(nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, width), nn.Sigmoid())

    def forward(self, x):
        scale = torch.cat([self.fc(block) for block in x.mean((2, 3)).chunk(self.blocks, 1)], 1)
        return x * scale[:, :, None, None]


def network(conv, se, linear) -> nn.Module:
    return nn.Sequential(conv, nn.BatchNorm2d(16), se, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)


def theirs() -> nn.Module:
    conv = Convolution(8, 16, 3, blocks=4, stride=2, padding=1)
    return network(conv, Attention(16, blocks=2, reduction=16), Connections(16, 10, blocks=2))


def ours(blocks: int = 4) -> nn.Module:
    conv = TiedConv2d(8, 16, 3, stride=2, padding=1, blocks=blocks)
    # Eight channels of a block would be squeezed to a half: there are two.
    return network(conv, TiedSE(16, blocks=2, squeeze_channels=4), TiedLinear(16, 10, blocks=2))


@pytest.mark.parametrize('wrap', [
    lambda state: state,
    lambda state: dict(state_dict={f'module.{name}': value for name, value in state.items()}),
    lambda state: dict(model_ema={f'module._orig_mod.{name}': value for name, value in state.items()}, epoch=3),
])  # fmt: skip
def test_published_weights_compute_the_same(wrap):
    source, target = theirs().double(), ours().double()
    load_published(target, wrap(source.state_dict()))
    x = torch.randn(3, 8, 9, 7, dtype=torch.double)
    assert_close(target(x), source(x))


def test_one_layer_and_our_own_names():
    source, target = Connections(6, 4, blocks=2), TiedLinear(6, 4, blocks=2)
    load_published(target, source.state_dict())
    assert torch.equal(target.weight, source.linear.weight)
    other = ours()
    load_published(other, ours().state_dict())


def test_a_squeeze_of_tied_layers():
    """A TiedSE that somebody built of their two TFC."""
    state = {f'squeeze.linear.{name}': torch.ones(shape) for name, shape in dict(weight=(2, 8), bias=(2,)).items()}
    state |= {f'excite.{name}': torch.ones(shape) for name, shape in dict(weight=(8, 2), bias=(8,)).items()}
    target = TiedSE(16, blocks=2, squeeze_channels=4)
    load_published(target, state)
    assert (target.squeeze.weight == 1).all()


def test_what_does_not_fit_is_named_and_nothing_loaded():
    state = theirs().state_dict()
    target = ours(blocks=2)
    before = {name: value.clone() for name, value in target.state_dict().items()}
    with pytest.raises(
        ValueError, match=r'2 tensors of Sequential do not fit: 0\.weight is \(4, 2, 3, 3\), not \(8, 4'
    ):
        load_published(target, state)
    del state['5.linear.bias']
    with pytest.raises(ValueError, match=r'5\.bias is missing; fc\.bias has no place'):
        load_published(ours(), state | {'fc.bias': torch.zeros(3)})
    assert all(torch.equal(value, before[name]) for name, value in target.state_dict().items())


def test_groups_inside_of_blocks_are_another_layer():
    source, target = Convolution(8, 8, 3, blocks=2, groups=2), TiedConv2d(8, 8, 3, blocks=2, groups=2)
    assert source.conv.weight.shape == target.weight.shape
    with pytest.raises(ValueError, match='groups=2 and B=2, the published layer has the groups inside of its blocks'):
        load_published(target, source.state_dict())
    # The weights as they are would pass for the layer's, but compute something else.
    target.load_state_dict(source.conv.state_dict())
    x = torch.randn(1, 8, 5, 5)
    assert not torch.allclose(target(x), source(x))
