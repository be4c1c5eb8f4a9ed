"""Why a detector fails: false positives, duplicates, poor localisation, and instances that are only hit in part."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..coco.data import Detections, GroundTruth
from .matching import Candidates, Matches
from .overlaps import Overlaps, find_overlaps
from .scores import Errors

MATCH_IOU = 0.5
PARTIAL_IOU = 0.1
KINDS = ('localisation', 'classification', 'duplicate', 'both', 'background', 'missed')
LOCALISATION, CLASSIFICATION, DUPLICATE, BOTH, BACKGROUND, MISSED = range(len(KINDS))


@dataclass(frozen=True)
class Hits:
    """The detections from a score up, and how they overlap with the annotations, from an IoU of .1.

    Attributes:
        truth, found: As ``mmtied.coco`` has checked them, the detections without those of lower scores.
        overlaps: All pairs, of any classes.
    """

    truth: GroundTruth
    found: Detections
    overlaps: Overlaps

    @classmethod
    def of(cls, truth: GroundTruth, found: Detections, iou_type: str, score_thr: float = 0.0) -> Hits:
        """Return the hits of a detector; all detections, whatever their score, where ``score_thr`` is 0."""
        if score_thr > 0:
            found = found.rows(found.score >= score_thr)
        return cls(truth, found, overlaps=find_overlaps(truth, found, iou_type, least=PARTIAL_IOU))

    @cached_property
    def same_class(self) -> np.ndarray:
        """Which pairs are of one class, (pairs,) bool."""
        return self.found.category[self.overlaps.found] == self.truth.category[self.overlaps.truth]

    def matches(self, uncounted: np.ndarray) -> Matches:
        """Return what the detections find at IoU .5, where some annotations do not count, (annotations,) bool."""
        candidates = Candidates(self.truth, self.found, self.overlaps, least=MATCH_IOU)
        return candidates.match(MATCH_IOU, uncounted)

    def best(self, uncounted: np.ndarray) -> tuple[Best, Best]:
        """Return each detection's best instance of its own class, and of the others."""
        counts, count = ~uncounted[self.overlaps.truth], len(self.found.score)
        return (
            Best.of(self.overlaps.part(counts & self.same_class), count),
            Best.of(self.overlaps.part(counts & ~self.same_class), count),
        )


@dataclass(frozen=True)
class Best:
    """The instance that each detection overlaps most: its row, -1 for none, and the IoU, both (detections,)."""

    truth: np.ndarray
    iou: np.ndarray

    @classmethod
    def of(cls, pairs: Overlaps, count: int) -> Best:
        """Return the best of each of ``count`` detections; the first of equal ones."""
        truth, iou = np.full(count, -1), np.zeros(count)
        if len(pairs.found):
            begins = np.flatnonzero(np.diff(pairs.found, prepend=-1))
            iou[pairs.found[begins]] = np.maximum.reduceat(pairs.iou, begins)
            best = pairs.part(pairs.iou == iou[pairs.found])
            truth[best.found[::-1]] = best.truth[::-1]  # Where an index repeats, the last value stays.
        return cls(truth, iou)


@dataclass(frozen=True)
class Kinds:
    """The kind of each error at IoU .5, as an index in ``KINDS``; -1 for what is none.

    Attributes:
        nearest: Row of the instance that a false positive's kind is about, (detections,); -1 for none.
        iou: With that, (detections,).
        found: Kinds of the false positives, (detections,).
        truth: Kinds of the instances that are not found: localisation or classification where one would be if the box
            or the class of a detection were right, else missed, (annotations,).
    """

    nearest: np.ndarray
    iou: np.ndarray
    found: np.ndarray
    truth: np.ndarray

    @classmethod
    def of(cls, hits: Hits, uncounted: np.ndarray) -> Kinds:
        """Return the kinds of a detector's errors.

        Args:
            hits: The detections and what they overlap.
            uncounted: Annotations that do not count, crowd regions among them, (annotations,) bool.
        """
        matches = hits.matches(uncounted)
        own, others = hits.best(uncounted)
        # As TIDE has them; the first that holds is the kind.
        holds = {
            LOCALISATION: (own.iou >= PARTIAL_IOU) & (own.iou < MATCH_IOU),
            CLASSIFICATION: others.iou >= MATCH_IOU,
            DUPLICATE: own.iou >= MATCH_IOU,
            BOTH: others.iou >= PARTIAL_IOU,
        }
        found = np.select([matches.truth >= 0, *holds.values()], [-1, *holds], default=BACKGROUND)
        truth = np.full(len(hits.truth.image), MISSED)
        truth[others.truth[found == CLASSIFICATION]] = CLASSIFICATION
        truth[own.truth[found == LOCALISATION]] = LOCALISATION
        truth[uncounted | matches.found] = -1
        of_class = (found == LOCALISATION) | (found == DUPLICATE)
        return cls(
            np.where(of_class, own.truth, others.truth),
            np.where(of_class, own.iou, others.iou),
            found=found,
            truth=truth,
        )


def count_errors(hits: Hits, parts: Sequence[np.ndarray], ignored: np.ndarray | None = None) -> list[Errors | None]:
    """Return the errors of each part of the images, None for a part without images.

    All detections count, also those beyond the scores' limit. Kinds are those of TIDE: crowd regions and ignored
    instances are taken out first, with what matches them.

    Args:
        hits: The detections and what they overlap.
        parts: Indices of images.
        ignored: Annotations that do not count in this row, (n,) bool, so that false positives belong to no row.
            Defaults to none but those that never count.
    """
    truth, found = hits.truth, hits.found
    uncounted = truth.uncounted if ignored is None else truth.uncounted | ignored
    kinds = Kinds.of(hits, uncounted)
    false = kinds.found >= 0
    localisation, duplicate = kinds.found == LOCALISATION, kinds.found == DUPLICATE
    instances = ~uncounted
    missed = kinds.truth == MISSED
    partial = instances & hit_in_part(hits)
    errors: list[Errors | None] = []
    per_image = [
        np.bincount(entries.image[chosen], minlength=len(truth.images))
        for entries, chosen in (
            *((found, kind) for kind in (false, duplicate, localisation)),
            *((truth, kind) for kind in (missed, partial, instances)),
        )
    ]
    for part in parts:
        if not len(part):
            errors.append(None)
            continue
        every, duplicates, poor, lost, partials, count = (int(counts[part].sum()) for counts in per_image)
        known = ignored is None
        errors.append(
            Errors(
                false_positives=every / len(part) if known else float('nan'),
                duplicates=duplicates if known else float('nan'),
                localisation=poor if known else float('nan'),
                missed=lost,
                partial=partials / count if count else float('nan'),
            )
        )
    return errors


def hit_in_part(hits: Hits) -> np.ndarray:
    """Return which annotations have a detection of their class with an IoU from .1 to .5 and none above, (n,) bool."""
    pairs = hits.overlaps
    own = hits.same_class
    best = np.zeros(len(hits.truth.image))
    np.maximum.at(best, pairs.truth[own], pairs.iou[own])
    return (best >= PARTIAL_IOU) & (best < MATCH_IOU)


def image_f1(hits: Hits) -> np.ndarray:
    """Return each image's F1 at IoU .5, (images,); NaN where there is nothing to find and nothing was found."""
    truth, found, images = hits.truth, hits.found, len(hits.truth.images)
    matches = hits.matches(truth.uncounted)
    right = np.bincount(found.image[matches.right], minlength=images)
    wrong = np.bincount(found.image[matches.truth < 0], minlength=images)
    wanted = np.bincount(truth.image[~truth.uncounted], minlength=images)
    # 2 tp / (2 tp + fp + fn), where fn = wanted - tp.
    below = right + wrong + wanted
    return np.divide(2 * right, below, out=np.full(images, np.nan), where=below > 0)


def redundant_partials(hits: Hits) -> np.ndarray:
    """Return which detections are redundant and partial, (n,) bool.

    Such a detection's best IoU with an instance of its class is from .1 to .5, and that instance has another detection
    of its class with an IoU of .5 or more. What does not count is no instance.
    """
    own, _ = hits.best(hits.truth.uncounted)
    whole = np.zeros(len(hits.truth.image) + 1, dtype=bool)  # The last is for the -1 of those without an instance.
    pairs = hits.overlaps
    whole[pairs.truth[hits.same_class & (pairs.iou >= MATCH_IOU)]] = True
    return (own.iou >= PARTIAL_IOU) & (own.iou < MATCH_IOU) & whole[own.truth]
