"""AP of weighted images, from matches that were made once: what resampling accumulates a thousand times.

The precision-recall curve changes only where a detection matches an instance, and of matches that follow each other
only the last can be the best precision from a recall on: the sums run over these alone, for many weights at once. A
weight of 2 counts an image twice, as if the set held two copies of it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from ..coco.data import Detections, GroundTruth
from .engine import IOU_THRESHOLDS, MAX_DETECTIONS
from .matching import Candidates, by_class
from .overlaps import find_overlaps
from .pieces import within_limit
from .scores import SCORES, ClassScores
from .sizes import Size, detection_areas

RECALLS = np.linspace(0, 1, 101)
AT_75 = int(np.flatnonzero(np.isclose(IOU_THRESHOLDS, 0.75))[0])
TENTHS = 10  # only of so many instances, or a multiple, can a share be a hundredth that numpy's recalls lie above
CELLS = 1 << 19  # detections by weights that are looked at together: more leave the processor's cache


@dataclass(frozen=True)
class ClassMatches:
    """The matches of one class.

    Attributes:
        truth_image: Image of each instance, (instances,).
        image: Image of each detection, the highest score first, (n,).
        matched: Which match an instance, (thresholds, n) bool.
        counted: Which count at all, (thresholds, n) bool.
    """

    truth_image: np.ndarray
    image: np.ndarray
    matched: np.ndarray
    counted: np.ndarray

    def part(self, index: np.ndarray) -> ClassMatches:
        """Return the matches of some images, given by their new indices, (images,); -1 for those that are left out."""
        kept = np.flatnonzero(index[self.image] >= 0)
        truth_image = index[self.truth_image]
        return ClassMatches(
            truth_image[truth_image >= 0],
            index[self.image[kept]],
            matched=self.matched[:, kept],
            counted=self.counted[:, kept],
        )


class Curves:
    """Precision and recall of one class for many weights, at all thresholds that have a match, one behind the other.

    Args:
        matches: Those of the class.
    """

    def __init__(self, matches: ClassMatches) -> None:
        self.truth_image, self.image = matches.truth_image, _behind_none(matches.image)
        threshold, index = np.nonzero(matches.matched)
        self.thresholds, begin = np.unique(threshold, return_index=True)
        self.match_image = _behind_none(matches.image[index])
        # Of matches without anything between them, the last has the best precision.
        following = (np.diff(index, append=-1) == 1) & (np.diff(threshold, append=-1) == 0)
        last = np.flatnonzero(~following)
        self.begin = np.searchsorted(last, begin)
        sizes = np.diff(self.begin, append=len(last))
        # Up to and with the last of them.
        self.last, self.end = last + 1, index[last] + 1
        # The matches at a threshold are those up to an end without those at the thresholds before.
        self.before = np.repeat(begin, sizes)
        self.apart = 2.0 * np.repeat(np.arange(len(begin))[::-1], sizes)
        skipped_threshold, skipped = np.nonzero(~matches.counted)
        self.skipped_image = _behind_none(matches.image[skipped])
        keys = skipped_threshold * len(self.image) + skipped
        of_end = np.repeat(self.thresholds, sizes) * len(self.image)
        self.skipped = np.searchsorted(keys, of_end), np.searchsorted(keys, of_end + self.end)

    def average(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return average precision and last recall at each threshold, (thresholds, n), and the instances, (n,).

        Args:
            weights: How often each image counts, (n, images) int.
        """
        instances = weights.take(self.truth_image, axis=1).sum(1)
        average, last = np.zeros((2, len(IOU_THRESHOLDS), len(weights)))
        if not len(self.end):
            return average, last, instances
        found = _sums(weights, self.match_image)
        found = found.take(self.last, axis=1) - found.take(self.before, axis=1)
        detections = _sums(weights, self.image)
        below = detections.take(self.end, axis=1)
        below -= detections[:, :1]
        if len(self.skipped_image) > 1:
            skipped = _sums(weights, self.skipped_image)
            below -= skipped.take(self.skipped[1], axis=1) - skipped.take(self.skipped[0], axis=1)
        precision = found / np.maximum(below, 1, out=below)
        reached = _recalls_up_to(found, instances[:, None])
        # The precision of a recall is the best from there on: the running maximum from the end, of each segment (one
        # weight's at one threshold) apart. All in one run, since threads work side by side only on arrays of one axis,
        # and on the bits of these numbers from 0 up, which have the same order and are compared twice as fast.
        apart = self.apart + 2.0 * len(self.begin) * np.arange(len(weights))[::-1, None]
        precision += apart
        backwards = precision.ravel().view(np.int64)[::-1]
        np.maximum.accumulate(backwards, out=backwards)
        precision -= apart
        steps = np.empty_like(reached)
        np.subtract(reached[:, 1:], reached[:, :-1], out=steps[:, 1:])
        steps[:, self.begin] = reached[:, self.begin]
        precision *= steps
        begins = self.begin + len(self.end) * np.arange(len(weights))[:, None]
        sums = np.add.reduceat(precision.ravel(), begins.ravel()).reshape(begins.shape)
        average[self.thresholds] = sums.T / len(RECALLS)
        of_all = found[:, np.append(self.begin[1:], len(self.end)) - 1]
        last[self.thresholds] = (of_all / np.maximum(instances, 1)[:, None]).T
        return average, last, instances


class Accumulator:
    """The matches of a set of images, class by class.

    Args:
        classes: Names of the categories.
        matches: Those of each category.
        images: How many images there are.
    """

    def __init__(self, classes: list[str], matches: list[ClassMatches], images: int) -> None:
        self.classes, self.matches, self.images = classes, matches, images
        self.curves = [Curves(of_class) for of_class in matches]

    @classmethod
    def of(
        cls,
        truth: GroundTruth,
        found: Detections,
        iou_type: str,
        ignored: np.ndarray | None = None,
        max_dets: int = MAX_DETECTIONS,
        size: Size | None = None,
    ) -> Accumulator:
        """Match the detections of a set.

        Args:
            truth, found, iou_type, ignored, max_dets, size: As of :class:`~mmtied.evaluation.engine.HotcocoEngine`.
        """
        uncounted = truth.uncounted if ignored is None else truth.uncounted | ignored
        found = found.rows(within_limit(found, max_dets))
        other_size = np.zeros(len(found.score), dtype=bool)
        if size is not None:
            uncounted = uncounted | ~size.holds(truth.area)
            other_size = ~size.holds(detection_areas(found, truth, iou_type) if found.area is None else found.area)
        least = IOU_THRESHOLDS[0]
        candidates = Candidates(truth, found, find_overlaps(truth, found, iou_type, least), least)
        rights, counts = [], []
        for threshold in IOU_THRESHOLDS:  # Of each nothing but two bits a detection is kept.
            matches = candidates.match(threshold, uncounted)
            rights.append(matches.right)
            counts.append(~matches.forgiven & ~(other_size & (matches.truth < 0)))
        right, counted = np.stack(rights), np.stack(counts)
        # As the reference API breaks ties of score: by image, then by index in the file.
        order = np.lexsort((found.image, -found.score))
        classes = len(truth.categories)
        of_classes = []
        for rows, truth_rows in zip(
            by_class(order, found.category, classes), by_class(np.flatnonzero(~uncounted), truth.category, classes)
        ):
            # Behind the last match, no detection changes a score.
            hits = np.flatnonzero(right[:, rows].any(0))
            rows = rows[: hits[-1] + 1 if len(hits) else 0]
            of_class = ClassMatches(
                truth.image[truth_rows], found.image[rows], matched=right[:, rows], counted=counted[:, rows]
            )
            of_classes.append(of_class)
        names = [category['name'] for category in truth.categories]
        return cls(names, of_classes, images=len(truth.images))

    def part(self, images: np.ndarray) -> Accumulator:
        """Return the same for some of the images, given by their indices, in the order that they are given."""
        index = np.full(self.images, -1)
        index[images] = np.arange(len(images))
        return type(self)(self.classes, [of_class.part(index) for of_class in self.matches], images=len(images))

    def scores(self, weights: np.ndarray, title: str = '', quiet: bool = True) -> np.ndarray:
        """Return the scores of the images for many weights, each image counted as often as its weight says.

        Args:
            weights: How often each image counts, (n, images) int.
            title: For the progress bar.
            quiet: Whether to show none. Defaults to True.

        Returns:
            AP, AP50, AP75 and AR between 0 and 1, (n, 4); NaN where no instance has a weight.
        """
        tasks = []
        for i, of_class in enumerate(self.matches):
            together = max(1, CELLS // max(len(of_class.image), len(of_class.truth_image), 1))
            tasks += [(i, slice(k, k + together)) for k in range(0, len(weights), together)]
        sums, present = np.zeros((len(SCORES), len(weights))), np.zeros(len(weights))
        # numpy lets threads run side by side; what they return is added in the order of the tasks.
        with ThreadPoolExecutor(usable_cores()) as pool:
            done = pool.map(lambda task: self.curves[task[0]].average(weights[task[1]]), tasks)
            for (_, rows), (precision, recall, instances) in zip(
                tasks, tqdm(done, title, len(tasks), disable=quiet, delay=1, leave=False)
            ):
                has = instances > 0
                sums[:, rows] += has * np.stack([precision.mean(0), precision[0], precision[AT_75], recall.mean(0)])
                present[rows] += has
        return (sums / np.where(present > 0, present, np.nan)).T

    def class_scores(self) -> dict[str, ClassScores]:
        """Return the scores of each class that has an instance."""
        once = np.ones((1, self.images), dtype=np.int32)
        scores = {}
        for i, name in enumerate(self.classes):
            precision, _, instances = self.curves[i].average(once)
            if instances[0]:
                scores[name] = ClassScores(float(precision.mean()), float(precision[AT_75, 0]))
        return scores


def usable_cores() -> int:
    """Return the cores that this process may use, which a container or a job makes fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _behind_none(images: np.ndarray) -> np.ndarray:
    """The images with one before them that :func:`_sums` counts as nothing."""
    return np.concatenate([np.zeros(1, dtype=np.intp), images])


def _sums(weights: np.ndarray, images: np.ndarray) -> np.ndarray:
    """How often the images before each count, and last all of them, from row to row, (n, len(images)).

    What counts between two is the difference of their sums.
    """
    sums = weights.take(images, axis=1)
    sums[:, 0] = 0
    return np.cumsum(sums.ravel(), out=sums.ravel()).reshape(sums.shape)


def _recalls_up_to(found: np.ndarray, instances: np.ndarray) -> np.ndarray:
    """How many of the 101 recalls found / instances reaches: np.searchsorted(RECALLS, recall, 'right'), but faster.

    Args:
        found: (n, m) int.
        instances: (n, 1) int.
    """
    # A fraction that is no whole hundredth is further from one than rounding can take it.
    reached = (found * (100 / np.maximum(instances, 1)) + (1 + 1e-9)).astype(np.int32)
    # Of those that are, numpy's recalls lie above some, such as .35, and are not reached.
    rows = np.flatnonzero((instances > 0) & (instances % TENTHS == 0))
    if len(rows):
        reached[rows] -= RECALLS.take(reached[rows] - 1) > found[rows] / instances[rows]
    return reached
