#!/usr/bin/env python3
"""Time standard, group and tied block convolution over B at equal FLOPs, forward and backward, with their memory.

The published feature map is 56x56x2048; --scale .25 takes 512 channels, and a 16th of the FLOPs, for small machines.
"""

import argparse
import csv
import io
from dataclasses import asdict, fields

import torch
from command import new_folder, run

from mmtied.analysis.machine import describe_machine
from mmtied.analysis.operator_cost.figure import draw_costs
from mmtied.analysis.operator_cost.measure import BLOCKS, CHANNELS, SIZE, OperatorCost, operator_costs
from mmtied.utils.figures import save_figure
from mmtied.utils.files import written_aside
from mmtied.utils.text_table import align


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--scale', type=float, default=1, help=f'of the {CHANNELS} channels (default: 1)')
    parser.add_argument('--size', type=int, default=SIZE, help='height and width (default: %(default)s)')
    parser.add_argument('--filters', type=int, help='output channels at B = 1 (default: 1 for every 32 of the input)')
    parser.add_argument('--kernel', type=int, default=3, help='odd (default: 3)')
    parser.add_argument(
        '--blocks', type=int, nargs='+', default=BLOCKS, metavar='B', help='1 among them (default: 1 2 4 8 16 32)'
    )
    parser.add_argument('--batch', type=int, default=1, help='images (default: 1)')
    parser.add_argument('--repeats', type=int, default=15, help='rounds, of which the median is taken (default: 15)')
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu', help='default: %(default)s')
    parser.add_argument('--out-dir', type=new_folder, help='folder for operator_cost.csv and operator_cost.png')
    return parser.parse_args()


def to_csv(costs: list[OperatorCost], setting: str) -> str:
    """Return the costs, each with machine, versions and size of the input."""
    text = io.StringIO()
    columns = [*(field.name for field in fields(OperatorCost)), 'setting']
    table = csv.DictWriter(text, columns, lineterminator='\n')
    table.writeheader()
    for cost in costs:
        row = asdict(cost)
        rounded = {key: f'{row[key]:.4g}' for key in ('gmacs', 'ms', 'mb') if row[key] is not None}
        table.writerow(row | rounded | {'setting': setting})
    return text.getvalue()


def as_text(costs: list[OperatorCost]) -> str:
    """Return the costs as a table, with the ratio to the standard convolution."""
    standard = {cost.direction: cost.ms for cost in costs if cost.operator == 'standard'}
    rows = [('operator', 'pass', 'B', 'filters', 'parameters', 'GMACs', 'ms', 'ratio', 'MB')]
    for cost in costs:
        memory = '-' if cost.mb is None else f'{cost.mb:.1f}'
        rows.append(
            (
                *(cost.operator, cost.direction, str(cost.blocks), str(cost.filters), f'{cost.parameters:,}'),
                *(f'{cost.gmacs:.2f}', f'{cost.ms:.2f}', f'{cost.ms / standard[cost.direction]:.2f}', memory),
            )
        )
    return align(rows, left=2)


def main() -> None:
    args = parse_args()
    if not 0 < args.scale <= 1000:
        raise ValueError(f'--scale: {args.scale:g} must be above 0 and not beyond 1000')
    channels = round(CHANNELS * args.scale)
    shape = dict(channels=channels, size=args.size, filters=args.filters, kernel=args.kernel)
    costs = operator_costs(
        **shape, blocks=args.blocks, batch=args.batch, repeats=args.repeats, device=args.device, quiet=False
    )
    heading = (
        f'{describe_machine(args.device)}, {args.batch} x {args.size}x{args.size}x{channels}, kernel {args.kernel}'
    )
    print(f'# {heading}\n{as_text(costs)}')
    if args.out_dir:
        with written_aside(args.out_dir / 'operator_cost.csv') as part:
            part.write_text(to_csv(costs, heading), encoding='utf-8')
        save_figure(draw_costs(costs, heading), args.out_dir / 'operator_cost.png')
        print(f'wrote {args.out_dir / "operator_cost.csv"} and operator_cost.png')


if __name__ == '__main__':
    run(main)
