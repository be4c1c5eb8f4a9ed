"""AP and AP75 per occlusion bin, of any detector's results, and of several detectors side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ..coco.data import Detections, GroundTruth
from ..coco.sets import File, detector_names, read_sets
from ..utils.errors import InputError
from .accumulator import Accumulator
from .binned import Binned
from .bins import OcclusionBins
from .engine import ENGINES
from .errors import Hits, count_errors
from .federated import federated
from .pedestrians import PedestrianMatcher, Pedestrians, tall_enough
from .resampling import FEWEST, Sampled, bootstrap, interval, middle, random_subsets, widened
from .result import OcclusionComparison, OcclusionResult
from .scores import (
    PEDESTRIAN_SCORES,
    SCORES,
    BinScores,
    ClassScores,
    Difference,
    Differences,
    Errors,
    FrequencyScores,
    PedestrianScores,
    Scores,
)
from .settings import AMODAL, OcclusionOptions, OcclusionSettings
from .sizes import Size, detection_areas, ranges

if TYPE_CHECKING:
    from typing_extensions import Unpack

MOST = 8  # detectors that can be told apart in the curves


def evaluate_occlusion(
    ground_truth: File | dict,
    results: File | list[dict],
    iou_type: str | None = None,
    bins: OcclusionBins | None = None,
    *,
    name: str | None = None,
    strict: bool = True,
    quiet: bool = True,
    **options: Unpack[OcclusionOptions],
) -> OcclusionResult:
    """Evaluate detections on all images and on the images of every occlusion bin.

    Args:
        ground_truth: COCO ground truth, as a path or as loaded json; or the path of another format, as
            :func:`~mmtied.coco.other_formats.read_other_format` takes it.
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
    more: Sequence[File | list[dict]] = (),
    names: Sequence[str] | None = None,
    strict: bool = True,
    quiet: bool = True,
    **options: Unpack[OcclusionOptions],
) -> OcclusionComparison:
    """Evaluate detectors on the same bins: what each gains over the first in a bin, free of the bin's own bias.

    Args:
        ground_truth, iou_type, bins, strict, quiet, **options: As in :func:`evaluate_occlusion`.
        first, second: Results of two detectors; differences are second less first.
        more: Results of further detectors, which are compared with the first as well. Defaults to none.
        names: Of the detectors. Defaults to the stems of the results' paths, with their folders where these are equal.

    Raises:
        InputError: If an input cannot be evaluated, or a file is given twice.
        ValueError: If an option is out of its range, the names are not one for each detector and all different, or
            there are more than 8 detectors.
    """
    settings = OcclusionSettings(iou_type=iou_type, bins=bins or OcclusionBins(), **options)
    sources = [first, second, *([more] if isinstance(more, File) else more)]
    if len(sources) > MOST:
        raise ValueError(f'{len(sources)} detectors are too many: at most {MOST} can be told apart in the curves')
    names = [' '.join(str(name).split()) for name in names or detector_names(sources)]
    if not len(names) == len(set(names)) == len(sources) or '' in names:
        count = 'two' if len(sources) == 2 else len(sources)
        raise InputError(f'names={names} must be {count} different names, none of them empty')
    results, samples = _evaluate(ground_truth, sources, names=names, settings=settings, strict=strict, quiet=quiet)
    differences = [_differences(results, samples, index) for index in range(1, len(results))]
    return OcclusionComparison(results, differences)


def _differences(results: Sequence[OcclusionResult], samples: Sequence[np.ndarray | None], index: int) -> Differences:
    """Return what a detector has above the first in every row."""
    first, other = results[0], results[index]
    rows = []
    for one, own, sampled in zip((first.all, *first.bins), (other.all, *other.bins), samples):
        scores = own.scores - one.scores
        pedestrians = own.pedestrians - one.pedestrians if own.pedestrians and one.pedestrians else None
        frequencies = own.frequencies - one.frequencies if own.frequencies and one.frequencies else None
        intervals = {}
        if sampled is not None:
            estimates = *scores, *(pedestrians or ())
            intervals = _intervals(sampled[:, index] - sampled[:, 0], estimates, least=-1)
        rows.append(
            Difference(
                one.label,
                one.lower,
                upper=one.upper,
                scores=scores,
                pedestrians=pedestrians,
                frequencies=frequencies,
                interval=intervals,
            )
        )
    return Differences(other.name, first.name, all=rows[0], bins=rows[1:])


@dataclass(frozen=True)
class Row:
    """What a row of the result is evaluated on."""

    label: str
    lower: float | None
    upper: float | None
    images: np.ndarray  # indices
    ignored: np.ndarray | None = None  # (annotations,) bool
    has_ratios: bool = True  # whether its images have occlusion ratios
    is_bin: bool = False
    size: Size | None = None  # of a cell, whose instances of other sizes are ignored

    def inside(self, truth: GroundTruth) -> np.ndarray:
        """Return which annotations are instances of the row, (annotations,) bool."""
        inside = np.isin(truth.image, self.images) & ~truth.uncounted
        return inside if self.ignored is None else inside & ~self.ignored

    def counts(self, truth: GroundTruth) -> dict[str, int]:
        """Return how many images, instances and classes the row holds."""
        inside = self.inside(truth)
        images = len(self.images) if self.ignored is None else len(np.unique(truth.image[inside]))
        return {
            'images': images,
            'instances': int(inside.sum()),
            'classes': len(np.unique(truth.category[inside])),
        }

    def images_of_class(self, truth: GroundTruth) -> np.ndarray:
        """Return how many images show each class of the row, (classes,)."""
        inside, images = self.inside(truth), len(truth.images)
        shown = np.unique(truth.category[inside] * images + truth.image[inside])
        return np.unique(shown // images, return_counts=True)[1]


@dataclass(frozen=True)
class Measured:
    """What one detector reaches in a row."""

    row: Row
    scores: Scores
    errors: Errors | None  # None without images
    accumulator: Accumulator | None  # None where nothing is accumulated again
    pedestrians: Pedestrians | None  # None where they are not asked for
    frequencies: FrequencyScores | None  # likewise

    @property
    def matches(self) -> Accumulator:
        """What samples, subsets and classes are scored from, and so must be there for them."""
        if self.accumulator is None:
            raise ValueError(f'{self.row.label}: its matches are needed, but were not kept')
        return self.accumulator

    def pedestrian_scores(self) -> PedestrianScores | None:
        """Return MR-2 and JI, None where they were not asked for."""
        if self.pedestrians is None:
            return None
        ((miss_rate, index),) = self.pedestrians.part(self.row.images).scores(np.ones((1, len(self.row.images)), int))
        return PedestrianScores(float(miss_rate), float(index))

    def class_scores(self) -> dict[str, ClassScores]:
        """Return the scores of each class that has an instance in the row."""
        return self.matches.part(self.row.images).class_scores()


def _evaluate(
    ground_truth: File | dict,
    sources: Sequence[File | list[dict]],
    names: Sequence[str],
    settings: OcclusionSettings,
    strict: bool,
    quiet: bool,
) -> tuple[list[OcclusionResult], list[np.ndarray | None]]:
    """Return the result of each detector, and the bootstrap samples of each row, (count, detectors, 4)."""
    if settings.gate and len(sources) == 1:
        raise InputError(f'gate {" ".join(settings.gate)}: give the results of two detectors or more, found one')
    truth, detectors, iou_type = read_sets(
        ground_truth,
        sources,
        iou_type=settings.iou_type,
        masks=settings.needs_masks,
        strict=strict,
        lenient=settings.lenient,
        classes=settings.classes,
        image_dir=settings.image_dir,
        by=settings.key,
        amodal=settings.definition == AMODAL,
        lvis=settings.lvis,
        quiet=quiet,
    )
    try:
        settings = settings.settled(iou_type, truth.values)
    except InputError:
        raise
    except ValueError as error:  # of a type that the results decide
        raise InputError(f'{names[0]}: {error}') from error
    binned = Binned.of(truth, settings, quiet=quiet)
    if settings.min_height:
        low = truth.bbox[:, 3] < settings.min_height
        truth, binned = replace(truth, ignore=truth.ignore | low), binned.leaving_out(low)
    rows = _rows(binned)
    if settings.sizes:
        detectors = [replace(found, area=detection_areas(found, truth, iou_type)) for found in detectors]
        rows += _cells(rows, truth, settings.sizes)
    measured = [_measure(truth, found, rows=rows, settings=settings, quiet=quiet) for found in detectors]
    samples = [
        _bootstrap(truth, of_row, settings=settings, index=i, quiet=quiet) for i, of_row in enumerate(zip(*measured))
    ]
    pool = np.flatnonzero(~np.isnan(binned.images))
    results = []
    for k, (found, of_detector) in enumerate(zip(detectors, measured)):
        if settings.min_height:
            found = found.rows(tall_enough(found, settings.min_height))
        scored = []
        for i, one in enumerate(of_detector):
            counts = one.row.counts(truth)
            sampled, pedestrians = samples[i], one.pedestrian_scores()
            intervals = {}
            if sampled is not None:
                intervals = _intervals(sampled[:, k], (*one.scores, *(pedestrians or ())), least=0)
            scored.append(
                BinScores(
                    label=one.row.label,
                    lower=one.row.lower,
                    upper=one.row.upper,
                    images=counts['images'],
                    instances=counts['instances'],
                    classes=counts['classes'],
                    scores=one.scores,
                    errors=one.errors,
                    pedestrians=pedestrians,
                    frequencies=one.frequencies,
                    interval=intervals,
                    random=_band(one, pool, settings=settings, index=i, quiet=quiet),
                    per_class=one.class_scores() if settings.per_class else {},
                    size_lower=one.row.size.lower if one.row.size else None,
                    size_upper=one.row.size.upper if one.row.size else None,
                )
            )
        if settings.sizes:
            scored = _with_cells(scored, len(settings.sizes))
        results.append(
            OcclusionResult(
                all=scored[0],
                bins=scored[1:-1],
                unassigned=scored[-1],
                settings=settings,
                name=names[k],
                ratios=binned.images,
                image_bins=binned.image_bins,
                instance_ratios=binned.instances,
                ground_truth=truth,
                detections=found,
            )
        )
    return results, samples


def _rows(binned: Binned) -> list[Row]:
    """The whole set, each bin, and what has no occlusion."""
    every = np.arange(len(binned.images))
    rows = [Row('all', lower=None, upper=None, images=every)]
    for label, (lower, upper), inside in zip(binned.bins.labels, binned.bins.limits, binned.members()):
        if binned.instances is None:
            rows.append(Row(label, lower=lower, upper=upper, images=np.flatnonzero(inside), is_bin=True))
        else:
            rows.append(Row(label, lower=lower, upper=upper, images=every, ignored=~inside, is_bin=True))
    if binned.lacking is not None:
        return [*rows, Row(binned.without, lower=None, upper=None, images=every, ignored=~binned.lacking)]
    without = np.flatnonzero(binned.image_bins == -1)
    return [*rows, Row(binned.without, lower=None, upper=None, images=without, has_ratios=False)]


def _cells(rows: Sequence[Row], truth: GroundTruth, edges: Sequence[float]) -> list[Row]:
    """The instances of each size in each row, row by row."""
    cells = []
    # Cells of one size that ignore nothing else share what they ignore, and so are matched together.
    others = [(size, ~size.holds(truth.area)) for size in ranges(edges)]
    for row in rows:
        for size, other in others:
            ignored = other if row.ignored is None else other | row.ignored
            cells.append(replace(row, label=f'{row.label}, {size.label}', ignored=ignored, is_bin=False, size=size))
    return cells


def _with_cells(scored: Sequence[BinScores], count: int) -> list[BinScores]:
    """Return the rows, each with its cells, of which there are ``count``; behind all rows are those of each."""
    rows = len(scored) // (1 + count)
    return [
        replace(row, sizes=list(scored[rows + i * count : rows + (i + 1) * count]))
        for i, row in enumerate(scored[:rows])
    ]


def _measure(
    truth: GroundTruth, found: Detections, rows: Sequence[Row], settings: OcclusionSettings, quiet: bool
) -> list[Measured]:
    """Return what a detector reaches in each row; rows that ignore the same are matched together."""
    measured: dict[int, Measured] = {}
    pedestrians = PedestrianMatcher(truth, found, settings.min_height) if settings.miss_rate else None
    if settings.min_height:
        found = found.rows(tall_enough(found, settings.min_height))
    if settings.lvis:
        truth, found = federated(truth, found, settings.max_dets)
    groups: dict[int, list[int]] = {}
    for i, row in enumerate(rows):
        groups.setdefault(id(row.ignored), []).append(i)
    with ThreadPoolExecutor(1) as pool:
        # Beside the engine, which leaves Python's lock to others while it matches.
        hits = pool.submit(Hits.of, truth, found, settings.matched, score_thr=settings.score_thr)
        for group in groups.values():
            parts, ignored, size = [rows[i].images for i in group], rows[group[0]].ignored, rows[group[0]].size
            if ignored is not None:  # behind the annotations may be regions that LVIS's rules add
                ignored = np.pad(ignored, (0, len(truth.image) - len(ignored)))
            engine = ENGINES[settings.engine](
                truth, found, settings.matched, ignored=ignored, quiet=quiet, max_dets=settings.max_dets, size=size
            )
            scores = engine.scores(parts)
            frequencies = engine.frequency_scores(parts) if settings.lvis else [None] * len(parts)
            errors = count_errors(hits.result(), parts, ignored=ignored)
            accumulator = None
            if settings.bootstrap or settings.random_subsets or settings.per_class:
                accumulator = Accumulator.of(
                    truth, found, settings.matched, ignored=ignored, max_dets=settings.max_dets, size=size
                )
            of_pedestrians = pedestrians.row(ignored) if pedestrians and size is None else None
            for i, of_row, errors_of_row, by_frequency in zip(group, scores, errors, frequencies):
                measured[i] = Measured(
                    rows[i],
                    of_row,
                    errors=errors_of_row,
                    accumulator=accumulator,
                    pedestrians=of_pedestrians,
                    frequencies=by_frequency,
                )
    return [measured[i] for i in range(len(rows))]


def _bootstrap(
    truth: GroundTruth, measured: Sequence[Measured], settings: OcclusionSettings, index: int, quiet: bool
) -> np.ndarray | None:
    """Return bootstrap samples of a row, the same for all detectors, (count, detectors, scores); None without one.

    Behind the four of :class:`Scores` are MR-2 and JI where they are asked for.
    """
    row = measured[0].row
    if not settings.bootstrap or not row.has_ratios or row.counts(truth)['images'] < FEWEST:
        return None
    images_of_class = row.images_of_class(truth)
    if not len(images_of_class):
        return None
    kinds: list[list[Sampled]] = [[one.matches for one in measured]]
    if settings.miss_rate and row.size is None:
        kinds.append([one.pedestrians for one in measured if one.pedestrians])
    # A seed decides the samples, so that those of all scores are the same.
    samples = [
        bootstrap(
            detectors,
            row.images,
            count=settings.bootstrap,
            seed=(settings.seed, index, 0),
            title=f'bootstrap of {row.label}',
            quiet=quiet,
        )
        for detectors in kinds
    ]
    return widened(np.concatenate(samples, axis=2), images_of_class)


def _band(
    measured: Measured, pool: np.ndarray, settings: OcclusionSettings, index: int, quiet: bool
) -> dict[str, tuple[float, float, float]]:
    """Return where random subsets of the pool, as large as the bin, lie in each score; empty without a bin."""
    row = measured.row
    if not settings.random_subsets or not row.is_bin or not len(row.images):
        return {}
    subsets = random_subsets(
        measured.matches,
        pool,
        size=len(row.images),
        count=settings.random_subsets,
        seed=(settings.seed, index, 1),
        title=f'random subsets for {row.label}',
        quiet=quiet,
    )
    band = {}
    for score, column in zip(SCORES, subsets.T):
        low, high = middle(column)
        band[score] = low, float(np.nanmean(column)) if low == low else low, high
    return band


def _intervals(samples: np.ndarray, estimates: Sequence[float], least: float) -> dict[str, tuple[float, float]]:
    """The interval of each score, inside what a score or a difference of two can be."""
    intervals = {}
    for score, estimate, column in zip((*SCORES, *PEDESTRIAN_SCORES), estimates, samples.T):
        low, high = interval(column, estimate)
        intervals[score] = max(low, least), min(high, 1.0)
    return intervals
