"""Time standard, group and tied block convolution over B at equal FLOPs, forward and backward, with their memory.

The published feature map is 56x56x2048; --scale .25 takes 512 channels, and a 16th of the FLOPs, for small machines.
"""

import argparse

import torch

from ..analysis.machine import describe_machine
from ..analysis.operator_cost.figure import draw_costs
from ..analysis.operator_cost.measurement import BLOCKS, CHANNELS, SIZE, operator_costs
from ..analysis.operator_cost.output import as_text, to_csv
from ..utils.figures import save_figure
from ..utils.files import write_text
from .command import new_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
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


def main(args: argparse.Namespace) -> None:
    if not 0 < args.scale <= 1000:
        raise ValueError(f'--scale: {args.scale:g} must be above 0 and not beyond 1000')
    channels = round(CHANNELS * args.scale)
    costs = operator_costs(
        channels=channels,
        size=args.size,
        filters=args.filters,
        kernel=args.kernel,
        blocks=args.blocks,
        batch=args.batch,
        repeats=args.repeats,
        device=args.device,
        quiet=False,
    )
    shape = f'{args.batch} x {args.size}x{args.size}x{channels}, kernel {args.kernel}'
    heading = f'{describe_machine(args.device)}, {shape}'
    print(f'# {heading}\n{as_text(costs)}')
    if args.out_dir:
        write_text(args.out_dir / 'operator_cost.csv', to_csv(costs, heading))
        save_figure(draw_costs(costs, heading), args.out_dir / 'operator_cost.png')
        print(f'wrote {args.out_dir / "operator_cost.csv"} and operator_cost.png')
