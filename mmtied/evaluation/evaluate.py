"""AP and AP75 per occlusion bin, of any detector's results, and of two detectors side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..coco.data import Detections, GroundTruth
from ..coco.sets import File, detector_names, read_sets
from .accumulate import Accumulator
from .bins import OcclusionBins
from .engine import ENGINES
from .errors import count_errors
from .ratio import image_ratios, instance_ratios
from .resample import FEWEST, bootstrap, interval, middle, random_subsets
from .result import OcclusionComparison, OcclusionResult
from .scores import SCORES, BinScores, Difference, Errors
from .settings import OcclusionSettings


def evaluate_occlusion(
    ground_truth: File | dict,
    results: File | list[dict],
    iou_type: str | None = None,
    bins: OcclusionBins | None = None,
    *,
    name: str | None = None,
    strict: bool = True,
    quiet: bool = True,
    **options: Any,
) -> OcclusionResult:
    """Evaluate detections on all images and on the images of every occlusion bin.

    Args:
        ground_truth: COCO ground truth, as a path or as loaded json.
        results: COCO results (a list of detections), as a path or as loaded json, or the path of a pickle that mmdet's
            ``test.py --out`` wrote.
        iou_type, bins: See :class:`OcclusionSettings`. Default to that of the results, and to exactly 0, then steps
            of .2.
        name: Of the detector. Defaults to the stem of the results' path.
        strict: Whether scores outside [0, 1], boxes of negative size and empty results are errors. Defaults to True.
        quiet: Whether to show no progress bars. Defaults to True.
        **options: Any other of :class:`OcclusionSettings`, such as ``definition='hybrid'`` or ``bootstrap=1000``.

    Raises:
        InputError: If an input cannot be evaluated; the message names the file and the entry.
        ValueError: If an option is out of its range.

    Example:
        >>> from mmtied.evaluation import evaluate_occlusion
        >>> truth = dict(image_id=1, category_id=1, bbox=[0, 0, 4, 4])
        >>> gt = dict(images=[dict(id=1)], categories=[dict(id=1)], annotations=[truth])
        >>> round(evaluate_occlusion(gt, [truth | dict(score=0.9)]).all.AP, 6)
        1.0
    """
    settings = OcclusionSettings(iou_type=iou_type, bins=bins or OcclusionBins(), **options)
    names = [name] if name else detector_names([results])
    (result,), _ = _evaluate(ground_truth, [results], names=names, settings=settings, strict=strict, quiet=quiet)
    return result


def compare_occlusion(
    ground_truth: File | dict,
    first: File | list[dict],
    second: File | list[dict],
    iou_type: str | None = None,
    bins: OcclusionBins | None = None,
    *,
    names: Sequence[str] | None = None,
    strict: bool = True,
    quiet: bool = True,
    **options: Any,
) -> OcclusionComparison:
    """Evaluate two detectors on the same bins: what one gains over the other in each, free of the bin's own bias.

    Args:
        ground_truth, iou_type, bins, strict, quiet, **options: As in :func:`evaluate_occlusion`.
        first, second: Results of the detectors; differences are second less first.
        names: Of the detectors. Defaults to the stems of the results' paths, with their folders where these are equal.

    Raises:
        InputError: If an input cannot be evaluated, or both results are one file.
        ValueError: If an option is out of its range, or the names are not two that differ.
    """
    settings = OcclusionSettings(iou_type=iou_type, bins=bins or OcclusionBins(), **options)
    names = names or detector_names([first, second])
    if len(set(names)) != 2:
        raise ValueError(f'names={list(names)} must be two that differ')
    results, samples = _evaluate(
        ground_truth, [first, second], names=names, settings=settings, strict=strict, quiet=quiet
    )
    differences = []
    for i, (one, other) in enumerate(zip(*([result.all, *result.bins] for result in results))):
        scores = {score: getattr(other, score) - getattr(one, score) for score in SCORES}
        intervals = {}
        if samples[i] is not None:
            intervals = _intervals(samples[i][:, 1] - samples[i][:, 0], scores, least=-1)
        differences.append(Difference(one.label, one.lower, one.upper, **scores, interval=intervals))
    return OcclusionComparison(*results, differences[0], differences[1:])


@dataclass(frozen=True)
class _Row:
    """What a row of the result is evaluated on."""

    label: str
    lower: float | None
    upper: float | None
    images: np.ndarray  # places
    ignored: np.ndarray | None = None  # (annotations,) bool


def _evaluate(
    ground_truth: File | dict,
    sources: Sequence[File | list[dict]],
    names: Sequence[str],
    settings: OcclusionSettings,
    strict: bool,
    quiet: bool,
) -> tuple[list[OcclusionResult], list[np.ndarray | None]]:
    """Return the result of each detector, and the bootstrap samples of each row but the last, (count, detectors, 4)."""
    truth, models, iou_type = read_sets(
        ground_truth, sources, iou_type=settings.iou_type, masks=settings.needs_masks, strict=strict
    )
    settings = replace(settings, iou_type=iou_type)
    overlap = {'definition': settings.definition, 'region': settings.region, 'same_class': settings.same_class}
    ratios = image_ratios(truth, **overlap, quiet=quiet)
    image_bins = settings.bins.assign(ratios)
    shares = instance_ratios(truth, **overlap, quiet=quiet) if settings.per_instance else None
    rows = _rows(settings, image_bins, shares)
    measured = [_measure(truth, found, rows=rows, settings=settings, quiet=quiet) for found in models]

    samples: list[np.ndarray | None] = []
    bands: list[list[dict]] = [[{} for _ in rows] for _ in models]
    for i, row in enumerate(rows[:-1]):
        accumulators = [per_row[i] for *_, per_row in measured]
        samples.append(None)
        if settings.bootstrap and _counts(truth, row)[0] >= FEWEST:
            samples[i] = bootstrap(
                accumulators,
                row.images,
                count=settings.bootstrap,
                seed=(settings.seed, i, 0),
                title=f'bootstrap of {row.label}',
                quiet=quiet,
            )
        if settings.random_subsets and i and len(row.images):
            for accumulator, band in zip(accumulators, bands):
                subsets = random_subsets(
                    accumulator,
                    np.flatnonzero(~np.isnan(ratios)),
                    size=len(row.images),
                    count=settings.random_subsets,
                    seed=(settings.seed, i, 1),
                    title=f'random subsets for {row.label}',
                    quiet=quiet,
                )
                band[i] = _bands(subsets)

    results = []
    for k, (found, (scores, errors, accumulators)) in enumerate(zip(models, measured)):
        scored = []
        for i, row in enumerate(rows):
            sampled = samples[i] if i < len(samples) else None
            images, instances, classes = _counts(truth, row)
            scored.append(
                BinScores(
                    label=row.label,
                    lower=row.lower,
                    upper=row.upper,
                    images=images,
                    instances=instances,
                    classes=classes,
                    **scores[i],
                    errors=errors[i],
                    interval={} if sampled is None else _intervals(sampled[:, k], scores[i], least=0),
                    random=bands[k][i],
                    per_class=_class_scores(accumulators[i], row) if settings.per_class else {},
                )
            )
        results.append(
            OcclusionResult(
                all=scored[0],
                bins=scored[1:-1],
                unassigned=scored[-1],
                settings=settings,
                name=names[k],
                ratios=ratios,
                image_bins=image_bins,
                instance_ratios=shares,
                ground_truth=truth,
                detections=found,
            )
        )
    return results, samples


def _rows(settings: OcclusionSettings, image_bins: np.ndarray, shares: np.ndarray | None) -> list[_Row]:
    """The whole set, each bin, and the images without instances."""
    bins, every = settings.bins, np.arange(len(image_bins))
    rows = [_Row('all', None, upper=None, images=every)]
    members = bins.members(image_bins if shares is None else bins.assign(shares))
    for label, limits, inside in zip(bins.labels, bins.limits, members):
        if shares is None:
            rows.append(_Row(label, *limits, np.flatnonzero(inside)))
        else:
            rows.append(_Row(label, *limits, every, ~inside))
    return [*rows, _Row('no instances', None, upper=None, images=np.flatnonzero(image_bins == -1))]


def _measure(
    truth: GroundTruth, found: Detections, rows: Sequence[_Row], settings: OcclusionSettings, quiet: bool
) -> tuple[list[dict], list[Errors | None], list[Accumulator | None]]:
    """Return scores, errors and, where something is to be resampled, the matches of each row."""
    measured: list[tuple] = [()] * len(rows)
    together = [i for i, row in enumerate(rows) if row.ignored is None]
    for group in (together, *([i] for i, row in enumerate(rows) if row.ignored is not None)):
        parts, ignored = [rows[i].images for i in group], rows[group[0]].ignored
        engine = ENGINES[settings.engine](truth, found, settings.iou_type, ignored=ignored, quiet=quiet)
        scores = engine.scores(parts)
        errors = count_errors(
            truth, found, settings.iou_type, parts=parts, score_thr=settings.score_thr, ignored=ignored
        )
        accumulator = None
        if settings.bootstrap or settings.random_subsets or settings.per_class:
            matched, counted = engine.matches()
            accumulator = Accumulator(truth, found, matched=matched, counted=counted, ignored=ignored)
        for i, *values in zip(group, scores, errors):
            measured[i] = *values, accumulator
    return tuple(map(list, zip(*measured)))


def _counts(truth: GroundTruth, row: _Row) -> tuple[int, int, int]:
    """Images, instances and classes of a row."""
    inside = np.isin(truth.image, row.images) & ~truth.iscrowd
    if row.ignored is None:
        return len(row.images), int(inside.sum()), len(np.unique(truth.category[inside]))
    inside &= ~row.ignored
    return len(np.unique(truth.image[inside])), int(inside.sum()), len(np.unique(truth.category[inside]))


def _class_scores(accumulator: Accumulator, row: _Row) -> dict:
    weights = np.zeros(accumulator.images, dtype=np.int32)
    weights[row.images] = 1
    return accumulator.class_scores(weights)


def _intervals(samples: np.ndarray, scores: dict[str, float], least: float) -> dict[str, tuple[float, float]]:
    """The interval of each score, inside what a score or a difference of two can be."""
    intervals = {}
    for score, column in zip(SCORES, samples.T):
        low, high = interval(column, scores[score])
        intervals[score] = max(low, least), min(high, 1.0)
    return intervals


def _bands(samples: np.ndarray) -> dict[str, tuple[float, float, float]]:
    bands = {}
    for score, column in zip(SCORES, samples.T):
        low, high = middle(column)
        bands[score] = low, float(np.nanmean(column)) if low == low else low, high
    return bands
