"""The benchmark for a GPU, on a CPU at its smallest size: every stage runs, what is wrong is told, time is kept."""

from __future__ import annotations

import csv
import math
import sys
from pathlib import Path

import pytest
import torch
from small_networks import SMALL
from torch import nn

from mmtied.commands import command
from mmtied.layers import TiedConv2d

ONE_STAGE = SMALL | dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
BENCHMARKS = Path(__file__).parents[2] / 'benchmarks'
CONFIG = """
_base_ = '{base}'
model = dict(
    backbone=dict(_delete_=True, type='{type}', depth={depth}, base_channels=16),
    neck=dict(in_channels={channels}, out_channels=8),
    rpn_head=dict(in_channels=8, feat_channels=8),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=8), bbox_head=dict(in_channels=8, fc_out_channels=8)),
)
"""


@pytest.fixture
def gpu(monkeypatch):
    """The script as a module."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ('gpu', 'budget', 'device_checks', 'detector_step', 'networks', 'tied_conv_forms'):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import gpu

    return gpu


@pytest.fixture
def miniature(gpu, monkeypatch, tmp_path):
    """The script with small networks, a small detector and one layer of each kind."""
    checks, step = sys.modules['device_checks'], sys.modules['detector_step']
    kept = ('TiedConv2d, 3x3, B=4', 'TiedLinear, B=4', 'TiedResNet-26, deployed')
    monkeypatch.setattr(checks, 'LAYERS', {name: checks.LAYERS[name] for name in kept})
    for name in [*gpu.NETWORKS]:
        monkeypatch.delitem(gpu.NETWORKS, name)
    monkeypatch.setitem(gpu.NETWORKS, gpu.BASE, dict(type='TiedResNet', depth=26, blocks=(1, 1, 1, 1), **ONE_STAGE))
    monkeypatch.setitem(gpu.NETWORKS, 'tied', dict(type='TiedResNet', depth=26, **ONE_STAGE))
    find = step.config_file

    def small(name: str) -> Path:
        kind = dict(type='TiedResNet', depth=26, channels=[64, 128, 256, 512])
        if 'tied' not in name:
            kind = dict(type='ResNet', depth=18, channels=[16, 32, 64, 128])
        path = tmp_path / f'{name}.py'
        path.write_text(CONFIG.format(base=find(name), **kind))
        return path

    monkeypatch.setattr(step, 'config_file', small)
    return gpu


def run(gpu, capsys, *arguments) -> tuple[int, str, str]:
    status = 0
    try:
        command.run(gpu, ['--device', 'cpu', '--smallest', *map(str, arguments)])
    except SystemExit as exit:
        status = exit.code
    return status, *capsys.readouterr()


def read(path: Path) -> list[dict]:
    with path.open(newline='') as file:
        return [*csv.DictReader(file)]


@pytest.mark.slow
def test_everything(miniature, capsys, tmp_path):
    out = tmp_path / 'out'
    status, told, errors = run(miniature, capsys, '--out-dir', out)
    assert status == 0, errors
    assert 'skipped' not in errors
    tables = {path.stem: read(path) for path in out.iterdir()}
    assert set(tables) == {'checks', 'operator_forms', 'operator_cost', 'backbones', 'detectors'}
    checks = tables['checks']
    assert told.startswith(f'{len(checks)} of {len(checks)} checks passed')
    for column, values in dict(
        form={'folded', 'repeated', ''},
        layout={'contiguous', 'channels last'},
        precision={'float64', 'float32', 'bfloat16'},
        way={'eager', 'scripted', 'compiled'},
    ).items():
        assert {row[column] for row in checks} == values
    backbones = tables['backbones']
    assert len(backbones) == 2 * (2 * 2 * 3 + 1)
    assert {row['ratio'] for row in backbones if row['network'] == miniature.BASE} == {'1.000'}
    assert all(float(row['ms']) > 0 for table in ('backbones', 'detectors', 'operator_cost') for row in tables[table])
    assert [row['detector'] for row in tables['detectors']] == [*miniature.DETECTORS]
    assert len(tables['operator_forms']) == 2 * 2 * 2
    assert all('torch' in row['setting'] for table in tables.values() for row in table)


def test_what_differs_is_told(miniature, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(miniature, 'STAGES', miniature.STAGES[:1])
    right = TiedConv2d.fold_blocks
    monkeypatch.setattr(TiedConv2d, 'fold_blocks', lambda self, x: 1.001 * right(self, x))
    status, told, errors = run(miniature, capsys, '--out-dir', tmp_path)
    assert status == 1
    # Of single precision all parts, of half precision none: a thousandth is within its rounding.
    failed = [line for line in errors.splitlines() if line.startswith('failed: ')]
    assert len(failed) == 2 * 3
    assert all('TiedConv2d, 3x3, B=4 (folded, ' in line and 'float32' in line for line in failed)
    assert 'output differs from the CPU by 1.0e-03, more than 1e-05' in errors
    rows = read(tmp_path / 'checks.csv')
    assert sum(row['passed'] == 'False' for row in rows) == len(failed)
    assert told.startswith(f'{len(rows) - len(failed)} of {len(rows)} ')


def test_a_step_that_raises_is_told_and_the_rest_goes_on(miniature, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(miniature, 'STAGES', miniature.STAGES[1:3])

    def form_costs(*_, **__):
        raise torch.OutOfMemoryError('CUDA out of memory.\nTried to allocate 2 GiB')

    monkeypatch.setattr(miniature, 'form_costs', form_costs)
    status, _, errors = run(miniature, capsys, '--out-dir', tmp_path)
    assert status == 1
    assert 'failed: 32 to 32 channels, B=2, float32: OutOfMemoryError: CUDA out of memory.\n' in errors
    assert [path.name for path in tmp_path.glob('*.csv')] == ['operator_cost.csv']


def test_what_would_overrun_is_skipped_and_told(miniature, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(miniature, 'STAGES', miniature.STAGES[1:])
    status, told, errors = run(miniature, capsys, '--out-dir', tmp_path, '--budget', 1)
    assert status == 0
    assert told.startswith('0 of 0 checks passed')
    assert 'skipped, as the time would not have sufficed: 12 of settings of backbones (training step, ' in errors
    assert not [*tmp_path.glob('*.csv')]


def test_a_device_that_is_not_there(gpu, capsys, tmp_path):
    status, _, errors = run(gpu, capsys, '--device', 'cuda:99', '--out-dir', tmp_path)
    assert status == 2
    assert "error: device='cuda:99': torch sees " in errors


def test_cases_of_a_gpu(gpu):
    """All layers in all forms that they have; both half precisions."""
    checks = sys.modules['device_checks']
    eager, compiled = (checks.cases(torch.device('cuda'), compiled=compiled) for compiled in (False, True))
    assert len({*eager, *compiled}) == len(eager) + len(compiled)
    assert {case.layer for case in eager} == set(checks.LAYERS)
    assert {case.precision for case in eager} == set(checks.TOLERANCE)
    conv = [case for case in eager if case.layer == 'TiedConv2d, 3x3, B=4']
    assert len(conv) == 2 * 2 * 3 + 1
    assert {case.form for case in eager if 'G=2' in case.layer} == {'repeated'}
    assert {case.form for case in eager if case.layer == 'TiedGCB, B=2'} == {'folded', 'repeated'}
    assert {case.way for case in compiled} == {'compiled'}


def test_nan_is_no_pass(gpu):
    checks = sys.modules['device_checks']
    case = checks.Case('TiedLinear, B=4', form='')
    wanted = [torch.ones(2, dtype=torch.double), torch.ones(1, dtype=torch.double)]
    found = [torch.ones(2), torch.tensor([math.nan])]
    for pair in (found, found[::-1]):
        difference = checks.largest_difference(pair, wanted[:: 1 if pair is found else -1])
        assert not checks.Check(case, 'output', difference).passed


def test_the_form_after_each_move(gpu, monkeypatch):
    checks = sys.modules['device_checks']
    assert checks.wrong_choices(torch.device('cpu')) == []
    monkeypatch.setattr(TiedConv2d, '_apply', lambda self, fn: nn.Conv2d._apply(self, fn))
    monkeypatch.setattr(TiedConv2d, '_choose_form', lambda self: setattr(self, 'folds', True))
    wrong = checks.wrong_choices(torch.device('cpu'))
    assert len(wrong) == 5
    assert wrong[1] == 'TiedConv2d moved to channels last: it folds, where it should repeat'


def test_the_longest_of_a_kind_decides(gpu, monkeypatch):
    budget_module = sys.modules['budget']
    now = [0.0]
    monkeypatch.setattr(budget_module.time, 'monotonic', lambda: now[0])
    budget = budget_module.Budget(100, dict(short=1, long=90))

    def work(seconds: float) -> str:
        now[0] += seconds
        return 'done'

    assert budget.step('long', 'first', lambda: work(30)) == 'done'  # thought to take 90
    assert budget.step('short', 'a', lambda: work(2)) == 'done'
    assert budget.step('long', 'second', lambda: work(40)) == 'done'  # the longest took 30
    assert budget.step('long', 'third', lambda: work(10)) is None  # 28 are left, and the longest took 40
    assert budget.step('short', 'b', lambda: work(1)) == 'done'
    assert budget.what_was_skipped() == ['skipped, as the time would not have sufficed: 1 of long (third)']
