#!/usr/bin/env python3
"""How often 95% intervals of an image bootstrap hold what is expected of a set of that size.

Sets of images are sampled from a large one; what is expected is the mean of their scores. Measured are the scores of a
detector and the differences of two: of images, of a row of instances (occlusion of .4 and more) and of a cell of it (32
to 96 pixels). Beside the intervals that the package reports (the middle 95% of the samples, moved so that their mean is
the estimate, and widened) stand those that are not widened, the middle 95% as it is, and for differences of all images
those of hotcoco's `compare`. Detections are jittered boxes (`coco_size.py`) or more realistic
(`realistic_detections.py`); `pedestrians` are the latter on one class alone, with MR-2 and JI.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import coco_size
import hotcoco
import numpy as np
import realistic_detections
from tqdm import tqdm

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.coco.data import Detections, GroundTruth
from mmtied.evaluation.accumulator import Accumulator
from mmtied.evaluation.engine import hotcoco_evaluation
from mmtied.evaluation.occlusion import Row
from mmtied.evaluation.pedestrians import PedestrianMatcher
from mmtied.evaluation.ratio import instance_ratios
from mmtied.evaluation.resampling import Sampled, bootstrap, interval, middle, widened
from mmtied.evaluation.scores import PEDESTRIAN_SCORES, SCORES

HIDDEN = 0.4  # the row: instances that are covered to this share or more
CELL = (32, 96)  # pixels, the root of the box's area
MEASURED = [name for name in SCORES if name != 'AR']


@dataclass(frozen=True)
class Part:
    """What is scored: the instances that are not ignored, by matches of two detectors for each kind of score."""

    name: str
    ignored: np.ndarray | None
    matches: list[list[Sampled]]  # kinds of scores, detectors
    names: list[str]  # of all scores


@dataclass(frozen=True)
class Outcome:
    """A set: estimates and samples of the first detector and of the difference, and hotcoco's intervals of that."""

    estimates: np.ndarray  # (2, scores)
    samples: np.ndarray  # (samples, 2, scores)
    widened: np.ndarray  # the same
    images: int  # that show an instance of the part
    hotcoco: dict[str, tuple[float, float]]


def data(kind: str, images: int, own: Path | None) -> tuple[GroundTruth, list[Detections]]:
    """Return a ground truth and two detectors."""
    truth = json.loads(own.read_text()) if own else coco_size.ground_truth(images)
    if kind == 'pedestrians':
        categories = [entry['category_id'] for entry in truth['annotations']]
        most = max(set(categories), key=categories.count)
        for key, name in (('categories', 'id'), ('annotations', 'category_id')):
            truth[key] = [entry for entry in truth[key] if entry[name] == most]
    make = coco_size.detections if kind == 'jittered' else realistic_detections.detections
    checked = check_ground_truth(truth, 'truth')
    return checked, [check_results(make(truth, i), 'found', checked, 'bbox') for i in (0, 1)]


def parts_of(kind: str, truth: GroundTruth, found: list[Detections], chosen: list[str]) -> Iterator[Part]:
    """Yield all images, the row and the cell."""
    row = ~(instance_ratios(truth) >= HIDDEN)
    size = np.sqrt(truth.bbox[:, 2:].prod(1))
    ignored = {'all': None, 'row': row, 'cell': row | (size < CELL[0]) | (size >= CELL[1])}
    for name in chosen:
        kinds: list[list[Sampled]] = [[Accumulator.of(truth, one, 'bbox', ignored=ignored[name]) for one in found]]
        names = list(SCORES)
        if kind == 'pedestrians':
            kinds.append([PedestrianMatcher(truth, one, min_height=0).row(ignored[name]) for one in found])
            names += PEDESTRIAN_SCORES
        yield Part(name, ignored[name], kinds, names)


def outcome(
    part: Part, truth: GroundTruth, found: list[Detections], images: np.ndarray, samples: int, seed: tuple[int, int]
) -> Outcome:
    """Score a set of images and its samples."""
    once = np.ones((1, len(images)), dtype=int)
    estimates, sampled = [], []
    for kind in part.matches:
        of_set = [matches.part(images) for matches in kind]
        estimates.append(np.concatenate([matches.scores(once) for matches in of_set]))
        sampled.append(bootstrap(of_set, np.arange(len(images)), count=samples, seed=seed, title=''))
    scores, drawn = np.concatenate(estimates, axis=1), np.concatenate(sampled, axis=2)
    row = Row(part.name, lower=None, upper=None, images=images, ignored=part.ignored)
    wide = widened(drawn, row.images_of_class(truth))
    return Outcome(
        estimates=np.stack([scores[0], scores[1] - scores[0]]),
        samples=np.stack([drawn[:, 0], drawn[:, 1] - drawn[:, 0]], axis=1),
        widened=np.stack([wide[:, 0], wide[:, 1] - wide[:, 0]], axis=1),
        images=len(np.unique(truth.image[row.inside(truth)])),
        hotcoco={} if part.ignored is not None else by_hotcoco(truth, found, images=images, samples=samples),
    )


def by_hotcoco(
    truth: GroundTruth, found: list[Detections], images: np.ndarray, samples: int
) -> dict[str, tuple[float, float]]:
    """Return hotcoco's intervals of the difference on some images."""
    index = np.full(len(truth.images), -1)
    index[images] = np.arange(len(images))
    own = truth.rows(np.flatnonzero(index[truth.image] >= 0))
    own = replace(own, images=[truth.images[i] for i in images], image=index[own.image])
    evaluations = []
    for one in found:
        part = one.rows(index[one.image] >= 0)
        evaluations.append(hotcoco_evaluation(own, replace(part, image=index[part.image]), 'bbox'))
        evaluations[-1].evaluate()
    ends = hotcoco.compare(*evaluations, n_bootstrap=samples)['ci']
    return {score: (ends[score]['lower'], ends[score]['upper']) for score in MEASURED}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--images', type=int, default=5000, help='to sample from (default: 5000)')
    parser.add_argument('--ground-truth', type=Path, help='of your own, to sample from')
    parser.add_argument('--detections', nargs='+', default=['jittered', 'realistic', 'pedestrians'])
    parser.add_argument('--parts', nargs='+', default=['all', 'row', 'cell'])
    parser.add_argument('--sizes', type=int, nargs='+', default=[10, 20, 50, 200], help='images that show an instance')
    parser.add_argument('--sets', type=int, default=200, help='of each size (default: 200)')
    parser.add_argument('--samples', type=int, default=200, help='bootstrap samples of each set (default: 200)')
    args = parser.parse_args()
    table = csv.writer(sys.stdout, lineterminator='\n')
    columns = ['spread', 'bootstrap_spread', 'middle', 'moved', 'reported', 'hotcoco']
    table.writerow(['detections', 'part', 'images', 'sets', 'samples', 'of', 'score', *columns])
    for kind in args.detections:
        truth, found = data(kind, args.images, args.ground_truth)
        for part in parts_of(kind, truth, found, args.parts):
            counted = ~truth.uncounted if part.ignored is None else ~truth.uncounted & ~part.ignored
            share = len(np.unique(truth.image[counted])) / len(truth.images)
            for size in args.sizes:
                outcomes = []
                for i in tqdm(range(args.sets), f'{kind}, {part.name}, {size}', leave=False, disable=None):
                    seed = round(size / share), i
                    rng = np.random.default_rng(seed)
                    images = np.sort(rng.choice(len(truth.images), seed[0], replace=False))
                    outcomes.append(outcome(part, truth, found, images=images, samples=args.samples, seed=seed))
                shown = round(np.mean([one.images for one in outcomes]))
                for k, of in enumerate(('score', 'difference')):
                    for score in part.names:
                        if score != 'AR':
                            row = coverage(outcomes, k, part.names.index(score), score)
                            table.writerow([kind, part.name, shown, args.sets, args.samples, of, score, *row])
                sys.stdout.flush()


def coverage(outcomes: list[Outcome], k: int, column: int, score: str) -> list[str]:
    """Return spreads, and which share of each kind of interval holds the mean of the estimates."""
    estimates = np.array([one.estimates[k, column] for one in outcomes])
    samples, wide = ([getattr(one, name)[:, k, column] for one in outcomes] for name in ('samples', 'widened'))
    ends = {
        'middle': [middle(sample) for sample in samples],
        'moved': [interval(sample, estimate) for sample, estimate in zip(samples, estimates)],
        'reported': [interval(sample, estimate) for sample, estimate in zip(wide, estimates)],
        'hotcoco': [one.hotcoco[score] for one in outcomes if k == 1 and score in one.hotcoco],
    }
    spreads = estimates.std(), np.mean([np.nanstd(sample) for sample in samples])
    held = []
    for of_kind in ends.values():
        low, high = np.array(of_kind).reshape(-1, 2).T
        held.append(((low <= estimates.mean()) & (estimates.mean() <= high)).mean() if len(low) else None)
    return [f'{value:.4f}' for value in spreads] + ['' if share is None else f'{share:.3f}' for share in held]


if __name__ == '__main__':
    main()
