#!/usr/bin/env python3
"""How often 95% intervals of AP from an image bootstrap hold the expected AP of a set of that size.

Sets of images are sampled from a large one; the expected AP is the mean of theirs. Beside the intervals that the
package reports (the middle 95% of the samples, moved so that their mean is the estimate) stand the two of the
textbook: the middle 95% as it is, and mirrored about the estimate.
"""

from __future__ import annotations

import argparse
import csv
import sys
from pathlib import Path

import numpy as np
from coco_size import write
from tqdm import tqdm

from mmtied.coco.coco_json import check_ground_truth, check_results, read_json
from mmtied.evaluation.accumulator import Accumulator
from mmtied.evaluation.resampling import bootstrap, interval, middle
from mmtied.evaluation.scores import SCORES


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--folder', type=Path, default=Path('work_dirs/benchmark'), help='for the data')
    parser.add_argument('--images', type=int, default=5000, help='to sample from (default: 5000)')
    parser.add_argument('--ground-truth', type=Path, help='of your own')
    parser.add_argument('--sizes', type=int, nargs='+', default=[10, 20, 50, 200, 500, 1000])
    parser.add_argument('--sets', type=int, default=200, help='of each size (default: 200)')
    parser.add_argument('--samples', type=int, default=200, help='bootstrap samples of each set (default: 200)')
    args = parser.parse_args()
    truth_file, found_file = write(args.folder, args.images, args.ground_truth)
    truth = check_ground_truth(*read_json(truth_file, 'truth'))
    found = check_results(*read_json(found_file, 'found', results=True), truth, 'bbox')
    matches = Accumulator.of(truth, found, 'bbox')
    print(f'# {len(truth.images)} images, {args.sets} sets of each size, {args.samples} samples of each set')
    table = csv.writer(sys.stdout, lineterminator='\n')
    table.writerow(['images', 'score', 'spread', 'bootstrap_spread', 'middle', 'mirrored', 'moved'])
    for size in args.sizes:
        samples, weights = [], []
        for i in tqdm(range(args.sets), f'sets of {size}', leave=False):
            images = np.sort(np.random.default_rng([size, i]).choice(len(truth.images), size, replace=False))
            weights.append(np.bincount(images, minlength=len(truth.images)))
            samples.append(bootstrap([matches], images, count=args.samples, seed=(size, i), title='')[:, 0])
        scores = matches.scores(np.array(weights, dtype=np.int32))
        for k, score in enumerate(SCORES[:3]):
            estimates = scores[:, k]
            of_sets = [sample[:, k] for sample in samples]
            plain = np.array([middle(sample) for sample in of_sets])
            moved = np.array([interval(sample, estimate) for sample, estimate in zip(of_sets, estimates)])
            mirrored = 2 * estimates[:, None] - plain[:, ::-1]
            expected = estimates.mean()
            held = (((ends[:, 0] <= expected) & (expected <= ends[:, 1])).mean() for ends in (plain, mirrored, moved))
            spreads = (f'{value:.4f}' for value in (estimates.std(), np.mean([sample.std() for sample in of_sets])))
            table.writerow([size, score, *spreads, *(f'{share:.2f}' for share in held)])


if __name__ == '__main__':
    main()
