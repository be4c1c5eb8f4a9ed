"""TiedLinear against the definition, block by block."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.testing import assert_close

from mmtied.layers import TiedLinear


def by_definition(layer: TiedLinear, x: torch.Tensor) -> torch.Tensor:
    return torch.cat([nn.functional.linear(b, layer.weight, layer.bias) for b in x.chunk(layer.blocks, -1)], -1)


@given(
    random=st.random_module(),
    blocks=st.sampled_from([1, 2, 3, 8]),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    shape=st.lists(st.integers(0, 3), max_size=3),
    bias=st.booleans(),
)
def test_equals_definition(random, blocks, sizes, shape, bias):
    layer = TiedLinear(sizes[0] * blocks, sizes[1] * blocks, bias, blocks=blocks).double()
    x = torch.randn(*shape, layer.in_features, dtype=torch.double)
    assert_close(layer(x), by_definition(layer, x))


def test_gradients():
    layer = TiedLinear(6, 4, blocks=2).double()
    x = torch.randn(3, 6, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda x, w, b: torch.func.functional_call(layer, {'weight': w, 'bias': b}, (x,)),
        (x, layer.weight, layer.bias),
    )


def test_one_block_is_the_ordinary_layer():
    tied, plain = TiedLinear(6, 4), nn.Linear(6, 4)
    tied.load_state_dict(plain.state_dict())
    x = torch.randn(2, 6)
    assert torch.equal(tied(x), plain(x))


@pytest.mark.parametrize('sizes, named', [((6, 4), 'in_features=6'), ((4, 6), 'out_features=6')])
def test_indivisible_features_are_named(sizes, named):
    with pytest.raises(ValueError, match=f'TiedLinear: {named}.*blocks=4'):
        TiedLinear(*sizes, blocks=4)


def test_torchscript():
    layer = TiedLinear(6, 4, blocks=2)
    x = torch.randn(3, 6)
    assert torch.equal(torch.jit.script(layer)(x), layer(x))


def test_repr_shows_blocks():
    assert repr(TiedLinear(4, 8, blocks=2)) == 'TiedLinear(in_features=4, out_features=8, bias=True, blocks=2)'
