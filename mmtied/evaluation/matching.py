"""Which detection finds which instance at one IoU threshold, by the rules of the reference API and without its limit.

The errors count every detection, also where the scores stop at 100 of a class and image. Resampling needs the matches
themselves, which the COCO libraries give only as one dictionary an image and class; the scores are theirs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..coco.data import Detections, GroundTruth
from .overlaps import Overlaps


@dataclass(frozen=True)
class Matches:
    """What the detections found.

    Attributes:
        truth: Row of the annotation that each detection matches, (detections,); -1 for none.
        forgiven: Which detections match what does not count, a crowd region or an ignored instance, (detections,) bool.
        found: Which annotations are matched, (annotations,) bool.
    """

    truth: np.ndarray
    forgiven: np.ndarray
    found: np.ndarray

    @property
    def right(self) -> np.ndarray:
        """Which detections match an instance that counts, (detections,) bool."""
        return (self.truth >= 0) & ~self.forgiven


class Candidates:
    """Pairs of a detection and an annotation of its class in the order in which they are tried.

    Args:
        truth, found: As ``mmtied.coco`` has checked them.
        overlaps: Pairs, of any classes.
        least: The least IoU that is asked for.
    """

    def __init__(self, truth: GroundTruth, found: Detections, overlaps: Overlaps, least: float) -> None:
        self.truth, self.found = truth, found
        same_class = found.category[overlaps.found] == truth.category[overlaps.truth]
        pairs = overlaps.part(same_class & (overlaps.iou >= least))
        self.rank = np.empty(len(found.score), dtype=np.int64)
        self.rank[np.argsort(-found.score, kind='stable')] = np.arange(len(self.rank))
        # Of equal IoUs the reference API takes the last annotation, so a detection's best pair is its last here.
        self.pairs = pairs.part(np.lexsort((pairs.truth, pairs.iou, self.rank[pairs.found])))

    def match(self, threshold: float, uncounted: np.ndarray) -> Matches:
        """Match detections of an instance's class, the highest score first, each with the free instance it fits best.

        What remains may match an instance that does not count, and any number of detections one crowd region.

        Args:
            threshold: The least IoU of a match.
            uncounted: Annotations that do not count, crowd regions among them, (annotations,) bool.
        """
        pairs = self.pairs.part(self.pairs.iou >= threshold)
        counts = ~uncounted[pairs.truth]
        of_found = np.full(len(self.found.score), -1)
        _assign(pairs.part(counts), of_found, rank=self.rank)
        crowd = self.truth.iscrowd[pairs.truth]
        _assign(pairs.part(~counts), of_found, rank=self.rank, shared=crowd[~counts])
        hit = np.zeros(len(self.truth.image), dtype=bool)
        hit[of_found[of_found >= 0]] = True
        forgiven = of_found >= 0
        forgiven[forgiven] = uncounted[of_found[forgiven]]
        return Matches(of_found, forgiven, found=hit)


def by_class(rows: np.ndarray, category: np.ndarray, classes: int) -> list[np.ndarray]:
    """Return the rows of each class, in the order that they are given.

    Args:
        rows: Of detections or annotations, (n,) int.
        category: Class of every detection or annotation.
        classes: How many there are.
    """
    rows = rows[np.argsort(category[rows], kind='stable')]
    return np.split(rows, np.searchsorted(category[rows], np.arange(1, classes)))


def _assign(pairs: Overlaps, of_found: np.ndarray, rank: np.ndarray, shared: np.ndarray | None = None) -> None:
    """Give unmatched detections their instances, in the order of ranks.

    All detections choose at once; the choice of one holds if no better one may still want that instance. The best of
    those that are left always holds, so each round settles some.

    Args:
        pairs: Sorted by rank, then by how good they are.
        of_found: Of each detection the row of its instance, -1 for none; changed here.
        rank: Of each detection.
        shared: Pairs whose instance any number of detections may match, (pairs,) bool. Defaults to none.
    """
    if not len(pairs.found):
        return
    shared = np.zeros(len(pairs.found), dtype=bool) if shared is None else shared
    claimed = np.empty(pairs.truth.max() + 1, dtype=np.int64)
    taken = np.zeros(len(claimed), dtype=bool)
    while True:
        kept = (of_found[pairs.found] < 0) & ~taken[pairs.truth]
        pairs, shared = pairs.part(kept), shared[kept]
        if not len(pairs.found):
            return
        ranks = rank[pairs.found]
        # Where an index repeats, the last value stays: that of the best detection.
        claimed[pairs.truth[::-1]] = ranks[::-1]
        best = np.append(ranks[1:] != ranks[:-1], True)
        held = best & (shared | (claimed[pairs.truth] == ranks))
        of_found[pairs.found[held]] = pairs.truth[held]
        taken[pairs.truth[held & ~shared]] = True
