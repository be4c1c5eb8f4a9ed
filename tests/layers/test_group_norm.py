"""Group norm for any width."""

import pytest
import torch
from mmcv.cnn import ConvModule
from mmengine.registry import MODELS
from torch import nn
from torch.testing import assert_close

from mmtied.layers import FittedGroupNorm


@pytest.mark.parametrize('channels, at_most, groups', [(18, 16, 2), (36, 32, 4), (72, 32, 8), (7, 32, 1), (8, 32, 8)])
def test_groups_divide_the_channels(channels, at_most, groups):
    norm = FittedGroupNorm(channels, at_most).double()
    assert norm.num_groups == groups
    x = 3 * torch.randn(2, channels, 5, 4).double() + 1
    # By the definition: the channels of a group have one mean and one variance in each image.
    parts = x.reshape(2, groups, -1)
    wanted = (parts - parts.mean(2, keepdim=True)) / (parts.var(2, correction=0, keepdim=True) + 1e-5).sqrt()
    assert_close(norm(x), wanted.reshape(x.shape))


def test_it_is_gn_where_the_groups_divide():
    ours, theirs = FittedGroupNorm(64), nn.GroupNorm(32, 64)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 64, 3, 3)
    assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize('scope', ['', 'mmtied.'])
def test_as_the_norm_of_a_convolution(scope):
    norm_cfg = dict(type=f'{scope}FittedGroupNorm', num_groups=16, requires_grad=False)
    module = ConvModule(3, 18, 1, norm_cfg=norm_cfg)
    assert (module.norm.num_groups, module.norm.weight.requires_grad) == (2, False)
    assert 'FittedGroupNorm' in MODELS
    # mmcv names a norm after its kind, and checkpoints have that name.
    assert [name for name, _ in module.named_children()][1] == 'gn'
