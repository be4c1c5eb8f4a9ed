#!/usr/bin/env python3
"""Time the two forms of a tied convolution on the layers of TiedResNet-50, beside the ordinary convolution.

The forms are timed in turns, so that drift cancels; figures are medians, and ratios to the ordinary convolution.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
from collections.abc import Iterator, Sequence

import torch
from torch import nn
from tqdm import tqdm

from mmtied.analysis.machine import describe_machine, milliseconds
from mmtied.layers import TiedConv2d

COLUMNS = ['in', 'out', 'size', 'kernel', 'blocks', 'layout', 'pass', 'ordinary_ms', 'fold_ratio', 'repeat_ratio']
LAYERS = [
    (256, 128, 56, 1, 2),
    (32, 32, 56, 3, 2),
    (32, 32, 56, 3, 4),
    (32, 32, 56, 3, 8),
    (64, 64, 28, 3, 8),
    (128, 128, 14, 3, 4),
    (256, 256, 7, 3, 8),
    (1024, 512, 14, 1, 2),
]


def form_costs(layers: Sequence[tuple[int, ...]], batch: int, repeats: int, device: str) -> Iterator[list]:
    """Time both forms on some layers, and yield a row for each layer, memory layout and pass.

    Args:
        layers: As ``LAYERS``.
        batch: Images.
        repeats: Rounds that are timed, after 3 that are not.
        device: 'cpu' or 'cuda'.
    """
    for c_in, c_out, size, kernel, blocks in layers:
        layer = TiedConv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False, blocks=blocks).to(device)
        ordinary = nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, bias=False).to(device)
        forms = (ordinary, lambda x, layer=layer: layer.fold_blocks(x.contiguous()), layer.repeat_filters)
        for layout in (torch.contiguous_format, torch.channels_last):
            x = torch.randn(batch, c_in, size, size, device=device).contiguous(memory_format=layout)
            x.requires_grad_()
            for backward in (False, True):
                with torch.set_grad_enabled(backward):
                    rounds = [[milliseconds(run, x, backward) for run in forms] for _ in range(repeats + 3)][3:]
                base, fold, repeat = (statistics.median(column) for column in zip(*rounds))
                names = (str(layout).split('.')[1], 'forward+backward' if backward else 'forward')
                times = (f'{base:.3f}', f'{fold / base:.2f}', f'{repeat / base:.2f}')
                yield [c_in, c_out, size, kernel, blocks, *names, *times]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--repeats', type=int, default=15)
    args = parser.parse_args()
    print(f'# {describe_machine(args.device)}, batch {args.batch}')
    table = csv.writer(sys.stdout, lineterminator='\n')
    table.writerow(COLUMNS)
    for layer in tqdm(LAYERS, file=sys.stderr):
        table.writerows(form_costs([layer], batch=args.batch, repeats=args.repeats, device=args.device))


if __name__ == '__main__':
    main()
