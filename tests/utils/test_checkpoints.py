"""Checkpoints load with safe loading on, and give a network's tensors by its own names, wherever they stand."""

import os
import re
from pickle import UnpicklingError

import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn
from torch.optim.swa_utils import AveragedModel

import mmtied.models  # noqa: F401
from mmtied.utils.checkpoints import (
    OneCycle,
    attribute,
    below,
    checkpoint_tensors,
    endings,
    matching,
    prefixes_of,
    read_checkpoint,
)

ARGUMENTS = {
    'CosineAnnealing': dict(T_max=9),
    'CosineRestart': dict(periods=[4], restart_weights=[1], eta_min=0),
    'Exponential': dict(gamma=0.9),
    'MultiStep': dict(milestones=[3]),
    'OneCycle': dict(eta_max=1.0, total_steps=9),
    'Step': dict(step_size=3),
    'ReduceOnPlateau': dict(monitor='loss'),
    'Constant': {},
    'Linear': {},
    'Poly': {},
    'QuadraticWarmup': dict(end=4),
}


@pytest.mark.parametrize(
    'name', sorted({name for name in PARAM_SCHEDULERS.module_dict if name.endswith('ParamScheduler')})
)
def test_every_scheduler_of_mmengine_goes_on(name, tmp_path):
    def build():
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        arguments = ARGUMENTS[name.removesuffix('ParamScheduler')]
        return optimizer, PARAM_SCHEDULERS.get(name)(optimizer, param_name='lr', **arguments)

    def step(scheduler):
        metrics = ({'loss': 1.0},) if 'Plateau' in name else ()
        scheduler.step(*metrics)

    (own, scheduler), (other, loaded) = build(), build()
    for _ in range(3):
        step(scheduler)
    torch.save({'scheduler': scheduler.state_dict(), 'optimizer': own.state_dict()}, tmp_path / 'state.pth')
    state = read_checkpoint(tmp_path / 'state.pth')
    other.load_state_dict(state['optimizer'])
    loaded.load_state_dict(state['scheduler'])
    for _ in range(3):
        step(scheduler), step(loaded)
        assert own.param_groups[0]['lr'] == other.param_groups[0]['lr']


def test_getattr_gets_what_a_runner_refers_to_alone():
    assert attribute(HistoryBuffer, 'mean') is HistoryBuffer.mean
    assert attribute(OneCycle, '_annealing_cos') is OneCycleParamScheduler._annealing_cos
    for owner, name in (
        (HistoryBuffer, '__class__'),
        (HistoryBuffer, 'register_statistics'),
        (OneCycle, '__init__'),
        (OneCycle, 'mean'),
        (object, 'mean'),
    ):
        with pytest.raises(UnpicklingError, match='not allowed'):
            attribute(owner, name)


class Planted:
    """A pickle of it calls a function."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_planted_code_is_refused_and_does_not_run(tmp_path):
    torch.save({'state_dict': {}, 'meta': Planted(tmp_path / 'ran')}, tmp_path / 'bad.pth')
    with pytest.raises(ValueError, match=re.escape(f'{tmp_path}/bad.pth: not a checkpoint, or one that holds more')):
        read_checkpoint(tmp_path / 'bad.pth')
    assert not (tmp_path / 'ran').exists()


@pytest.mark.parametrize('share', [0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_named(share, tmp_path):
    path = tmp_path / 'whole.pth'
    torch.save({'weight': torch.arange(1000.0)}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(ValueError, match=re.escape(f'{path}: not a checkpoint')):
        read_checkpoint(path)


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))


STATE = network().state_dict()
OPTIMIZER = {'state': {0: {'exp_avg': torch.zeros(3)}, 'a.weight': {'exp_avg': torch.zeros(3)}}, 'param_groups': [{}]}


@pytest.mark.parametrize(
    'content',
    [
        STATE,
        {'state_dict': STATE, 'ema_state_dict': {'module.other': torch.zeros(1)}, 'epoch': 3},
        {'model': STATE, 'model_ema': {'other': torch.zeros(1)}},
        {'model': {'state_dict': STATE}},
        {'model_ema': STATE, 'optimizer': OPTIMIZER, 'rng_state': torch.zeros(9), 'lr_scheduler': {'step': 1}},
        {'model': {'name': 'resnet'}, 'weights': STATE},
        {'net': STATE, 'optim_d': OPTIMIZER},
        STATE | {'1._extra_state': {'scale': torch.zeros(1)}},
    ],
)
def test_the_state_dict_is_found(content):
    assert checkpoint_tensors(content).keys() == STATE.keys()


@pytest.mark.parametrize(
    'wrap',
    [
        nn.DataParallel,
        AveragedModel,
        torch.compile,
        lambda network: nn.DataParallel(torch.compile(network)),
        lambda network: AveragedModel(nn.DataParallel(network)),
        lambda network: nn.Sequential(*map(torch.compile, network)),
    ],
)
def test_wrappers_of_torch_leave_no_trace(wrap):
    assert checkpoint_tensors(wrap(network()).state_dict()).keys() == STATE.keys()


@pytest.mark.parametrize('content', [{}, {'epoch': 3}, [1], None, {'state_dict': {}}, {3: torch.zeros(1)}])
def test_no_tensors(content):
    assert checkpoint_tensors(content) == {}


def test_several_networks_are_named():
    with pytest.raises(ValueError, match=r'the checkpoint holds gan\.g and gan\.d'):
        checkpoint_tensors({'gan': {'g': STATE, 'd': STATE}})


def test_tensors_below_a_prefix():
    assert below(dict(a=1), None) == below(dict(a=1), '') == dict(a=1)
    assert below({'a.b': 1, 'ab': 2}, 'a') == below({'a.b': 1, 'ab': 2}, 'a.') == dict(b=1)
    assert list(endings('a.b.c')) == [('', 'a.b.c'), ('a.', 'b.c'), ('a.b.', 'c')]


def test_prefixes_by_names_and_shapes():
    state = {f'{prefix}{name}': value for prefix in ('q.', 'k.', 'x.y.') for name, value in STATE.items()}
    del state['k.0.weight']
    assert prefixes_of(network(), state) == ['q.', 'x.y.']
    assert prefixes_of(network(), {'a.0.weight': torch.zeros(5)}) == []
    assert matching(network(), below(state, 'q')).keys() == STATE.keys()
