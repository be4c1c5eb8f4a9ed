"""The scores of pedestrian benchmarks, MR-2 and JI, of weighted images, from matches that were made once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..coco.data import Detections, GroundTruth
from .jaccard import JaccardIndices, JaccardMatcher
from .miss_rate import MissRateMatcher, MissRates
from .pieces import within_limit

MAX_DETECTIONS = 1000  # of a class and image, as in CityPersons' evaluator
MARGIN = 1.25  # a detection of an instance may be lower than it


@dataclass(frozen=True)
class Pedestrians:
    """What a detector finds of the instances of a row.

    Attributes:
        rates: The miss rates.
        indices: The Jaccard indices.
        images: Indices of the images that weights are of, (n,).
        count: How many images there are.
    """

    rates: MissRates
    indices: JaccardIndices
    images: np.ndarray
    count: int

    def part(self, images: np.ndarray) -> Pedestrians:
        """Return the same for some of the images, given by their indices, in the order that they are given."""
        return replace(self, images=self.images[images])

    def scores(self, weights: np.ndarray, title: str = '', quiet: bool = True) -> np.ndarray:
        """Return MR-2 and JI for many weights, (n, 2); NaN where no instance has a weight.

        Args:
            weights: How often each image counts, (n, images) int.
            title, quiet: Of :meth:`Accumulator.scores <mmtied.evaluation.accumulator.Accumulator.scores>`; here is no
                progress to show.
        """
        every = np.zeros((len(weights), self.count), dtype=weights.dtype)
        every[:, self.images] = weights
        return np.column_stack([self.rates.scores(every), self.indices.scores(every)])


class PedestrianMatcher:
    """The detections of a set, and what they overlap, for the instances of any row.

    Args:
        truth: As ``mmtied.coco`` has checked it; what it ignores are the ignored regions.
        found: All detections.
        min_height: Of the instances that count, in pixels; 0 for all.
    """

    def __init__(self, truth: GroundTruth, found: Detections, min_height: float) -> None:
        self.truth = truth
        # The order is that of the published evaluator: of more than 1,000, those of too little height take places.
        kept = within_limit(found, MAX_DETECTIONS) & tall_enough(found, min_height)
        found = found.rows(kept)
        self.miss_rate, self.jaccard = MissRateMatcher(truth, found), JaccardMatcher(truth, found)

    def row(self, ignored: np.ndarray | None) -> Pedestrians:
        """Return the matches of a row, where some annotations do not count, (annotations,) bool, or none but those that
        never do."""
        uncounted = self.truth.uncounted if ignored is None else self.truth.uncounted | ignored
        count = len(self.truth.images)
        return Pedestrians(
            self.miss_rate.rates(uncounted), self.jaccard.indices(uncounted), images=np.arange(count), count=count
        )


def tall_enough(found: Detections, min_height: float) -> np.ndarray:
    """Return which detections may be of an instance of a least height, in pixels, (n,) bool."""
    return found.boxes[:, 3] >= min_height / MARGIN
