"""JI, the Jaccard index of CrowdHuman's evaluation: how well the detections of an image are its instances, one to one.

Of the detections above a score and the instances of an image, as many as can be are matched one to one at IoU .5 (a
maximum bipartite matching): JI = matches / (detections + instances - matches), the mean over the images, at the best
of ten scores. Ignored regions are no part of it: neither what was found in them without a match, nor what was missed
there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..coco.data import Detections, Entries, GroundTruth
from .matching import by_class
from .overlaps import Overlaps, find_overlaps

SCORES_ABOVE = 0.1 * np.arange(10)
MATCH_IOU = 0.5
EPSILON = 1e-6  # what CrowdHuman's evaluation adds below the fraction


@dataclass(frozen=True)
class ClassIndices:
    """The Jaccard index of one class in each image, above each of the scores.

    Attributes:
        truth_image: Image of each instance, (instances,).
        image: The images that hold something above some score, (n,).
        index: (n, scores).
        holds: Where there is something to find or something was found, (n, scores) bool.
    """

    truth_image: np.ndarray
    image: np.ndarray
    index: np.ndarray
    holds: np.ndarray

    def best(self, weights: np.ndarray) -> np.ndarray:
        """Return the mean over the images at the best score, (n,); NaN without instances.

        Args:
            weights: How often each image counts, (n, images) int.
        """
        of_images = weights[:, self.image].astype(float)
        holding = of_images @ self.holds
        means = np.divide(of_images @ self.index, holding, out=np.zeros_like(holding), where=holding > 0)
        return np.where(weights[:, self.truth_image].any(1), means.max(1), np.nan)


@dataclass(frozen=True)
class JaccardIndices:
    """The Jaccard indices of a set, class by class.

    Attributes:
        classes: Those of each category.
    """

    classes: list[ClassIndices]

    def scores(self, weights: np.ndarray) -> np.ndarray:
        """Return JI, the mean over the classes that have an instance, (n,); NaN where there is none.

        Args:
            weights: How often each image counts, (n, images) int.
        """
        of_classes = np.array([of_class.best(weights) for of_class in self.classes])
        present = ~np.isnan(of_classes)
        return np.where(present, of_classes, 0).sum(0) / np.where(present.any(0), present.sum(0), np.nan)


class JaccardMatcher:
    """The detections of a set, and what they overlap, for any choice of instances that count.

    Boxes are clipped to their images, as in CrowdHuman's evaluation, where the ground truth has sizes.

    Args:
        truth: As ``mmtied.coco`` has checked it; what it ignores are the ignored regions.
        found: The detections that count.
    """

    def __init__(self, truth: GroundTruth, found: Detections) -> None:
        truth = replace(truth, bbox=clipped(truth, truth.images))
        found = replace(found, bbox=clipped(found, truth.images))
        self.truth, self.found = truth, found
        self.found_rows, self.truth_rows = (
            by_class(np.arange(len(entries.category)), entries.category, len(truth.categories))
            for entries in (found, truth)
        )
        every = np.ones(len(truth.image), dtype=bool)
        self.of_union = find_overlaps(replace(truth, iscrowd=~every), found, 'bbox', least=MATCH_IOU)
        shares = find_overlaps(replace(truth, iscrowd=every), found, 'bbox', least=MATCH_IOU)
        same_class = found.category[shares.found] == truth.category[shares.truth]
        self.of_detection = shares.part(same_class & (shares.iou > MATCH_IOU))
        # Which instances lie in an ignored region: an instance is looked at as a detection is.
        regions = truth.rows(np.flatnonzero(truth.uncounted))
        as_found = Detections(
            truth.image, truth.category, score=np.ones(len(truth.image)), bbox=truth.bbox, segmentation=None
        )
        all_crowds = replace(regions, iscrowd=np.ones(len(regions.image), dtype=bool))
        inside = find_overlaps(all_crowds, as_found, 'bbox', least=MATCH_IOU)
        inside = inside.part(
            (truth.category[inside.found] == regions.category[inside.truth]) & (inside.iou > MATCH_IOU)
        )
        self.in_region = np.zeros(len(truth.image), dtype=bool)
        self.in_region[inside.found] = True

    def indices(self, uncounted: np.ndarray) -> JaccardIndices:
        """Return the indices, where some annotations do not count, (annotations,) bool, ignored regions among them.

        What is found of them is forgiven. What is missed is forgiven in an ignored region alone: that an instance of
        another bin covers a missed one is no excuse.
        """
        truth, found = self.truth, self.found
        same_class = found.category[self.of_union.found] == truth.category[self.of_union.truth]
        pairs = self.of_union.part(same_class & ~uncounted[self.of_union.truth])
        matched, reached = match(pairs, found.score, annotations=len(truth.image))
        forgiven = np.zeros(len(found.score), dtype=bool)
        forgiven[self.of_detection.found[uncounted[self.of_detection.truth]]] = True
        forgiven &= ~matched
        classes = []
        for own, wanted in zip(self.found_rows, self.truth_rows):
            wanted = wanted[~uncounted[wanted]]
            images, position = np.unique(np.concatenate([found.image[own], truth.image[wanted]]), return_inverse=True)
            of_found, of_truth = np.split(position, [len(own)])
            matches, detections = (
                _above(of_found[chosen[own]], found.score[own[chosen[own]]], images=len(images))
                for chosen in (matched, ~forgiven)
            )
            inside = self.in_region[wanted]
            instances = np.bincount(of_truth[~inside], minlength=len(images))[:, None] + _above(
                of_truth[inside], reached[wanted[inside]], images=len(images)
            )
            index = matches / (instances + detections - matches + EPSILON)
            holds = (instances > 0) | (detections > 0)
            classes.append(ClassIndices(truth.image[wanted], images, index=index, holds=holds))
        return JaccardIndices(classes)


def match(pairs: Overlaps, score: np.ndarray, annotations: int) -> tuple[np.ndarray, np.ndarray]:
    """Match as many detections as can be, one to one, among those above any score.

    The detections come one by one, the highest score first. Each takes an instance if those before it can be matched
    otherwise; so those that have come are always matched as well as can be, and what is matched stays so.

    Args:
        pairs: Which detections and instances may be matched.
        score: Of each detection.
        annotations: How many there are.

    Returns:
        Which detections are matched, (detections,) bool, and the score of the detection by which each annotation first
        was, (annotations,); -inf for never.
    """
    matched, reached = np.zeros(len(score), dtype=bool), np.full(annotations, -np.inf)
    order = np.argsort(-score[pairs.found], kind='stable')
    choices: dict[int, list[int]] = {}
    for one, instance in zip(pairs.found[order].tolist(), pairs.truth[order].tolist()):
        choices.setdefault(one, []).append(instance)
    held: dict[int, int] = {}  # the instance of each detection
    owner: dict[int, int] = {}  # the detection of each instance
    closed: set[int] = set()  # instances from which no free one can be reached any more
    for one in choices:
        came: dict[int, int] = {}  # instance: the detection that may take it
        free = _free_instance(one, choices, owner=owner, closed=closed, came=came)
        if free is None:
            closed.update(came)
            continue
        matched[one], reached[free] = True, score[one]
        # Each detection on the way takes the instance that it has found, and leaves its own to the one before.
        moved: int | None = free
        while moved is not None:
            taker = came[moved]
            left = held.get(taker)
            owner[moved], held[taker] = taker, moved
            moved = left
    return matched, reached


def _free_instance(
    one: int, choices: dict[int, list[int]], owner: dict[int, int], closed: set[int], came: dict[int, int]
) -> int | None:
    """Return the nearest free instance that a detection can have, directly or as others move on; None for none.

    ``came`` is filled with the way: each instance that was looked at, and the detection that may take it.
    """
    queue = [one]
    for other in queue:
        for instance in choices[other]:
            if instance in came or instance in closed:
                continue
            came[instance] = other
            if instance not in owner:
                return instance
            queue.append(owner[instance])
    return None


def clipped(entries: Entries, images: Sequence[dict]) -> np.ndarray:
    """Return the boxes inside their images, (n, 4); as they are where an image has no size."""
    sizes = np.array([[image.get('width', np.nan), image.get('height', np.nan)] for image in images])[entries.image]
    low, high = entries.boxes[:, :2], entries.boxes[:, :2] + entries.boxes[:, 2:]
    # The first corner is a pixel of the image, the other lies behind the last one.
    inside = np.concatenate([np.clip(low, 0, sizes - 1), np.clip(high, 0, sizes)], axis=1)
    low, high = np.split(np.where(np.isnan(inside), np.concatenate([low, high], axis=1), inside), 2, axis=1)
    return np.concatenate([low, high - low], axis=1)


def _above(image: np.ndarray, score: np.ndarray, images: int) -> np.ndarray:
    """Return how many entries of each image have more than each of the scores, (images, scores)."""
    levels = len(SCORES_ABOVE) + 1
    level = np.searchsorted(SCORES_ABOVE, score)
    counts = np.bincount(image * levels + level, minlength=images * levels).reshape(images, levels)
    return counts[:, :0:-1].cumsum(1)[:, ::-1]
