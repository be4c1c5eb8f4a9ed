#!/usr/bin/env python3
"""Time the tied backbones beside the ordinary ones that they replace, forward and forward plus backward.

The two of a pair are timed in turns, so that drift cancels; figures are medians, and the ratio of the tied network to
the ordinary one stands beside the ratio of their multiply-adds: the floor, if time went by arithmetic alone.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys

import torch
from mmengine.registry import MODELS
from tqdm import tqdm

from mmtied.analysis import complexity
from mmtied.analysis.machine import describe_machine, milliseconds
from mmtied.analysis.published.table import BACKBONES
from mmtied.utils.logs import log_warnings_only

PAIRS = [
    ('resnet50', 'tiedresnet50-s'),
    ('resnet50', 'tiedresnet50'),
    ('resnet101', 'tiedresnet101'),
    ('resnext101', 'tiedresnext101'),
    ('senet101', 'tiedsenet101'),
    ('resnest50-fast', 'tiedresnest50-s'),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--size', type=int, default=224, help='height and width of the images (default: 224)')
    parser.add_argument('--repeats', type=int, default=7)
    args = parser.parse_args()
    log_warnings_only('backbones')  # the table alone is on stdout
    print(f'# {describe_machine(args.device)}, batch {args.batch}, {args.size}x{args.size}')
    table = csv.writer(sys.stdout, lineterminator='\n')
    table.writerow(['ordinary', 'tied', 'pass', 'ordinary_ms', 'tied_ms', 'ratio', 'macs_ratio'])
    x = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    for names in tqdm(PAIRS, file=sys.stderr):
        networks = [MODELS.build(BACKBONES[name]).to(args.device) for name in names]
        ordinary_macs, tied_macs = (complexity(network, (args.size, args.size)).macs for network in networks)
        for backward in (False, True):
            with torch.set_grad_enabled(backward):
                rounds = [
                    [milliseconds(lambda x, one=one: one(x)[-1], x, backward) for one in networks]
                    for _ in range(args.repeats + 1)
                ][1:]
            ordinary, tied = (statistics.median(column) for column in zip(*rounds))
            times = (f'{ordinary:.0f}', f'{tied:.0f}', f'{tied / ordinary:.2f}', f'{tied_macs / ordinary_macs:.2f}')
            table.writerow([*names, 'forward+backward' if backward else 'forward', *times])


if __name__ == '__main__':
    main()
