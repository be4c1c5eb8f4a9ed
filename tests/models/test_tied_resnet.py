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


def test_blocks_of_each_stage():
    late = dict(
        blocks=[(1, 1, 1, 1), (1, 1, 1, 1), (1, 2, 4, 4), (2, 2, 2, 2)],
        entry_blocks=(1, 1, 2, 4),
        shortcut_blocks=(1, 2, 1, 2),
        mixer_blocks=(1, 1, 1, 2),
    )
    backbone = TiedResNet(**TINY, **late)
    for i in range(4):
        for block in getattr(backbone, f'layer{i + 1}'):
            assert tuple(split.conv.blocks for split in block.splits) == tuple(late['blocks'][i])
            assert block.entry.conv.blocks == late['entry_blocks'][i]
            assert block.mixer.conv.blocks == late['mixer_blocks'][i]
            assert block.shortcut is None or block.shortcut[0].conv.blocks == late['shortcut_blocks'][i]
    same = TiedResNet(**TINY, blocks=[(1, 2, 4, 8)] * 4, entry_blocks=[2] * 4)
    assert str(same) == str(TiedResNet(**TINY))


@pytest.mark.parametrize(
    'argument, named',
    [
        (dict(blocks=[(1, 2, 4, 8)] * 3), 'blocks=.* or such a list for each of 4 stages'),
        (dict(blocks=[(1, 2, 4, 8)] * 3 + [(1, 2)]), 'blocks=.* must hold one number for each of splits=4'),
        (dict(entry_blocks=(2, 2)), r'entry_blocks=\(2, 2\) must be a number, or one for each of 4 stages'),
        (dict(mixer_blocks=[2] * 5), 'mixer_blocks=.* one for each of 4 stages'),
        (dict(shortcut_blocks=()), r'shortcut_blocks=\(\) must be a number'),
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
