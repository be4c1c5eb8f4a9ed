"""TiedResNeSt against timm's ResNeSt, which is another implementation of the ordinary network."""

import pytest
import torch
from timm.models.resnest import ResNestBottleneck
from torch import nn
from torch.testing import assert_close

from mmtied.models import TiedResNeSt
from mmtied.models.tied_resnest import TiedSplitAttention
from mmtied.tying import untie

NAMES = {
    'entry.conv': 'conv1',
    'entry.bn': 'bn1',
    'attention.conv.conv': 'conv2.conv',
    'attention.conv.bn': 'conv2.bn0',
    'attention.squeeze.conv': 'conv2.fc1',
    'attention.squeeze.bn': 'conv2.bn1',
    'attention.excite.conv': 'conv2.fc2',
    'exit.conv': 'conv3',
    'exit.bn': 'bn3',
    'shortcut.1.conv': 'downsample.1',
    'shortcut.1.bn': 'downsample.2',
}


@pytest.mark.parametrize('stride, stage', [(2, 'layer2'), (1, 'layer1')])
def test_block_is_resnests(stride, stage):
    """Two tied blocks are the two groups that a radix of 2 has in ResNeSt, with one weight repeated."""
    block = getattr(TiedResNeSt(base_channels=16), stage)[0].eval()
    for parameter in block.parameters():
        nn.init.uniform_(parameter, -0.5, 0.5)
    planes, channels = block.exit.out_channels // 4, block.entry.in_channels
    pool = nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False) if stride == 2 else nn.Identity()
    downsample = nn.Sequential(pool, nn.Conv2d(channels, 4 * planes, 1, bias=False), nn.BatchNorm2d(4 * planes))
    reference = ResNestBottleneck(
        channels, planes, stride, downsample, radix=2, cardinality=1, avd=True, avd_first=True
    )
    reference.eval()

    tied = block.attention.conv.conv.weight.detach().clone()
    x = torch.randn(2, channels, 9, 7)
    wanted = block(x)
    state = untie(block, dense=True).state_dict()
    state['attention.conv.conv.weight'] = torch.cat([tied, tied])
    if stride == 1:
        state = {name.replace('shortcut.0', 'shortcut.1'): value for name, value in state.items()}
    renamed = {}
    for name, value in state.items():
        layer, _, tensor = name.rpartition('.')
        renamed[f'{NAMES[layer]}.{tensor}'] = value
    renamed['conv2.fc1.bias'] = torch.zeros_like(reference.conv2.fc1.bias)
    reference.load_state_dict(renamed)
    assert_close(reference(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('radix', [1, 2, 3])
def test_split_attention_by_definition(radix):
    attention = TiedSplitAttention(8, radix, 4, 2, 1, None, dict(type='BN')).eval()
    x = torch.randn(2, 8, 5, 4)
    maps = attention.conv(x).chunk(radix, 1)
    pooled = sum(maps).mean((2, 3), keepdim=True)
    scores = attention.excite(attention.squeeze(pooled)).chunk(radix, 1)
    if radix == 1:
        wanted = maps[0] * scores[0].sigmoid()
    else:
        total = sum(score.exp() for score in scores)
        wanted = sum(score.exp() / total * one for score, one in zip(scores, maps))
    assert_close(attention(x), wanted)
    assert attention.squeeze.conv.out_channels == 32
