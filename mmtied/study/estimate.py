"""Differences of two arms over seeds and images, from what the runs kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, t

from .score import UNIT

CONFIDENCE = 0.95
# A value of each run, and the values of its resamples (none: ()); both in the unit that is shown.
Value = Callable[[dict], tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its 95% interval; NaN without runs.

    Attributes:
        mean: Of the seeds.
        low, high: Ends of the interval, which covers what other seeds and other test images would give.
        seeds: How many there are.
    """

    mean: float
    low: float
    high: float
    seeds: int

    def __str__(self) -> str:
        return f'{self.mean:+.1f} ({self.low:+.1f} to {self.high:+.1f})'


def estimate(values: Sequence[float], samples: Sequence[np.ndarray]) -> Estimate:
    """Return the mean of some seeds' values with an interval over seeds and images.

    Half of its width is the root of two squares: what the seeds' mean may be off, from their spread on the one test
    set by Student's quantile, and what the images contribute, from the resamples of the seeds' mean by the normal one.
    Quantiles added so cover .95 or a little more even with three seeds, which one quantile of the summed variance does
    not where the seeds spread more than the images do. A single seed has no spread: its interval is of the images
    alone.

    Args:
        values: Of each seed, (n,).
        samples: Of each seed, (resamples,), on the same resamples; empty where there are none.
    """
    if not len(values):
        return Estimate(math.nan, math.nan, high=math.nan, seeds=0)
    count, mean = len(values), float(np.mean(values))
    upper = (1 + CONFIDENCE) / 2
    of_seeds = t.ppf(upper, count - 1) ** 2 * np.var(values, ddof=1) / count if count > 1 else 0.0
    resampled = np.mean(samples, axis=0)
    of_images = norm.ppf(upper) ** 2 * np.nanvar(resampled, ddof=1) if np.size(resampled) else 0.0
    reach = math.sqrt(of_seeds + of_images)
    return Estimate(mean, mean - reach, high=mean + reach, seeds=count)


def difference(
    first: dict[int, dict], second: dict[int, dict], value: Value, among: Collection[int] | None = None
) -> Estimate:
    """Return what the first arm has above the second: runs of the same seed are paired, images too.

    Args:
        first, second: The runs of each arm, by seed; only seeds that both have count.
        value: What is compared.
        among: Seeds that count at most. Defaults to None: all.
    """
    seeds = sorted(seed for seed in set(first) & set(second) if among is None or seed in among)
    pairs = [(value(first[seed]), value(second[seed])) for seed in seeds]
    return estimate([one[0] - other[0] for one, other in pairs], [one[1] - other[1] for one, other in pairs])


def score(name: str, row: int = 0) -> Value:
    """Return the value that is a score of a row, in points from 0 to 100: 0 is all images, 1 and up are the bins."""

    def value(run: dict) -> tuple[float, np.ndarray]:
        kept = run['rows'][row]
        return float(points(kept[name])), points(kept.get(f'{name}_samples', ()))

    return value


def slope(run: dict) -> tuple[float, np.ndarray]:
    """Return the slope of AP over the bins' mean occlusion ratio: points from a ratio of 0 to one of 1."""
    bins = [row for row in run['rows'][1:] if row['images'] and row['AP'] is not None]
    ratio = np.array([row['ratio'] for row in bins])
    lever = (ratio - ratio.mean()) / ((ratio - ratio.mean()) ** 2).sum()
    return float(lever @ points([row['AP'] for row in bins])), lever @ points([row['AP_samples'] for row in bins])


def partial_boxes(run: dict) -> tuple[float, np.ndarray]:
    """Return the redundant partial boxes of 100 images."""
    counts = np.array(run['partial'])
    rng = np.random.default_rng(0)
    resampled = [counts[rng.integers(0, len(counts), len(counts))].mean() for _ in range(400)]
    return 100 * float(counts.mean()), 100 * np.array(resampled)


def similarity(run: dict) -> tuple[float, np.ndarray]:
    """Return how much more alike filters are than at the start, mean of the layers, in hundredths of a cosine."""
    start, trained = (
        {layer['layer']: layer['mean'] for layer in run['similarity'] if layer['state'] == state}
        for state in ('start', 'trained')
    )
    # A layer whose filters are all dead has no mean.
    both = [layer for layer in start if start[layer] is not None and trained[layer] is not None]
    gains = [trained[layer] - start[layer] for layer in both]
    return 100 * float(np.mean(gains)) if gains else math.nan, np.array([])


def points(kept: float | Sequence[float | None]) -> np.ndarray:
    """Return kept scores in points, from 0 to 100."""
    return 100 * UNIT * np.array(kept, dtype=float)


MEASURES: dict[str, Value] = {
    'AP': score('AP'),
    'slope': slope,
    'partial': partial_boxes,
    'similarity': similarity,
}
# Where less is better.
LESS = ('partial', 'similarity')
