"""TiedResNet's bottleneck against its definition."""

import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mmtied.models import TiedResNet

TINY = dict(depth=26, base_channels=16, base_width=64)


def test_depth_152_has_its_blocks():
    stages = [len(getattr(TiedResNet(depth=152), f'layer{i}')) for i in range(1, 5)]
    assert stages == [3, 8, 36, 3]


@pytest.mark.parametrize('mixer', ['sum', 'concat', 'none'])
def test_bottleneck_by_definition(mixer):
    """The reconstruction, written out from the parts of a block."""
    block = TiedResNet(**TINY, mixer=mixer).layer2[0].eval()
    x = torch.randn(2, 64, 8, 8)
    chunks = block.entry(x).chunk(4, 1)
    outs = [split(chunk) for split, chunk in zip(block.splits, chunks)]
    mixed = {
        'sum': lambda: [block.mixer(outs[0] + outs[1] + outs[2] + outs[3])],
        'concat': lambda: [block.mixer(torch.cat(outs, 1))],
        'none': lambda: [],
    }[mixer]()
    wanted = torch.relu(block.exit(torch.cat([*outs, *mixed], 1)) + block.shortcut(x))
    assert_close(block(x), wanted)
    assert [conv.conv.blocks for conv in (block.entry, *block.splits)] == [2, 1, 2, 4, 8]
    assert mixer == 'none' or block.mixer.conv.blocks == 2
    assert [split.conv.stride for split in block.splits] == [(2, 2)] * 4
    assert type(block.exit.conv) is nn.Conv2d


def test_caffe_style_has_the_stride_in_the_entry():
    block = TiedResNet(**TINY, style='caffe').layer2[0]
    assert block.entry.conv.stride == (2, 2)
    assert {split.conv.stride for split in block.splits} == {(1, 1)}


@pytest.mark.parametrize(
    'argument, named',
    [
        (dict(blocks=4), 'blocks=4 must hold one number'),
        (dict(splits=3), r'blocks=\(1, 2, 4, 8\).*splits=3'),
        (dict(mixer='max'), "mixer='max'"),
        (dict(base_width=18), r'layer1\.0: splits\.2: TiedConv2d: in_channels=18 .*blocks=4'),
        (dict(mixer_blocks=5), r'layer1\.0: mixer: TiedConv2d: in_channels=32 .*blocks=5'),
        (dict(base_width=33), r'layer1\.0: splits\.1: TiedConv2d: in_channels=33 .*blocks=2'),
    ],
)
def test_errors_name_the_argument(argument, named):
    with pytest.raises(ValueError, match=f'TiedResNet.*{named}'):
        TiedResNet(**argument)
