"""TiedGCB against mmcv's ContextBlock, the definition block by block, and the published sizes."""

import pytest
import torch
from mmcv.cnn import ContextBlock
from mmdet.models.backbones import ResNet
from torch import nn
from torch.testing import assert_close

from mmtied.layers import TiedGCB


def randomise(module: nn.Module) -> None:
    """The last convolution starts with zeros, which hide mistakes."""
    for parameter in module.parameters():
        nn.init.normal_(parameter)


@pytest.mark.parametrize('pooling_type', ['att', 'avg'])
@pytest.mark.parametrize('fusion_types', [('channel_add',), ('channel_mul',), ('channel_add', 'channel_mul')])
def test_one_block_is_context_block(pooling_type, fusion_types):
    arguments = dict(in_channels=16, ratio=1 / 4, pooling_type=pooling_type, fusion_types=fusion_types)
    plain, tied = ContextBlock(**arguments), TiedGCB(**arguments, blocks=1)
    randomise(plain)
    assert {k: v.shape for k, v in tied.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    tied.load_state_dict(plain.state_dict())
    x = torch.randn(2, 16, 5, 4)
    assert_close(tied(x), plain(x))


@pytest.mark.parametrize('blocks, groups', [(2, 1), (4, 1), (1, 2), (2, 2)])
def test_equals_definition(blocks, groups):
    block = TiedGCB(16, 1 / 2, blocks=blocks, groups=groups)
    randomise(block)
    x = torch.randn(2, 16, 5, 4)
    weights = block.conv_mask(x).flatten(1).softmax(1)  # (N, H W)
    context = torch.einsum('nci,ni->nc', x.flatten(2), weights)

    def transform(conv: nn.Conv2d, features: torch.Tensor) -> torch.Tensor:
        filters, biases = conv.weight.flatten(1).chunk(groups), conv.bias.chunk(groups)
        parts = [
            part @ filters[g].T + biases[g]
            for g, group in enumerate(features.chunk(groups, 1))
            for part in group.chunk(blocks, 1)
        ]
        return torch.cat(parts, 1)

    first, norm, _, last = block.channel_add_conv
    hidden = transform(first, context)
    hidden = nn.functional.layer_norm(hidden, hidden.shape[1:], norm.weight.flatten(), norm.bias.flatten()).relu()
    assert_close(block(x), x + transform(last, hidden)[:, :, None, None])


@pytest.mark.parametrize(
    'cfg, published',
    [
        (dict(type='ContextBlock'), 10),
        (dict(type='TiedGCB', blocks=1), 10),
        (dict(type='TiedGCB', blocks=2), 2.5),
        (dict(type='TiedGCB', blocks=1, groups=2), 5),
    ],
)
def test_published_parameters_in_resnet50(cfg, published):
    """Table 4, in M; of group convolution the text says half."""
    plugin = dict(cfg=cfg | dict(ratio=1 / 4), stages=(False, True, True, True), position='after_conv3')
    backbone = ResNet(50, plugins=[plugin])
    count = sum(p.numel() for m in backbone.modules() if isinstance(m, ContextBlock) for p in m.parameters())
    assert count / 1e6 == pytest.approx(published, rel=0.03)


def test_zeros_survive_the_initialisation_of_mmdets_resnet():
    plugin = dict(cfg=dict(type='TiedGCB', ratio=1 / 16, blocks=2), position='after_conv3')
    backbone = ResNet(50, base_channels=16, plugins=[plugin])
    backbone.init_weights()
    blocks = [module for module in backbone.modules() if isinstance(module, TiedGCB)]
    assert len(blocks) == 16
    for block in blocks:
        assert not block.channel_add_conv[3].weight.any()
        x = torch.randn(1, block.in_channels, 3, 3)
        assert_close(block(x), x)


def test_any_memory_layout_and_gradients():
    block = TiedGCB(8, 1 / 2)
    randomise(block)
    block.double()
    x = torch.randn(1, 8, 4, 6, dtype=torch.double)[..., ::2]
    wanted = block(x.contiguous())
    assert_close(block(x), wanted)
    assert_close(block(x.contiguous(memory_format=torch.channels_last)), wanted)
    assert torch.autograd.gradcheck(block, x.detach().requires_grad_())


@pytest.mark.parametrize(
    'arguments, named',
    [
        (dict(in_channels=18, blocks=4), r'in_channels=18 .*blocks=4'),
        (dict(in_channels=64, ratio=1 / 32, blocks=4), r'hidden=2 .*blocks=4'),
        (dict(in_channels=16, blocks=2, groups=3, ratio=0.25), r'in_channels=16 .*blocks=2 x groups=3'),
        (dict(in_channels=16, blocks=0), 'blocks=0'),
        (dict(in_channels=8, ratio=1 / 16), 'ratio=0.0625 leaves no hidden channel of in_channels=8'),
    ],
)
def test_errors_name_the_argument(arguments, named):
    with pytest.raises(ValueError, match=f'TiedGCB: {named}'):
        TiedGCB(**arguments)
