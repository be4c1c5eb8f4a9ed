"""How sure the scores are: bootstrap samples of the images, and random subsets as large as a bin. Seeded."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import numpy as np

from .accumulator import Accumulator

CONFIDENCE = 0.95
CELLS = 1 << 25  # images by samples whose weights are held together: 128 MiB
FEWEST = 10  # images: of fewer, intervals are much too narrow
LEAST_WIDENING = 1.1  # for ends that are samples' own, and are not known better where one class is in many images
UNSEEN = 0.65  # of the variance of one image's value, what resamples do not show


class Sampled(Protocol):
    """Scores of weighted images, such as those of :class:`Accumulator`."""

    def part(self, images: np.ndarray) -> Sampled:
        """Return the same for some of the images, given by their indices."""

    def scores(self, weights: np.ndarray, title: str = '', quiet: bool = True) -> np.ndarray:
        """Return the scores for many weights, (n, scores)."""


def bootstrap(
    detectors: Sequence[Sampled],
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
        Scores (count, detectors, scores), four of an accumulator; NaN where a sample holds no instance.
    """
    detectors = [matches.part(images) for matches in detectors]

    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.bincount(rng.integers(0, len(images), len(images)), minlength=len(images))

    samples = [
        np.stack([matches.scores(weights, title=title, quiet=quiet) for matches in detectors], axis=1)
        for weights in _weights(draw, count, size=len(images), seed=seed)
    ]
    return np.concatenate(samples)


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

    matches = matches.part(images)

    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.bincount(rng.choice(len(images), size, replace=False), minlength=len(images))

    drawn = _weights(draw, count, size=len(images), seed=seed)
    return np.concatenate([matches.scores(weights, title=title, quiet=quiet) for weights in drawn])


def middle(samples: np.ndarray) -> tuple[float, float]:
    """Return the ends of the middle 95% of the samples; NaN where there are none."""
    samples = samples[~np.isnan(samples)]
    if not samples.size:
        return float('nan'), float('nan')
    low, high = np.quantile(samples, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def widened(samples: np.ndarray, images_of_class: np.ndarray) -> np.ndarray:
    """Return bootstrap samples spread about their means as far as the scores of other sets are.

    What a resample knows of a class are the images that show it. The mean of k values varies among their resamples by
    (k - 1) / k of the variance that it has among sets: of a class in one image, all resamples say the same. AP is a
    mean over classes, and most are in few images even where the set has many. That some resamples leave a class out
    makes up for a part; with it, (k - .65) / k fits what other sets show (`benchmarks/interval_coverage.py`).

    Args:
        samples: Of any scores or differences, (count, ...).
        images_of_class: How many images show each class of the row, (classes,).
    """
    # Along the memory: to the last bit the same, whatever other detectors stand beside.
    mean = np.nanmean(np.ascontiguousarray(np.moveaxis(samples, 0, -1)), axis=-1)
    variance, seen = (1 / images_of_class).sum(), ((images_of_class - UNSEEN) / images_of_class**2).sum()
    return mean + max(np.sqrt(variance / seen), LEAST_WIDENING) * (samples - mean)


def interval(samples: np.ndarray, estimate: float) -> tuple[float, float]:
    """Return the 95% interval of an estimate from its bootstrap samples, moved so that their mean is the estimate.

    A bootstrap sample holds fewer distinct images than the set, and interpolated AP rises as a set gets small: the
    samples lie about a wrong mean. Taken as they are, their middle 95% miss the expected AP in up to two of three sets.

    Args:
        samples: Of the score or difference, as :func:`widened` returns them, (count,).
        estimate: Of the set itself.
    """
    low, high = middle(samples)
    shift = estimate - (np.nanmean(samples) if low == low else 0.0)
    return low + shift, high + shift


def _weights(draw: Callable, count: int, size: int, seed: Sequence[int]) -> Iterator[np.ndarray]:
    """Yield the weights of the samples, (n, size) int, as many samples together as memory allows."""
    together = max(1, CELLS // size)
    for first in range(0, count, together):
        # A generator for each sample: how many are drawn together changes none of them.
        rows = [draw(np.random.default_rng([*seed, i])) for i in range(first, min(first + together, count))]
        yield np.array(rows, dtype=np.int32)
