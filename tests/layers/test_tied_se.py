"""TiedSE against the squeeze-and-excitation of mmpretrain, and its published sizes."""

import pytest
import torch
from mmpretrain.models.utils import SELayer
from torch.testing import assert_close

from mmtied.layers import TiedSE


def test_one_block_is_squeeze_and_excitation():
    tied, plain = TiedSE(32, blocks=1, ratio=4), SELayer(32, ratio=4)
    plain.conv1.conv.weight.data = tied.squeeze.weight.data[:, :, None, None]
    plain.conv2.conv.weight.data = tied.excite.weight.data[:, :, None, None]
    plain.conv1.conv.bias.data, plain.conv2.conv.bias.data = tied.squeeze.bias.data, tied.excite.bias.data
    x = torch.randn(2, 32, 5, 4)
    assert_close(tied(x), plain(x))


def test_blocks_share_one_pair_of_layers():
    tied, one = TiedSE(32, blocks=4, ratio=4), TiedSE(8, blocks=1, ratio=4)
    one.load_state_dict(tied.state_dict())
    x = torch.randn(2, 32, 5, 4)
    assert_close(tied(x), torch.cat([one(block) for block in x.chunk(4, 1)], 1))


@pytest.mark.parametrize('blocks, published', [(1, 2.53), (2, 0.64), (4, 0.16), (8, 0.04)])
def test_published_parameters_in_se_resnet50(blocks, published):
    """Table 3: parameters in M of the attention in all 16 blocks of SE-ResNet-50."""
    widths = [256] * 3 + [512] * 4 + [1024] * 6 + [2048] * 3
    count = sum(p.numel() for width in widths for p in TiedSE(width, blocks).parameters())
    assert round(count / 1e6, 2) == published


def test_indivisible_channels_are_named():
    with pytest.raises(ValueError, match=r'TiedSE: in_channels=72 .*blocks=4 x ratio=16'):
        TiedSE(72, blocks=4)
