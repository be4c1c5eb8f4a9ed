"""The study's arms build, cost what they claim, and are run in an order in which nothing is missing."""

from functools import cache

import pytest
import torch
from mmengine.registry import MODELS

from mmtied.study import rival  # noqa: F401
from mmtied.study.plan import ARMS, CALIBRATION, FURTHER, QUESTIONS, TUNED, TUNING_SEED, runs
from mmtied.utils.complexity import complexity

# Arms that are to cost the same: multiply-adds of the first over those of the second.
EQUAL = [
    ('tied', 'untied', 0.03),
    ('late', 'tied', 0.02),
    ('last', 'tied', 0.02),
    ('late-splits', 'untied', 0.01),
    ('early', 'untied', 0.03),
    ('untied-thin', 'tied-s', 0.01),
    ('grouped', 'tied', 0.01),
    ('rival', 'tied', 0.01),
    ('tied-16', 'untied-16', 0.03),
    ('tied-64', 'untied-64', 0.03),
]


# One arm of each network.
NETWORKS = {repr(arm.model()): name for name, arm in reversed(ARMS.items())}


@cache
def macs(arm: str) -> int:
    return complexity(MODELS.build(ARMS[arm].model()), (128, 128)).macs


@pytest.mark.parametrize('arm', list(NETWORKS.values()))
def test_arms_build_and_train(arm):
    backbone = MODELS.build(ARMS[arm].model())
    outs = backbone(torch.randn(2, 3, 64, 64))
    assert [out.shape[1] for out in outs] == [4 * ARMS[arm].base_channels * 2**i for i in range(4)]
    sum(out.sum() for out in outs).backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())


@pytest.mark.parametrize('one, other, within', EQUAL)
def test_cost_is_equal(one, other, within):
    assert abs(macs(one) / macs(other) - 1) <= within


def test_every_run_once_and_sources_first():
    order = list(runs())
    assert len(order) == len(set(order))
    for arm, seed in order:
        source = ARMS[arm].start
        assert source is None or order.index((source, seed)) < order.index((arm, seed))
    compared = {
        (arm, seed)
        for question in (*QUESTIONS, *FURTHER)
        for pair in question.pairs
        for arm in pair
        for seed in question.seeds
    }
    tuned = {(arm, TUNING_SEED) for arm in TUNED}
    started_from = {(ARMS[arm].start, seed) for arm, seed in compared if ARMS[arm].start}
    assert set(order) == {CALIBRATION} | compared | tuned | started_from


def test_first_come_the_seeds_of_the_main_comparison():
    assert list(runs())[:11] == [CALIBRATION, *((arm, seed) for seed in range(5) for arm in ('untied', 'tied'))]


def test_untied_arms_have_no_tied_layer():
    for name in ('untied', 'untied-thin', 'grouped', 'wiring'):
        backbone = MODELS.build(ARMS[name].model())
        assert {getattr(module, 'blocks', 1) for module in backbone.modules()} == {1}
    for stage, blocks in zip(range(1, 5), ({1}, {1}, {1, 2, 4}, {1, 2, 4})):
        layer = MODELS.build(ARMS['late'].model()).get_submodule(f'layer{stage}')
        assert {module.blocks for module in layer.modules() if hasattr(module, 'blocks')} == blocks
