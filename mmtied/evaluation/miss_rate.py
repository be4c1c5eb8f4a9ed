"""MR-2, the log-average miss rate of pedestrian benchmarks, by the rules of CityPersons' published evaluator.

From COCO's evaluation it differs in four ways: an ignored instance forgives any number of detections, by the share of
the detection's area that lies in it; all images count, also those without instances; up to 1,000 detections of an image
count; and the score is a miss rate, averaged over nine rates of false positives.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..coco.data import Detections, GroundTruth
from .matching import Candidates, Matches, by_class
from .overlaps import Overlaps, find_overlaps

FPPI = np.array([0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000])  # false positives an image
MATCH_IOU = 0.5
CELLS = 1 << 22  # detections by weights that are looked at together: 32 MiB


@dataclass(frozen=True)
class MissRates:
    """The matches of a set by CityPersons' rules, class by class.

    Attributes:
        curves: Those of each category.
    """

    curves: list[MissRateCurve]

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Return MR-2, the mean over the classes that have an instance, (n,); NaN where there is none.

        Args:
            weights: How often each image counts, (n, images) int.
        """
        sums, present = np.zeros(len(weights)), np.zeros(len(weights))
        for curve in self.curves:
            together = max(1, CELLS // max(len(curve.false), len(curve.right), 1))
            for begin in range(0, len(weights), together):
                rows = slice(begin, begin + together)
                rates = curve.log_average(weights[rows])
                known = ~np.isnan(rates)
                sums[rows] += np.where(known, rates, 0)
                present[rows] += known
        return sums / np.where(present > 0, present, np.nan)


@dataclass(frozen=True)
class MissRateCurve:
    """Which detections of one class are right, from the highest score down, without those that are forgiven.

    Attributes:
        truth_image: Image of each instance, (instances,).
        right, false: Image of each detection that matches an instance, (r,), and of each that does not, (f,).
        before: How many right ones have a higher score than each false one, and last all of them, (f + 1,).
    """

    truth_image: np.ndarray
    right: np.ndarray
    false: np.ndarray
    before: np.ndarray

    def log_average(self, weights: np.ndarray) -> np.ndarray:
        """Return the geometric mean of the miss rates at the nine rates, (n,), NaN without instances.

        Where even the best detection is false and makes more false positives an image than the first of the rates,
        which takes a set of fewer than 100 images, the published evaluator counts what all detections find together,
        and so does this.

        Args:
            weights: How often each image counts, (n, images) int.
        """
        images, instances = weights.sum(1), weights[:, self.truth_image].sum(1)
        found = np.zeros((len(weights), len(self.right) + 1))
        np.cumsum(weights[:, self.right], axis=1, out=found[:, 1:])
        # The last rate is one an image, so that the first false ones decide, but for samples that leave many out.
        false = np.cumsum(weights[:, self.false[: 2 * max(1, images.max())]], axis=1)
        if false.shape[1] < len(self.false) and (false[:, -1] <= images).any():
            false = np.cumsum(weights[:, self.false], axis=1)
        false = false / np.maximum(images, 1)[:, None]
        within = np.array([np.searchsorted(of_sample, FPPI, 'right') for of_sample in false]).reshape(-1, len(FPPI))
        at_rates = np.take_along_axis(found, self.before[within], axis=1)
        first = np.take_along_axis(found, self.before[(false <= 0).sum(1)][:, None], axis=1)
        beyond = (within < len(self.false)) & (1 / np.maximum(images, 1)[:, None] > FPPI) & (first == 0)
        at_rates = np.where(beyond, found[:, -1:], at_rates)
        missed = 1 - at_rates / np.maximum(instances, 1)[:, None]
        with np.errstate(divide='ignore'):  # Nothing missed at one rate makes the mean 0.
            rates = np.exp(np.log(missed).mean(1))
        return np.where(instances > 0, rates, np.nan)


class MissRateMatcher:
    """The detections of a set, and what they overlap, for any choice of instances that count.

    Args:
        truth: As ``mmtied.coco`` has checked it.
        found: The detections that count.
    """

    def __init__(self, truth: GroundTruth, found: Detections) -> None:
        self.truth, self.found = truth, found
        every = np.ones(len(truth.image), dtype=bool)
        # Of an ignored instance what counts is the share of the detection's area, as of a crowd region.
        self.of_union, self.of_detection = (
            find_overlaps(replace(truth, iscrowd=crowds), found, 'bbox', least=MATCH_IOU) for crowds in (~every, every)
        )
        # As the reference API breaks ties of score: by image, then by index in the file.
        self.order = np.lexsort((found.image, -found.score))

    def match(self, uncounted: np.ndarray) -> Matches:
        """Match the detections, where some annotations do not count, (annotations,) bool."""
        counted, others = (
            pairs.part(uncounted[pairs.truth] == ignored)
            for pairs, ignored in ((self.of_union, False), (self.of_detection, True))
        )
        pairs = Overlaps(
            np.concatenate([counted.found, others.found]),
            np.concatenate([counted.truth, others.truth]),
            iou=np.concatenate([counted.iou, others.iou]),
        )
        # Any number of detections may match a crowd region.
        truth = replace(self.truth, iscrowd=uncounted)
        return Candidates(truth, self.found, pairs, least=MATCH_IOU).match(MATCH_IOU, uncounted)

    def rates(self, uncounted: np.ndarray) -> MissRates:
        """Return the miss rates, where some annotations do not count, (annotations,) bool."""
        truth, found, matches = self.truth, self.found, self.match(uncounted)
        order = self.order[~matches.forgiven[self.order]]
        classes = len(truth.categories)
        curves = []
        for rows, truth_rows in zip(
            by_class(order, found.category, classes), by_class(np.flatnonzero(~uncounted), truth.category, classes)
        ):
            right = matches.right[rows]
            curves.append(
                MissRateCurve(
                    truth.image[truth_rows],
                    found.image[rows[right]],
                    false=found.image[rows[~right]],
                    before=np.append(np.cumsum(right)[~right], right.sum()),
                )
            )
        return MissRates(curves)
