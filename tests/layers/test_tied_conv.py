"""TiedConv2d against the definition, Eq. 3 and 4, written out block by block."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from mmcv.cnn import ConvModule
from torch import nn
from torch.testing import assert_close

import mmtied.models  # noqa: F401
from mmtied.layers import TiedConv2d


def by_definition(layer: TiedConv2d, x: torch.Tensor) -> torch.Tensor:
    """Eq. 4: the channels are cut into groups, each group into blocks; the blocks of group g share filter W'_g."""
    filters = layer.weight.chunk(layer.groups)
    biases = [None] * layer.groups if layer.bias is None else layer.bias.chunk(layer.groups)
    padding, mode = layer.padding, layer.padding_mode
    if mode != 'zeros':
        x = F.pad(x, (padding[1], padding[1], padding[0], padding[0]), mode=mode)
        padding = 0
    return torch.cat(
        [
            F.conv2d(block, filters[g], biases[g], layer.stride, padding, layer.dilation)
            for g, group in enumerate(x.chunk(layer.groups, 1))
            for block in group.chunk(layer.blocks, 1)
        ],
        1,
    )


layers = st.builds(
    lambda blocks, groups, c_in, c_out, kernel, **kwargs: TiedConv2d(
        blocks * groups * c_in, blocks * groups * c_out, kernel, blocks=blocks, groups=groups, **kwargs
    ).double(),
    blocks=st.sampled_from([1, 2, 3, 4]),
    groups=st.sampled_from([1, 2, 3]),
    c_in=st.integers(1, 3),
    c_out=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, (1, 3)]),
    stride=st.sampled_from([1, 2, (2, 1)]),
    padding=st.sampled_from([0, 1, (1, 2)]),
    dilation=st.sampled_from([1, 2]),
    bias=st.booleans(),
    padding_mode=st.sampled_from(['zeros', 'reflect', 'replicate', 'circular']),
)


@given(random=st.random_module(), layer=layers)
def test_equals_definition(random, layer):
    x = torch.randn(2, layer.in_channels, 7, 9, dtype=torch.double)
    assert_close(layer(x), by_definition(layer, x))
    assert_close(layer(x[0]), by_definition(layer, x)[0])


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('blocks', [2, 4, 8])
def test_both_forms_are_one_layer(blocks, bias):
    layer = TiedConv2d(16, 24, 3, stride=2, padding=1, bias=bias, padding_mode='reflect', blocks=blocks).double()
    x = torch.randn(3, 16, 8, 6, dtype=torch.double, requires_grad=True)
    folded, repeated = layer.fold_blocks(x), layer.repeat_filters(x)
    assert_close(folded, repeated)
    inputs = [x, *layer.parameters()]
    for a, b in zip(
        torch.autograd.grad(folded.square().sum(), inputs), torch.autograd.grad(repeated.square().sum(), inputs)
    ):
        assert_close(a, b)


@pytest.mark.parametrize('form', ['fold_blocks', 'repeat_filters'])
def test_gradients(form):
    layer = TiedConv2d(4, 4, 3, padding=1, blocks=2).double()
    x = torch.randn(2, 4, 3, 3, dtype=torch.double, requires_grad=True)

    def run(x, weight, bias):
        return torch.func.functional_call(Form(layer, form), {'layer.weight': weight, 'layer.bias': bias}, (x,))

    assert torch.autograd.gradcheck(run, (x, layer.weight, layer.bias))


class Form(nn.Module):
    def __init__(self, layer, form):
        super().__init__()
        self.layer, self.form = layer, form

    def forward(self, x):
        return getattr(self.layer, self.form)(x)


def test_gradients_of_groups():
    layer = TiedConv2d(8, 8, 3, padding=1, blocks=2, groups=2).double()
    x = torch.randn(1, 8, 3, 3, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer, x)


@pytest.mark.parametrize('groups', [1, 2])
def test_one_block_is_the_ordinary_layer(groups):
    torch.manual_seed(1)
    tied = TiedConv2d(8, 4, 3, 2, 1, 1, groups, True, 'reflect', blocks=1)
    torch.manual_seed(1)
    plain = nn.Conv2d(8, 4, 3, 2, 1, 1, groups, True, 'reflect')
    assert {k: v.shape for k, v in tied.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}
    x = torch.randn(2, 8, 5, 5)
    assert torch.equal(tied(x), plain(x))


@pytest.mark.parametrize('blocks', [1, 2, 4, 8])
def test_parameters_shrink_by_the_square_of_blocks(blocks):
    layer = TiedConv2d(16, 32, 3, bias=False, blocks=blocks)
    assert sum(p.numel() for p in layer.parameters()) == 16 * 32 * 9 // blocks**2


def test_any_memory_layout_and_an_empty_batch():
    layer = TiedConv2d(8, 8, 3, padding=1, blocks=4)
    x = torch.randn(2, 16, 6, 6)
    wanted = by_definition(layer, x[:, :8])
    for layout in (x[:, :8], x[:, :8].contiguous(memory_format=torch.channels_last)):
        assert_close(layer(layout), wanted)
    assert layer(x[:0, :8]).shape == (0, 8, 6, 6)
    assert layer.fold_blocks(x[:0, :8].contiguous()).shape == (0, 8, 6, 6)


@pytest.mark.parametrize(
    'c_in, c_out, blocks, groups, named',
    [
        (18, 32, 4, 1, 'in_channels=18'),
        (32, 18, 4, 1, 'out_channels=18'),
        (8, 8, 4, 4, 'in_channels=8'),
        (8, 8, 0, 1, 'blocks=0'),
        (8, 8, 2.0, 1, 'blocks=2.0'),
    ],
)
def test_indivisible_channels_are_named(c_in, c_out, blocks, groups, named):
    with pytest.raises(ValueError, match='TiedConv2d') as error:
        TiedConv2d(c_in, c_out, 3, blocks=blocks, groups=groups)
    assert named in str(error.value)
    assert f'blocks={blocks}' in str(error.value)


def test_in_a_conv_module():
    module = ConvModule(8, 8, 3, padding=1, conv_cfg=dict(type='TiedConv', blocks=2), norm_cfg=dict(type='BN'))
    assert isinstance(module.conv, TiedConv2d)
    assert module(torch.randn(2, 8, 4, 4)).shape == (2, 8, 4, 4)
    assert 'blocks=2' in repr(module.conv)


def test_bfloat16_autocast():
    layer = TiedConv2d(8, 8, 3, padding=1, blocks=2)
    x = torch.randn(2, 8, 6, 6)
    with torch.autocast('cpu', torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert_close(y.float(), layer(x), atol=0.05, rtol=0.05)


@pytest.mark.parametrize('arguments', [dict(padding=1), dict(padding=1, padding_mode='reflect'), dict(groups=2)])
def test_torchscript(arguments):
    layer = TiedConv2d(8, 8, 3, blocks=2, **arguments)
    x = torch.randn(2, 8, 6, 6)
    assert torch.equal(torch.jit.script(layer)(x), layer(x))


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_cuda_equals_cpu():
    layer = TiedConv2d(8, 8, 3, padding=1, blocks=2).double()
    x = torch.randn(2, 8, 6, 6, dtype=torch.double)
    wanted = layer(x)
    assert_close(layer.cuda()(x.cuda()).cpu(), wanted)
