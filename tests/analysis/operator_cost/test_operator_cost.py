"""Costs of the operators: equal FLOPs by an independent count, memory of known size, and what is refused."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmtied.analysis.machine import describe_machine
from mmtied.analysis.operator_cost.figure import draw_costs
from mmtied.analysis.operator_cost.measurement import PASSES, make_operators, operator_costs, peak_memory

BLOCKS = (1, 2, 4)


def flops(run, x) -> int:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        run(x)
    return counter.get_total_flops()


def test_operators_cost_equal_flops_and_tied_ones_agree():
    operators = make_operators(16, 4, 3, BLOCKS, 'cpu')
    x = torch.randn(2, 16, 8, 8)
    assert [(one.name, one.blocks) for one in operators] == [
        ('standard', 1),
        *((name, b) for b in (2, 4) for name in ('group', 'tied, blocks folded', 'tied, filters repeated')),
    ]
    for one in operators:
        assert one.run(x).shape == (2, 4 * one.blocks, 8, 8)
        assert flops(one.run, x) == 2 * 2 * 8 * 8 * 16 * 4 * 9
    folded, repeated = operators[2], operators[3]
    torch.testing.assert_close(folded.run(x), repeated.run(x))


def test_costs():
    costs = operator_costs(channels=32, size=6, filters=2, blocks=BLOCKS, batch=3, repeats=2)
    assert len(costs) == 2 * 7
    assert [cost.direction for cost in costs] == [direction for direction in PASSES for _ in range(7)]
    for cost in costs:
        assert cost.gmacs == pytest.approx(3 * 6 * 6 * 32 * 2 * 9 / 1e9)
        assert cost.filters == 2 * cost.blocks
        shared = cost.blocks if cost.operator.startswith('tied') else 1
        assert cost.parameters == 32 * 2 * 9 / shared
        assert cost.ms > 0
    figure = draw_costs(costs, 'a $machine$')
    lines = {(axes.get_ylabel(), line.get_label()): line for axes in figure.axes for line in axes.lines}
    line = lines['forward: time, ms', 'group']
    wanted = [cost.ms for cost in costs if cost.direction == 'forward' and cost.operator in ('standard', 'group')]
    assert list(line.get_xdata()) == list(BLOCKS)
    assert list(line.get_ydata()) == wanted
    assert len(lines) == len(figure.axes) * 4
    assert list(lines['forward: time, ms', 'standard'].get_ydata()) == wanted[:1]


def test_memory_of_known_size():
    x = torch.zeros(1)

    def take(x):
        return torch.ones(40 * 2**18) + x  # twice 40 MB

    found = peak_memory(take, x, False)
    if found is None:
        pytest.skip('the system does not tell the memory of a process')
    assert found == pytest.approx(80, abs=4)
    # What is free again does not count for the next one.
    assert peak_memory(lambda x: x + 1, x, False) < 4


def test_memory_that_is_not_told_is_none(monkeypatch):
    def refuse(*_):
        raise OSError

    monkeypatch.setattr('pathlib.Path.write_text', refuse)
    costs = operator_costs(channels=4, size=3, filters=1, blocks=(1, 2), repeats=1)
    assert all(cost.mb is None for cost in costs)
    assert len(draw_costs(costs, '').axes) == 2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (dict(channels=48, blocks=(1, 32)), r'blocks=\[1, 32\] must have 1, and divide the 48 channels'),
        (dict(channels=32, blocks=(2, 4)), r'blocks=\[2, 4\] must have 1'),
        (dict(channels=32, blocks=(1, 0)), r'blocks=\[1, 0\]'),
        (dict(channels=0), 'channels=0 must be at least 1'),
        (dict(repeats=0), 'repeats=0 must be at least 1'),
        (dict(filters=0), 'filters=0 must be at least 1'),
        (dict(kernel=2), 'kernel=2 must be odd'),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        operator_costs(**dict(channels=32, size=4) | arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason='there is a CUDA device')
def test_no_cuda_is_said():
    with pytest.raises(ValueError, match="device='cuda': torch sees 0 CUDA devices"):
        operator_costs(channels=32, size=4, device='cuda')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a CUDA device')
def test_on_cuda():
    costs = operator_costs(channels=256, size=28, blocks=BLOCKS, repeats=3, device='cuda')
    for cost in costs:
        assert cost.ms > 0
        assert cost.mb >= cost.filters * 28 * 28 * 4 / 2**20
    assert 'CUDA' in describe_machine('cuda')


def test_machine_names_the_processor():
    assert f'torch {torch.__version__}' in describe_machine('cpu')
    assert f'threads: {torch.get_num_threads()}' in describe_machine('cpu')
