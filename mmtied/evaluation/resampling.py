"""How sure the scores are: bootstrap samples of the images, and random subsets as large as a bin. Seeded."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from tqdm import tqdm

from .accumulator import Accumulator

CONFIDENCE = 0.95
FEWEST = 10  # images: of fewer, intervals are much too narrow


def bootstrap(
    detectors: Sequence[Accumulator],
    images: np.ndarray,
    count: int,
    seed: Sequence[int],
    title: str,
    quiet: bool = True,
) -> np.ndarray:
    """Return the scores of bootstrap samples: as many images as there are, chosen at random with replacement.

    All detectors are scored on the same samples, so that differences are paired.

    Args:
        detectors: The matches of each.
        images: Indices of the images to sample from, (n,).
        count: How many samples.
        seed: Numbers that decide the samples.
        title: For the progress bar.
        quiet: Whether to show none. Defaults to True.

    Returns:
        Scores (count, detectors, 4); NaN where a sample holds no instance.
    """
    inside = _weights(detectors[0], images, 1)
    detectors = [matches.part(inside > 0) for matches in detectors]

    def sample(rng: np.random.Generator) -> list[tuple]:
        times = np.bincount(rng.integers(0, len(images), len(images)), minlength=len(images))
        weights = _weights(detectors[0], images, times)
        return [tuple(matches.scores(weights)) for matches in detectors]

    return _repeat(sample, count, seed=seed, title=title, quiet=quiet)


def random_subsets(
    matches: Accumulator, images: np.ndarray, size: int, count: int, seed: Sequence[int], title: str, quiet: bool = True
) -> np.ndarray:
    """Return the scores of random subsets, chosen without replacement, (count, 4).

    Args:
        matches: Those of a detector.
        images: Indices of the images to choose from, (n,).
        size: How many images a subset has.
        count, seed, title, quiet: As in :func:`bootstrap`.
    """

    def sample(rng: np.random.Generator) -> tuple:
        weights = _weights(matches, rng.choice(images, size, replace=False), 1)
        return tuple(matches.part(weights > 0).scores(weights))

    return _repeat(sample, count, seed=seed, title=title, quiet=quiet)


def middle(samples: np.ndarray) -> tuple[float, float]:
    """Return the ends of the middle 95% of the samples; NaN where there are none."""
    samples = samples[~np.isnan(samples)]
    if not samples.size:
        return float('nan'), float('nan')
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def interval(samples: np.ndarray, estimate: float) -> tuple[float, float]:
    """Return the 95% interval of an estimate from its bootstrap samples, moved so that their mean is the estimate.

    A bootstrap sample holds fewer distinct images than the set, and interpolated AP rises as a set gets small: the
    samples have about the right spread about a wrong mean. Taken as they are, their middle 95% miss the expected AP in
    up to two of three sets; moved, in one of twenty from 200 images up, in one of seven of 10 images
    (`benchmarks/interval_coverage.py`).
    """
    low, high = middle(samples)
    shift = estimate - (np.nanmean(samples) if low == low else 0.0)
    return low + shift, high + shift


def _weights(matches: Accumulator, images: np.ndarray, values: np.ndarray | int) -> np.ndarray:
    weights = np.zeros(matches.images, dtype=np.int32)
    weights[images] = values
    return weights


def _cores() -> int:
    """The cores that this process may use, which a container or a job makes fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _repeat(sample: Callable, count: int, seed: Sequence[int], title: str, quiet: bool) -> np.ndarray:
    # numpy lets threads run side by side; each sample has a generator of its own, so their order does not matter.
    generators = (np.random.default_rng([*seed, i]) for i in range(count))
    with ThreadPoolExecutor(_cores()) as pool:
        scores = pool.map(sample, generators)
        return np.array(list(tqdm(scores, title, count, disable=quiet, delay=1, leave=False)))
