#!/usr/bin/env python3
"""Check every path that tied networks take on a GPU against the CPU, and time them beside others, in five minutes.

Checked are output and gradients of every tied layer: both forms of the convolution, both memory layouts, mixed
precision, scripted and compiled. Timed are the forms on the layers of TiedResNet-50, the published operator sweep
(Fig. 3), backbones beside others of their cost, and a detector's training step. What would overrun the time is skipped
and told. A check or a step that fails is told in a sentence, with exit status 1.
"""

from __future__ import annotations

import argparse
import copy
import csv
import io
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from budget import Budget
from detector_step import DETECTORS, training_step
from device_checks import LAYOUTS, cases, check, wrong_choices
from networks import BASE, NETWORKS, build
from tied_conv_forms import COLUMNS, LAYERS, form_costs
from torch import Tensor, nn

from mmtied.analysis.machine import check_device, describe_machine, milliseconds, timed
from mmtied.analysis.operator_cost.measurement import BLOCKS, CHANNELS, SIZE, operator_costs, peak_memory
from mmtied.analysis.operator_cost.output import to_rows
from mmtied.commands import command
from mmtied.deploy import deploy
from mmtied.utils.files import write_text
from mmtied.utils.logs import log_warnings_only

CHECK_FAILED = 1  # exit status
# Kinds of steps, and the seconds that one may take before it is known.
CHECK, FORMS, SWEEP, BACKBONES = 'checks', 'layers in both forms', 'operator sweeps', 'settings of backbones'
DETECTOR, COMPILED_CHECK, COMPILED_BACKBONE = 'settings of detectors', 'compiled checks', 'compiled backbones'
EXPECTED = {CHECK: 10, FORMS: 10, SWEEP: 20, BACKBONES: 30, DETECTOR: 30, COMPILED_CHECK: 20, COMPILED_BACKBONE: 60}


@dataclass(frozen=True)
class Sizes:
    """How large everything is.

    Attributes:
        warm_up, repeats: Rounds that are not timed, and that are, of networks; layers and operators warm up 3 rounds.
        layers: In both forms, as in ``tied_conv_forms``.
        layer_batch: Images for these.
        channels, map_size, blocks: Of the operator sweep.
        batch, image: Number of images, and their height and width, for backbones.
        detector_batch, detector_image: Number of images, and their height and width, for detectors.
        backend: Of torch's compiler.
    """

    warm_up: int = 3
    repeats: int = 10
    layers: Sequence[tuple[int, ...]] = tuple(LAYERS)
    layer_batch: int = 32
    channels: int = CHANNELS
    map_size: int = SIZE
    blocks: Sequence[int] = BLOCKS
    batch: int = 32
    image: int = 224
    detector_batch: int = 2
    detector_image: tuple[int, int] = (800, 1344)
    backend: str = 'inductor'


SMALLEST = Sizes(
    warm_up=0,
    repeats=1,
    layers=((32, 32, 8, 3, 2),),
    layer_batch=1,
    channels=64,
    map_size=8,
    blocks=(1, 2),
    batch=1,
    image=64,
    detector_batch=1,
    detector_image=(64, 96),
    backend='aot_eager',  # the graphs alone: the code made of them takes a C++ compiler minutes on a CPU
)


@dataclass(frozen=True)
class Plan:
    """What is run, where, and how long."""

    device: torch.device
    sizes: Sizes
    budget: Budget

    @property
    def precisions(self) -> tuple[str, str]:
        """Single precision, and the half precision that the device is quick in."""
        return ('float32', 'float16' if self.device.type == 'cuda' else 'bfloat16')

    def autocast(self, precision: str) -> torch.autocast:
        """Return mixed precision, or what leaves single precision alone.

        Casts are not cached: what was cast in a pass without gradients would be taken for the next, which needs them.
        """
        half = getattr(torch, self.precisions[1])
        return torch.autocast(self.device.type, half, enabled=precision != 'float32', cache_enabled=False)


def check_layers(plan: Plan, kind: str) -> list[dict]:
    """Compare layers with the CPU: the compiled ones, or the others."""
    if kind == CHECK:
        plan.budget.failed += wrong_choices(plan.device)
    rows = []
    for case in cases(plan.device, compiled=kind == COMPILED_CHECK):
        for one in plan.budget.step(kind, str(case), partial(check, case, plan.device, plan.sizes.backend)) or []:
            rows.append(one.row())
            if not one.passed:
                plan.budget.failed.append(one.sentence())
    return rows


def time_forms(plan: Plan) -> list[dict]:
    """Time both forms of tied convolutions on the layers of TiedResNet-50."""

    def rows_of(layer: tuple[int, ...], precision: str) -> list[dict]:
        with plan.autocast(precision):
            found = form_costs([layer], plan.sizes.layer_batch, plan.sizes.repeats, device=str(plan.device))
            return [dict(precision=precision) | dict(zip(COLUMNS, row)) for row in found]

    rows = []
    for precision in plan.precisions:
        for layer in plan.sizes.layers:
            name = f'{layer[0]} to {layer[1]} channels, B={layer[-1]}, {precision}'
            rows += plan.budget.step(FORMS, name, partial(rows_of, layer, precision)) or []
    return rows


def time_sweep(plan: Plan) -> list[dict]:
    """Time standard, group and tied convolutions over B."""
    costs = partial(
        operator_costs,
        channels=plan.sizes.channels,
        size=plan.sizes.map_size,
        blocks=plan.sizes.blocks,
        repeats=plan.sizes.repeats,
        device=str(plan.device),
    )
    return to_rows(plan.budget.step(SWEEP, 'Fig. 3', costs) or [])


def time_backbones(plan: Plan) -> list[dict]:
    """Time training and inference of all backbones in turns, trained and deployed, in each layout and precision."""
    trained = {name: build(name).to(plan.device) for name in NETWORKS}
    deployed = {name: deploy(copy.deepcopy(network)) for name, network in trained.items()}
    rows = []
    for layout in LAYOUTS:
        for precision in plan.precisions:
            for how, networks in (('training step', trained), ('inference', trained), ('deployed', deployed)):
                work = partial(backbone_rows, plan, networks, how, layout=layout, precision=precision)
                rows += plan.budget.step(BACKBONES, f'{how}, {layout}, {precision}', work) or []
    return rows


def time_compiled_backbones(plan: Plan) -> list[dict]:
    """Time the deployed form behind torch's compiler, where mixed precision and its layout are quick."""
    torch._dynamo.reset()
    compiled: dict[str, nn.Module] = {}
    rows = []
    for name in NETWORKS:

        def work(name: str = name) -> list[dict]:
            network = deploy(build(name)).to(plan.device)
            compiled[name] = torch.compile(network, fullgraph=True, backend=plan.sizes.backend)
            pair = {one: compiled[one] for one in (BASE, name) if one in compiled}
            how = 'deployed, compiled'
            return backbone_rows(plan, pair, how, layout='channels last', precision=plan.precisions[1])[-1:]

        rows += plan.budget.step(COMPILED_BACKBONE, name, work) or []
    return rows


def backbone_rows(plan: Plan, networks: dict[str, nn.Module], how: str, layout: str, precision: str) -> list[dict]:
    """Time backbones in turns, and return a row for each.

    Args:
        plan: Where, and with which images.
        networks: By name, on the device.
        how: 'training step', forward and backward, or else inference.
        layout: A key of ``LAYOUTS``.
        precision: One of the plan's.
    """
    sizes, backward = plan.sizes, how == 'training step'
    x = torch.randn(sizes.batch, 3, sizes.image, sizes.image, device=plan.device)
    x = x.contiguous(memory_format=LAYOUTS[layout])
    for network in networks.values():
        network.to(memory_format=LAYOUTS[layout])
        network.train(backward)

    def run(network: nn.Module, x: Tensor) -> Tensor:
        with plan.autocast(precision):
            return network(x)[-1]

    with torch.set_grad_enabled(backward):
        runs = {name: partial(run, network) for name, network in networks.items()}
        times = medians({name: partial(milliseconds, one, x, backward) for name, one in runs.items()}, sizes)
        memory = {name: peak_memory(one, x, backward) for name, one in runs.items()}
    rows = []
    for name, ms in times.items():
        row = dict(network=name, what=how, layout=layout, precision=precision, ms=f'{ms:.2f}')
        ratio = f'{ms / times[BASE]:.3f}' if BASE in times else ''
        rows.append(row | dict(ratio=ratio, mb='' if memory[name] is None else f'{memory[name]:.1f}'))
    return rows


def time_detectors(plan: Plan) -> list[dict]:
    """Time a training step of the detectors in turns."""
    sizes = plan.sizes

    def rows_of(half: bool) -> list[dict]:
        steps = {
            name: training_step(config, sizes.detector_image, sizes.detector_batch, device=plan.device, half=half)
            for name, config in DETECTORS.items()
        }
        times = medians({name: partial(timed, step, plan.device) for name, step in steps.items()}, sizes)
        base = next(iter(times.values()))
        setting = dict(image='x'.join(map(str, sizes.detector_image)), batch=sizes.detector_batch)
        setting |= dict(precision=plan.precisions[half])
        return [
            dict(detector=name) | setting | dict(ms=f'{ms:.1f}', ratio=f'{ms / base:.3f}') for name, ms in times.items()
        ]

    # mmengine has mixed precision for accelerators alone.
    halves = (False, True) if plan.device.type == 'cuda' else (False,)
    return [
        row
        for half in halves
        for row in plan.budget.step(DETECTOR, plan.precisions[half], partial(rows_of, half)) or []
    ]


def medians(runs: dict[str, Callable[[], float]], sizes: Sizes) -> dict[str, float]:
    """Run all in turns, so that drift hits all alike, and return the median of what each returns."""
    rounds = [{name: run() for name, run in runs.items()} for _ in range(sizes.warm_up + sizes.repeats)]
    return {name: statistics.median(one[name] for one in rounds[sizes.warm_up :]) for name in runs}


# In the order of what is to be known first; files by the names of the tables.
STAGES: tuple[tuple[str, Callable[[Plan], list[dict]]], ...] = (
    ('checks', partial(check_layers, kind=CHECK)),
    ('operator_forms', time_forms),
    ('operator_cost', time_sweep),
    ('backbones', time_backbones),
    ('detectors', time_detectors),
    ('checks', partial(check_layers, kind=COMPILED_CHECK)),
    ('backbones', time_compiled_backbones),
)


def write_table(path: Path, rows: Sequence[dict], setting: str) -> None:
    """Write rows as csv, each with the machine and versions."""
    text = io.StringIO()
    table = csv.DictWriter(text, [*rows[0], 'setting'], lineterminator='\n')
    table.writeheader()
    table.writerows(row | dict(setting=setting) for row in rows)
    write_text(path, text.getvalue())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out-dir', type=command.new_folder, required=True, help='folder for the csv files')
    parser.add_argument('--device', default='cuda', help='cuda (default), cuda:1, …, or cpu')
    parser.add_argument(
        '--budget',
        type=command.at_least(1),
        default=280,
        help='seconds that it may take, once all is imported (default: 280)',
    )
    parser.add_argument('--smallest', action='store_true', help='at the smallest sizes: to try the script, not to time')


def main(args: argparse.Namespace) -> None:
    check_device(args.device)
    log_warnings_only('gpu')
    device = torch.device(args.device)
    budget = Budget(args.budget, EXPECTED)
    plan = Plan(device, sizes=SMALLEST if args.smallest else Sizes(), budget=budget)
    tables: defaultdict[str, list[dict]] = defaultdict(list)
    for name, stage in STAGES:
        tables[name] += stage(plan)
        if tables[name]:
            write_table(args.out_dir / f'{name}.csv', tables[name], describe_machine(args.device))
    budget.bar.close()
    passed = sum(row['passed'] for row in tables['checks'])
    print(f'{passed} of {len(tables["checks"])} checks passed; the tables are in {args.out_dir}')
    for sentence in budget.what_was_skipped():
        print(sentence, file=sys.stderr)
    for sentence in budget.failed:
        print(f'failed: {sentence}', file=sys.stderr)
    if budget.failed:
        sys.exit(CHECK_FAILED)


if __name__ == '__main__':
    command.run(sys.modules[__name__])
