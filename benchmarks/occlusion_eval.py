#!/usr/bin/env python3
"""Time the evaluation by occlusion, from two json files to the table, beside a plain evaluation of the same files.

Whole processes, start and imports included, run in turns so that drift cancels; figures are medians, and ratios to
plain hotcoco. The reference API is run as one would without this package: an ordinary evaluation of the whole set and
one of each bin.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import hotcoco
import numpy as np
from tqdm import tqdm

ROOT = Path(__file__).parents[1]
PLAIN = """
import sys, hotcoco
truth = hotcoco.COCO(sys.argv[1])
evaluation = hotcoco.COCOeval(truth, truth.load_res(sys.argv[2]), 'bbox')
evaluation.run()
"""
REFERENCE = """
import csv, sys
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
truth = COCO(sys.argv[1])
found = truth.loadRes(sys.argv[2])
bins = {}
for row in csv.DictReader(open(sys.argv[3])):
    bins.setdefault(row['bin'], []).append(int(row['image_id']))
bins.pop('no instances', None)
for images in [None] * (sys.argv[4] == 'all') + list(bins.values()):
    evaluation = COCOeval(truth, found, 'bbox')
    if images is not None:
        evaluation.params.imgIds = images
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
"""


def run(command: list[str]) -> tuple[float, float]:
    """Return seconds and peak memory in MB of a command."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f'failed: {command}')
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, default=Path('work_dirs/benchmark'), help='for the data')
    parser.add_argument('--images', type=int, default=5000, help='default: 5000, as COCO val2017')
    parser.add_argument('--ground-truth', type=Path, help='of your own')
    parser.add_argument('--repeats', type=int, default=5)
    parser.add_argument('--reference', action='store_true', help='also the reference API, minutes')
    parser.add_argument('--no-resampling', action='store_true', help='not the intervals and bands')
    args = parser.parse_args()
    # In a process of its own: the memory of this one would count for those that it starts.
    make = [sys.executable, str(ROOT / 'benchmarks' / 'coco_size.py'), str(args.folder), '--images', str(args.images)]
    if args.ground_truth:
        make += ['--ground-truth', str(args.ground_truth)]
    files = subprocess.run(make, check=True, capture_output=True, text=True).stdout.split()
    tool = [sys.executable, str(ROOT / 'tools' / 'occlusion_eval.py'), *files, '--quiet']
    machine = (
        f'{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}'
    )
    print(f'# {machine}, hotcoco {hotcoco.__version__}, numpy {np.__version__}, {args.images} images')
    commands = {
        'plain hotcoco': [sys.executable, '-c', PLAIN, *files],
        'occlusion_eval': tool,
    }
    rounds = [{name: run(command) for name, command in commands.items()} for _ in tqdm(range(args.repeats))]
    figures = {name: [statistics.median(turn[name][i] for turn in rounds) for i in (0, 1)] for name in commands}
    once = {'occlusion_eval --per-class': [*tool, '--per-class']}
    if not args.no_resampling:
        once['occlusion_eval --bootstrap 1000 --random-subsets 200'] = [
            *tool,
            '--bootstrap',
            '1000',
            '--random-subsets',
            '200',
        ]
    with tempfile.TemporaryDirectory() as out:
        if args.reference:
            run([*tool, '--out-dir', out])
            manifest = str(Path(out) / 'manifest.csv')
            for which in ('bins', 'all'):
                name = 'pycocotools on each bin' + (' and the whole set' if which == 'all' else '')
                once[name] = [sys.executable, '-c', REFERENCE, *files, manifest, which]
        figures |= {name: run(command) for name, command in tqdm(once.items())}
    table = csv.writer(sys.stdout, lineterminator='\n')
    table.writerow(['command', 'seconds', 'ratio to plain hotcoco', 'ratio to occlusion_eval', 'peak MB'])
    for name, (seconds, memory) in figures.items():
        ratios = (f'{seconds / figures[base][0]:.2f}' for base in commands)
        table.writerow([name, f'{seconds:.2f}', *ratios, f'{memory:.0f}'])


if __name__ == '__main__':
    main()
