"""Filter similarity against a direct slow computation on a tiny network."""

import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from torch import Tensor, nn

from mmtied.analysis.network.loader import Network
from mmtied.analysis.similarity.figure import draw_histograms, draw_layers, draw_matrices
from mmtied.analysis.similarity.measurement import (
    BINS,
    FilterSimilarity,
    LayerSimilarity,
    cosine_similarity,
    filter_similarity,
)
from mmtied.analysis.similarity.output import as_text, save_similarity
from mmtied.layers import TiedConv2d

MEAN, STD = (100.0, 110.0, 120.0), (50.0, 60.0, 70.0)


def tiny(name: str = 'tiny', bgr: bool = False) -> Network:
    model = nn.Sequential(
        nn.Conv2d(3, 6, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        TiedConv2d(6, 6, 3, padding=1, blocks=2),
        nn.BatchNorm2d(6),
        nn.ReLU(inplace=True),
        nn.Conv2d(6, 8, 3, padding=1),
    )
    return Network(name, 'classifier', model.eval(), model, MEAN, STD, bgr, random=None)


def slow_pattern(network: Network, pixels: Tensor, index: int, channel: int) -> np.ndarray:
    """One image at a time, with every ReLU replaced by a function whose backward pass is the guided one."""

    class Guided(torch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * (x > 0)

        @staticmethod
        def backward(ctx, gradient):
            (x,) = ctx.saved_tensors
            return gradient * (gradient > 0) * (x > 0)

    total = np.zeros((3, *pixels.shape[2:]))
    for image in pixels:
        image = image.float().numpy()
        image = image[::-1].copy() if network.bgr else image
        x = (image - np.array(MEAN)[:, None, None]) / np.array(STD)[:, None, None]
        x = torch.from_numpy(x).float()[None].requires_grad_()
        y = x
        for module in list(network.model)[: index + 1]:
            y = Guided.apply(y) if isinstance(module, nn.ReLU) else module(y)
        y[:, channel][y[:, channel] > 0].sum().backward()
        total += x.grad[0].double().numpy()
    return total / len(pixels)


def slow_cosine(first: np.ndarray, second: np.ndarray) -> float:
    product, *squares = (
        sum(a * b for a, b in zip(x.flat, y.flat)) for x, y in ((first, second), (first, first), (second, second))
    )
    return product / math.sqrt(squares[0] * squares[1]) if all(squares) else math.nan


@pytest.mark.parametrize('bgr', [False, True])
def test_equals_a_direct_computation(bgr):
    network = tiny(bgr=bgr)
    pixels = torch.randint(0, 256, (5, 3, 10, 10), dtype=torch.uint8)
    result = filter_similarity(network, ['0', '3', '6'], pixels, filters=5, batch_size=2)
    assert [one.layer for one in result.patterns] == ['0', '3', '6']
    assert [one.depth for one in result.patterns] == [0, 0.5, 1]
    assert [one.count for one in result.patterns] == [6, 6, 8]
    for one in result.patterns:
        assert len(one.filters) == 5 and sorted(set(one.filters)) == list(one.filters)
        slow = [slow_pattern(network, pixels, int(one.layer), channel) for channel in one.filters]
        for i in range(5):
            for j in range(5):
                assert one.matrix[i, j] == pytest.approx(slow_cosine(slow[i], slow[j]), abs=1e-4, nan_ok=True)
    # A tied layer stores half of the filters.
    assert [one.count for one in result.weights] == [6, 3, 8]
    for one in result.weights:
        weight = network.model[int(one.layer)].weight.detach().numpy()[one.filters]
        for i in range(len(one.filters)):
            for j in range(len(one.filters)):
                assert one.matrix[i, j] == pytest.approx(slow_cosine(weight[i], weight[j]), abs=1e-5)


def test_batches_do_not_matter_and_draws_repeat():
    pixels = torch.randint(0, 256, (5, 3, 8, 8), dtype=torch.uint8)
    network = tiny()
    first, second = (filter_similarity(network, ['6'], pixels, 4, batch, seed=3) for batch in (1, 5))
    np.testing.assert_array_equal(first.patterns[0].filters, second.patterns[0].filters)
    np.testing.assert_allclose(first.patterns[0].matrix, second.patterns[0].matrix, atol=1e-5)
    other = filter_similarity(network, ['6'], pixels, 4, seed=4)
    assert list(other.patterns[0].filters) != list(first.patterns[0].filters)


def test_dead_filters_are_counted_and_left_out():
    network = tiny()
    with torch.no_grad():
        network.model[6].weight.abs_()  # the others live
        network.model[6].weight[2], network.model[6].bias[2] = 0, -1
    result = filter_similarity(network, ['6'], torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8))
    one = result.patterns[0]
    assert one.dead == 1
    assert np.isnan(one.matrix[2]).all() and np.isnan(one.matrix[:, 2]).all()
    assert len(one.pairs) == 7 * 6 / 2
    assert one.mean == pytest.approx(one.pairs.mean())
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert content['layers'][0]['matrix'][2] == [None] * 8


def test_modules_that_are_no_convolution_have_no_weights():
    block = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU())
    model = nn.Sequential(block, nn.Conv2d(4, 4, 1)).eval()
    network = Network('block', 'backbone', model, model)
    result = filter_similarity(network, ['0'], torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8))
    assert len(result.patterns) == 1 and result.weights == []
    with pytest.raises(ValueError, match='block: 0: only convolutions have weights; others need images'):
        filter_similarity(network, ['0'])
    alone = filter_similarity(tiny(), ['0', '3'])
    assert alone.patterns == [] and len(alone.weights) == 2


def test_bad_arguments():
    with pytest.raises(ValueError, match='filters=1 must be at least 2'):
        filter_similarity(tiny(), ['0'], filters=1)
    flat = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten())
    with pytest.raises(ValueError, match='flat: layer 1: returns'):
        filter_similarity(Network('flat', 'backbone', flat, flat), ['1'], torch.zeros(1, 3, 2, 2).byte())


vectors = st.lists(
    st.lists(st.floats(-1e3, 1e3).filter(lambda x: x == 0 or abs(x) > 1e-3), min_size=4, max_size=4),
    min_size=2,
    max_size=6,
)


@given(vectors, st.floats(0.01, 100))
def test_cosine_similarity(rows, scale):
    rows = torch.tensor(rows, dtype=torch.float64)
    matrix = cosine_similarity(rows)
    np.testing.assert_array_equal(matrix, matrix.T)
    zero = (rows == 0).all(1).numpy()
    assert np.isnan(matrix[zero]).all()
    known = matrix[~zero][:, ~zero]
    np.testing.assert_allclose(np.diag(known), 1)
    assert (np.abs(known) <= 1).all()
    np.testing.assert_allclose(cosine_similarity(scale * rows), matrix, atol=1e-9)


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=30))
def test_histograms_are_densities(values):
    matrix = np.eye(len(values) + 1)
    matrix[0, 1:] = values
    one = LayerSimilarity('', 0, 'patterns', 2, np.arange(len(matrix)), matrix)
    density = one.histogram()
    assert (density * np.diff(BINS)).sum() == pytest.approx(1)
    empty = LayerSimilarity('', 0, 'patterns', 2, np.arange(2), np.full((2, 2), np.nan))
    assert empty.histogram().sum() == 0 and math.isnan(empty.mean)


def results(count: int) -> list[FilterSimilarity]:
    pixels = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    return [filter_similarity(tiny(f'$net_{i}$'), ['0', '3', '6'], pixels, 4) for i in range(count)]


def test_figures_hold_every_layer_of_every_network():
    two = results(2)
    figure = draw_matrices(two)
    images = [axes.images[0].get_array() for axes in figure.axes if axes.images and axes.get_title()]
    wanted = [one.matrix for result in two for one in (*result.patterns, *result.weights)]
    assert len(images) == len(wanted) == 12
    for image, matrix in zip(images, wanted):
        np.testing.assert_array_equal(image.filled(np.nan), matrix)
    lines = stairs(draw_histograms(two))
    wanted = [one.histogram() for kind in ('patterns', 'weights') for result in two for one in getattr(result, kind)]
    assert len(lines) == len(wanted)
    for line, density in zip(lines, wanted):
        np.testing.assert_array_equal(line, density)
    lines = stairs(draw_layers(two))
    wanted = [
        getattr(result, kind)[k].histogram() for kind in ('patterns', 'weights') for k in range(3) for result in two
    ]
    for line, density in zip(lines, wanted, strict=True):
        np.testing.assert_array_equal(line, density)


def stairs(figure: Figure) -> list[np.ndarray]:
    return [patch.get_data().values for axes in figure.axes for patch in axes.patches]


def test_files(tmp_path):
    three = results(3)
    files = save_similarity(three, dict(images=2), tmp_path / 'new')
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == sorted(path.name for path in files)
    assert {path.name for path in files} >= {'histograms.png', 'matrices.png', 'layers.png'}
    rows = (tmp_path / 'new/similarity.csv').read_text().splitlines()
    assert len(rows) == 1 + 3 * 6
    content = json.loads((tmp_path / 'new/similarity.json').read_text())
    assert content['settings'] == {'images': 2}
    assert content['networks'][1]['network'] == '$net_1$'
    matrix = np.array(content['networks'][1]['layers'][0]['matrix'])
    np.testing.assert_allclose(matrix, three[1].patterns[0].matrix, atol=1e-5)
    assert len(save_similarity(three[:1], {}, tmp_path / 'one')) == 4  # nothing to draw over each other
    assert as_text(three).count('\n') == 18
