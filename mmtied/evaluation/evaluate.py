"""AP and AP75 per occlusion bin, of any detector's results, and of two detectors side by side."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from .accumulate import Accumulator
from .bins import OcclusionBins
from .coco_input import Detections, GroundTruth, InputError, check_ground_truth, check_results, iou_type_of, read_json
from .engine import ENGINES, SCORES
from .errors import Errors, count_errors
from .mmdet_pickle import is_pickle, read_pickle
from .ratio import image_ratios, instance_ratios
from .resample import FEWEST, bootstrap, interval, middle, random_subsets
from .result import BinScores, Difference, OcclusionComparison, OcclusionResult
from .settings import OcclusionSettings

File = str | PathLike


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
        iou_type, bins, options: See :class:`OcclusionSettings`.
        name: Of the detector. Defaults to the stem of the results' path.
        strict: Whether scores outside [0, 1], boxes of negative size and empty results are errors. Defaults to True.
        quiet: Whether to show no progress bars. Defaults to True.

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
    (result,), _ = _evaluate(ground_truth, [results], [name] if name else _names([results]), settings, strict, quiet)
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
        ground_truth, iou_type, bins, strict, quiet, options: As in :func:`evaluate_occlusion`.
        first, second: Results of the detectors; differences are second less first.
        names: Of the detectors. Defaults to the stems of the results' paths, with their folders where these are equal.

    Raises:
        InputError, ValueError: As :func:`evaluate_occlusion`.
    """
    settings = OcclusionSettings(iou_type=iou_type, bins=bins or OcclusionBins(), **options)
    names = names or _names([first, second])
    if len(set(names)) != 2:
        raise ValueError(f'names={list(names)} must be two that differ')
    results, samples = _evaluate(ground_truth, [first, second], names, settings, strict, quiet)
    differences = []
    for i, (one, other) in enumerate(zip(*([result.all, *result.bins] for result in results))):
        scores = {score: getattr(other, score) - getattr(one, score) for score in SCORES}
        intervals = {}
        if samples[i] is not None:
            intervals = _intervals(samples[i][:, 1] - samples[i][:, 0], scores, -1)
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
    truth, models, settings = _read(ground_truth, sources, settings, strict)
    ratios = image_ratios(truth, settings.definition, settings.region, settings.same_class, quiet)
    image_bins = settings.bins.assign(ratios)
    shares = None
    if settings.per_instance:
        shares = instance_ratios(truth, settings.definition, settings.region, settings.same_class, quiet)
    rows = _rows(truth, settings, image_bins, shares)
    measured = [_measure(truth, found, rows, settings, quiet) for found in models]

    samples: list[np.ndarray | None] = []
    bands: list[list[dict]] = [[{} for _ in rows] for _ in models]
    for i, row in enumerate(rows[:-1]):
        accumulators = [per_row[i] for *_, per_row in measured]
        samples.append(None)
        if settings.bootstrap and _counts(truth, row)[0] >= FEWEST:
            arguments = row.images, settings.bootstrap, (settings.seed, i, 0), f'bootstrap of {row.label}', quiet
            samples[i] = bootstrap(accumulators, *arguments)
        if settings.random_subsets and i and len(row.images):
            for accumulator, band in zip(accumulators, bands):
                pool = np.flatnonzero(~np.isnan(ratios))
                arguments = settings.random_subsets, (settings.seed, i, 1), f'random subsets for {row.label}', quiet
                band[i] = _bands(random_subsets(accumulator, pool, len(row.images), *arguments))

    results = []
    for k, (found, (scores, errors, accumulators)) in enumerate(zip(models, measured)):
        scored = []
        for i, row in enumerate(rows):
            sampled = samples[i] if i < len(samples) else None
            scored.append(
                BinScores(
                    *(row.label, row.lower, row.upper, *_counts(truth, row)),
                    **scores[i],
                    errors=errors[i],
                    interval={} if sampled is None else _intervals(sampled[:, k], scores[i], 0),
                    random=bands[k][i],
                    per_class=_class_scores(accumulators[i], row) if settings.per_class else {},
                )
            )
        inputs = ratios, image_bins, shares, truth, found
        results.append(OcclusionResult(scored[0], scored[1:-1], scored[-1], settings, names[k], *inputs))
    return results, samples


def _names(sources: Sequence[File | list[dict]]) -> list[str]:
    """Name detectors after their files, with the folders where the files are named alike."""
    paths = [Path(source).absolute() if isinstance(source, File) else Path(f'detector {i}')
             for i, source in enumerate(sources, 1)]  # fmt: skip
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ['/'.join(path.with_suffix('').parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f'detector {i}' for i in range(1, len(paths) + 1)]


def _read(
    ground_truth: File | dict, sources: Sequence[File | list[dict]], settings: OcclusionSettings, strict: bool
) -> tuple[GroundTruth, list[Detections], OcclusionSettings]:
    files = [(role, file) for role, file in zip(('ground truth', 'results', 'second results'), (ground_truth, *sources))
             if isinstance(file, File)]  # fmt: skip
    for i, (role, file) in enumerate(files):
        for earlier_role, earlier in files[:i]:
            if os.path.realpath(file) == os.path.realpath(earlier):
                raise InputError(f'{file}: given twice, as {earlier_role} and as {role}')
    contents = [None if is_pickle(source) else read_json(source, 'results', results=True) for source in sources]
    if settings.iou_type is None:
        settings = replace(settings, iou_type=iou_type_of(contents[0] and contents[0][0]))
    truth = check_ground_truth(*read_json(ground_truth, 'ground truth'), settings.needs_masks)
    models = []
    for source, content in zip(sources, contents):
        if content is None:
            models.append(read_pickle(source, truth, settings.iou_type))
        else:
            models.append(check_results(*content, truth, settings.iou_type, strict))
    return truth, models, settings


def _rows(
    truth: GroundTruth, settings: OcclusionSettings, image_bins: np.ndarray, shares: np.ndarray | None
) -> list[_Row]:
    """The whole set, each bin, and the images without instances."""
    bins, every = settings.bins, np.arange(len(image_bins))
    rows = [_Row('all', None, None, every)]
    members = bins.members(image_bins if shares is None else bins.assign(shares))
    for label, limits, inside in zip(bins.labels, bins.limits, members):
        if shares is None:
            rows.append(_Row(label, *limits, np.flatnonzero(inside)))
        else:
            rows.append(_Row(label, *limits, every, ~inside))
    return [*rows, _Row('no instances', None, None, np.flatnonzero(image_bins == -1))]


def _measure(
    truth: GroundTruth, found: Detections, rows: Sequence[_Row], settings: OcclusionSettings, quiet: bool
) -> tuple[list[dict], list[Errors | None], list[Accumulator | None]]:
    """Return scores, errors and, where something is to be resampled, the matches of each row."""
    measured: list[tuple] = [()] * len(rows)
    together = [i for i, row in enumerate(rows) if row.ignored is None]
    for group in (together, *([i] for i, row in enumerate(rows) if row.ignored is not None)):
        parts, ignored = [rows[i].images for i in group], rows[group[0]].ignored
        engine = ENGINES[settings.engine](truth, found, settings.iou_type, ignored, quiet)
        scores = engine.scores(parts)
        errors = count_errors(truth, found, settings.iou_type, parts, settings.score_thr, ignored)
        accumulator = None
        if settings.bootstrap or settings.random_subsets or settings.per_class:
            accumulator = Accumulator(truth, found, *engine.matches(), ignored)
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
