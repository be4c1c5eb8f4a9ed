"""AP of weighted images, from matches that were made once: what resampling accumulates a thousand times.

The precision-recall curve changes only where a detection matches an instance, so the sums run over these alone, for
all classes and IoU thresholds at once. A weight of 2 counts an image twice, as if the set held two copies of it.
"""

from __future__ import annotations

import numpy as np

from ..coco.data import Detections, GroundTruth
from .engine import IOU_THRESHOLDS
from .scores import ClassScores, Scores

RECALLS = np.linspace(0, 1, 101)


class Accumulator:
    """The matches of a set of images, laid out for fast accumulation.

    Args:
        truth, found: What was matched.
        matched, counted: What the engine's ``matches`` returned, (thresholds, detections) bool.
        ignored: Annotations that do not count, (n,) bool. Defaults to none.
    """

    def __init__(
        self,
        truth: GroundTruth,
        found: Detections,
        matched: np.ndarray,
        counted: np.ndarray,
        ignored: np.ndarray | None = None,
    ) -> None:
        instances = ~truth.uncounted if ignored is None else ~truth.uncounted & ~ignored
        # As the reference API breaks ties of score: by image, then by index in the file.
        kept = np.flatnonzero(counted.any(0))
        order = kept[np.lexsort((found.image[kept], -found.score[kept], found.category[kept]))]
        # Behind the last match of a class, no detection changes a score.
        hits = np.flatnonzero(matched[:, order].any(0))
        last = np.full(len(truth.categories), -1)
        np.maximum.at(last, found.category[order[hits]], hits)
        order = order[np.arange(len(order)) <= last[found.category[order]]]
        self.images = len(truth.images)
        self.classes = len(truth.categories)
        self.names = [category['name'] for category in truth.categories]
        self._lay_out(
            truth_image=truth.image[instances],
            truth_class=truth.category[instances],
            image=found.image[order],
            category=found.category[order],
            matched=matched[:, order],
            counted=counted[:, order],
        )

    def _lay_out(
        self,
        truth_image: np.ndarray,
        truth_class: np.ndarray,
        image: np.ndarray,
        category: np.ndarray,
        matched: np.ndarray,
        counted: np.ndarray,
    ) -> None:
        self.truth_image, self.truth_class = truth_image, truth_class
        self.image, self.category, self.matched, self.counted = image, category, matched, counted
        threshold, index = np.nonzero(matched)
        of_class = category[index]
        begin = np.searchsorted(category, of_class)
        self.match_image = image[index].astype(np.int32)
        self.match_class = of_class
        # Detections from `begin` to `end` are those of the class down to the match.
        self.begin, self.end = begin, index + 1
        # Of these, the ones that do not count at this threshold.
        skipped_threshold, skipped = np.nonzero(~counted)
        self.skipped_image = image[skipped]
        keys = skipped_threshold * (len(image) + 1) + skipped
        self.skipped = [np.searchsorted(keys, threshold * (len(image) + 1) + to) for to in (begin, index + 1)]
        # A segment is one threshold's matches of one class.
        self.segment = threshold * self.classes + of_class
        first = np.ones(len(index), dtype=bool)
        first[1:] = self.segment[1:] != self.segment[:-1]
        self.first = np.flatnonzero(first)
        self.segment_rank = np.cumsum(first) - 1

    def part(self, images: np.ndarray) -> Accumulator:
        """Return the same for some of the images, given as (images,) bool."""
        part = object.__new__(type(self))
        part.images, part.classes, part.names = self.images, self.classes, self.names
        rows, kept = images[self.truth_image], np.flatnonzero(images[self.image])
        part._lay_out(
            truth_image=self.truth_image[rows],
            truth_class=self.truth_class[rows],
            image=self.image[kept],
            category=self.category[kept],
            matched=self.matched[:, kept],
            counted=self.counted[:, kept],
        )
        return part

    def scores(self, weights: np.ndarray) -> Scores:
        """Return the scores of the images, each counted as often as its weight says.

        Args:
            weights: How often each image counts, (images,) int.

        Returns:
            Scores between 0 and 1; NaN where no instance has a weight.
        """
        precision, recall, instances = self._curves(weights)
        present = instances > 0
        if not present.any():
            return Scores(*[float('nan')] * 4)
        precision = precision[:, present].mean(1)
        return Scores(precision.mean(), precision[0], AP75=precision[5], AR=recall[:, present].mean())

    def class_scores(self, weights: np.ndarray) -> dict[str, ClassScores]:
        """Return the scores of each class that has an instance in the weighted images."""
        precision, _, instances = self._curves(weights)
        return {
            self.names[i]: ClassScores(float(precision[:, i].mean()), float(precision[5, i]))
            for i in np.flatnonzero(instances)
        }

    def _curves(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Average precision and last recall of each threshold and class, (T, C), and the classes' instances, (C,)."""
        weights = weights.astype(np.int32)
        instances = np.bincount(self.truth_class, weights[self.truth_image], self.classes)
        shape = len(IOU_THRESHOLDS), self.classes
        if not len(self.segment):
            return np.zeros(shape), np.zeros(shape), instances
        detections = _sums(weights[self.image])
        detections = detections[self.end] - detections[self.begin]
        if len(self.skipped_image):
            skipped = _sums(weights[self.skipped_image])
            detections -= skipped[self.skipped[1]] - skipped[self.skipped[0]]
        matches = _sums(weights[self.match_image])
        matches = matches[1:] - matches[self.first][self.segment_rank]
        precision = matches / np.maximum(detections, 1)
        # The precision of a recall is the best from there on: the running maximum from the end, in each segment apart.
        apart = 2.0 * (len(self.first) - self.segment_rank)
        precision = np.maximum.accumulate((precision + apart)[::-1])[::-1] - apart
        recall = matches / np.maximum(instances, 1)[self.match_class]
        reached = _recalls_up_to(recall)
        steps = np.diff(reached, prepend=0)
        steps[self.first] = reached[self.first]
        size = shape[0] * shape[1]
        average = np.bincount(self.segment, precision * steps, size).reshape(shape) / len(RECALLS)
        last = np.zeros(size)
        last[self.segment[self.first]] = np.maximum.reduceat(recall, self.first)
        return average, last.reshape(shape), instances


def _sums(values: np.ndarray) -> np.ndarray:
    """Cumulative sums with a 0 before them."""
    sums = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(values, out=sums[1:])
    return sums


def _recalls_up_to(recall: np.ndarray) -> np.ndarray:
    """How many of the 101 recalls are not above, which is np.searchsorted(RECALLS, recall, 'right'), but faster."""
    floor = (recall * 100).astype(np.int32)  # may be one off either way, since .07 * 100 is 7.000000000000001
    padded = np.append(RECALLS, np.inf)
    return floor + (padded[floor] <= recall) + (padded[floor + 1] <= recall)
