"""COCO matching, done once, and the scores of any part of the images from it.

Two engines that give the same numbers: hotcoco, and pycocotools, the reference API.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import hotcoco
import numpy as np
from tqdm import tqdm

from ..coco.data import Detections, GroundTruth
from ..coco.lvis import FREQUENCIES
from .pieces import cut
from .scores import FREQUENCY_SCORES, SCORES, FrequencyScores, Scores
from .sizes import Size

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
MAX_DETECTIONS = 100  # of a class and image, as in COCO
# The reference API ignores instances beyond its largest area and whatever matches them, in every size: that is how
# instances are left out of an evaluation without turning the detections of them into false positives.
IGNORED_AREA = 1e11
TOGETHER = 1_500_000  # detections that are matched together: hotcoco takes 270 bytes for each


class HotcocoEngine:
    """hotcoco: matching and scores in Rust.

    Args:
        truth, found: As ``mmtied.coco`` has checked them.
        iou_type: 'bbox' or 'segm'.
        ignored: Annotations that do not count, (n,) bool: neither they nor what matches them. Defaults to none but
            those that never count.
        max_dets: How many detections of a class and image count. Defaults to 100.
        size: Of the instances that count; detections of another one that match nothing do not count either. Those have
            areas then. Defaults to all.
        quiet: Whether to show no progress bar. Defaults to True.
    """

    def __init__(
        self,
        truth: GroundTruth,
        found: Detections,
        iou_type: str,
        ignored: np.ndarray | None = None,
        quiet: bool = True,
        max_dets: int = MAX_DETECTIONS,
        size: Size | None = None,
    ) -> None:
        self.pieces = cut(without(truth, ignored), found, iou_type=iou_type, max_dets=max_dets)
        self.iou_type, self.max_dets, self.size = iou_type, max_dets, size

    def scores(self, parts: Sequence[np.ndarray]) -> list[Scores]:
        """Return the scores of each part of the images.

        Args:
            parts: Indices of images, each in the order of the ids.

        Returns:
            Scores of each part, between 0 and 1; NaN where a part has no ground truth.
        """
        # What hotcoco calls recall at the last limit, whatever it is.
        recall = 'AR100' if self.pieces.truth.federation is None else 'AR@300'
        names = [recall if name == 'AR' else name for name in SCORES]
        truth, found = self.pieces.truth, self.pieces.found
        groups = classes_together(found, count=len(truth.categories))
        inside = [self.pieces.of(part) for part in parts]
        if len(groups) == 1 or truth.federation is not None:  # LVIS limits the detections of all classes together.
            return [Scores(*row) for row in means_of(self.evaluation, inside, names).tolist()]
        # The mean over all classes, of which each group has some.
        counted = ~truth.uncounted
        if self.size:
            counted &= self.size.holds(truth.area)
        present = np.zeros((len(truth.images), len(truth.categories)), dtype=bool)
        present[truth.image[counted], truth.category[counted]] = True
        sums, weights = np.zeros((len(parts), len(SCORES))), np.zeros((len(parts), 1))
        for classes in groups:
            of_group = np.flatnonzero(np.isin(truth.category, classes))
            evaluation = self._evaluate(truth.rows(of_group), found.rows(np.isin(found.category, classes)))
            counts = np.array([[present[part].any(0)[classes].sum()] for part in inside])
            sums += np.where(counts > 0, means_of(evaluation, inside, names), 0) * counts
            weights += counts
        return [Scores(*row) for row in (sums / np.where(weights > 0, weights, np.nan)).tolist()]

    def frequency_scores(self, parts: Sequence[np.ndarray]) -> list[FrequencyScores]:
        """Return AP of the rare, common and frequent classes of each part, by LVIS's rules.

        Args:
            parts: Indices of images, each in the order of the ids.
        """
        inside = [self.pieces.of(part) for part in parts]
        return [FrequencyScores(*row) for row in means_of(self.evaluation, inside, FREQUENCY_SCORES).tolist()]

    @cached_property
    def evaluation(self) -> hotcoco.COCOeval:
        """That of all classes."""
        return self._evaluate(self.pieces.truth, self.pieces.found)

    def _evaluate(self, truth: GroundTruth, found: Detections) -> hotcoco.COCOeval:
        evaluation = hotcoco_evaluation(truth, found, iou_type=self.iou_type)
        # One range of areas and one limit of detections: no other score is read.
        params = evaluation.params
        params.area_rng = [self.size.area_range] if self.size else params.area_rng[:1]
        params.area_rng_lbl, params.max_dets = ['all'], [self.max_dets]
        evaluation.evaluate()
        return evaluation


class PycocotoolsEngine:
    """pycocotools, the reference API: slower. The arguments and methods are those of :class:`HotcocoEngine`."""

    def __init__(
        self,
        truth: GroundTruth,
        found: Detections,
        iou_type: str,
        ignored: np.ndarray | None = None,
        quiet: bool = True,
        max_dets: int = MAX_DETECTIONS,
        size: Size | None = None,
    ) -> None:
        # Imported where it is used: it brings in the network libraries of its downloader.
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval

        self.pieces = cut(without(truth, ignored), found, iou_type=iou_type, max_dets=max_dets)
        truth, found = self.pieces.truth, self.pieces.found
        shape = {'segmentation': found.masks} if iou_type == 'segm' else {'bbox': found.boxes.tolist()}
        areas = _found_areas(found, iou_type).tolist()
        sets: tuple[dict[str, list], ...] = (
            {'bbox': truth.bbox.tolist(), 'area': _areas(truth).tolist()}
            | {'iscrowd': truth.iscrowd.astype(int).tolist()}
            | ({'segmentation': truth.masks} if iou_type == 'segm' else {}),
            {'score': found.score.tolist(), 'area': areas, 'iscrowd': [0] * len(found.score)} | shape,
        )
        apis = []
        for columns, source in zip(sets, (truth, found)):
            api = COCO()
            columns |= {'image_id': (source.image + 1).tolist(), 'category_id': (source.category + 1).tolist()}
            api.dataset = {
                'images': _numbered(truth.images),
                'categories': _numbered(truth.categories),
                'annotations': [dict(zip(columns, row), id=i) for i, row in enumerate(zip(*columns.values()), 1)],
            }
            apis.append(api)
        with contextlib.redirect_stdout(io.StringIO()):
            for api in apis:
                api.createIndex()
            self.evaluation = COCOeval(*apis, iou_type)
            params = self.evaluation.params
            params.maxDets = [max_dets]
            if size:
                params.areaRng, params.areaRngLbl = [size.area_range], ['all']
            # IoUs of each image and class, then matches in each range of areas.
            steps = len(params.imgIds) * len(params.catIds) * (1 + len(params.areaRng))
            with tqdm(desc='pycocotools', total=steps, disable=quiet, delay=1, leave=False) as bar:
                for name in ('computeIoU', 'evaluateImg'):
                    setattr(self.evaluation, name, _counted(getattr(self.evaluation, name), bar))
                self.evaluation.evaluate()
        params = self.evaluation.params
        evaluated = np.array(self.evaluation.evalImgs, dtype=object)
        self.evaluated = evaluated.reshape(len(params.catIds), len(params.areaRng), len(params.imgIds))

    def scores(self, parts: Sequence[np.ndarray]) -> list[Scores]:
        scores = []
        for precision, recall in self._accumulated(parts):
            at_50, at_75 = (precision[np.isclose(IOU_THRESHOLDS, threshold)] for threshold in (0.5, 0.75))
            scores.append(Scores(*map(_mean, (precision, at_50, at_75, recall))))
        return scores

    def frequency_scores(self, parts: Sequence[np.ndarray]) -> list[FrequencyScores]:
        frequency = self.pieces.truth.searched.frequency
        return [
            FrequencyScores(*(_mean(precision[..., frequency == group]) for group in FREQUENCIES))
            for precision, _ in self._accumulated(parts)
        ]

    def _accumulated(self, parts: Sequence[np.ndarray]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield precision (thresholds, recalls, classes) and recall (thresholds, classes) of each part."""
        evaluation, params = self.evaluation, self.evaluation.params
        for images in parts:
            part = self.pieces.of(images)
            # accumulate() reads the matches in the order of the images that evaluate() was given.
            evaluation.evalImgs = self.evaluated[:, :, part].ravel().tolist()
            params.imgIds = evaluation._paramsEval.imgIds = (part + 1).tolist()
            with contextlib.redirect_stdout(io.StringIO()):
                evaluation.accumulate()
            yield evaluation.eval['precision'][..., 0, -1], evaluation.eval['recall'][..., 0, -1]


ENGINES: dict[str, type[HotcocoEngine] | type[PycocotoolsEngine]] = {
    'hotcoco': HotcocoEngine,
    'pycocotools': PycocotoolsEngine,
}


def without(truth: GroundTruth, ignored: np.ndarray | None) -> GroundTruth:
    """Return a ground truth of which some annotations do not count, (n,) bool."""
    return truth if ignored is None else replace(truth, ignore=truth.ignore | ignored)


def means_of(evaluation: hotcoco.COCOeval, parts: Sequence[np.ndarray], names: Sequence[str]) -> np.ndarray:
    """Return scores over the classes of each part of the pieces, (parts, names); NaN without ground truth."""
    slices = evaluation.slice_by({str(i): (part + 1).tolist() for i, part in enumerate(parts)})
    means = np.array([[slices[str(i)][name] for name in names] for i in range(len(parts))], dtype=np.float64)
    means[means < 0] = np.nan
    return means.reshape(-1, len(names))


def classes_together(found: Detections, count: int) -> list[np.ndarray]:
    """Return the classes, 0 to ``count`` - 1, in runs of about ``TOGETHER`` detections."""
    per_class = np.bincount(found.category, minlength=count)
    begins = np.flatnonzero(np.diff((np.cumsum(per_class) - per_class) // TOGETHER)) + 1
    return np.split(np.arange(count), begins)


def hotcoco_evaluation(truth: GroundTruth, found: Detections, iou_type: str) -> hotcoco.COCOeval:
    """Return hotcoco's evaluation before it matches: image i is the one at index i - 1, likewise a category."""
    masks = iou_type == 'segm'
    gt = hotcoco.COCO.from_arrays(
        _numbered(truth.images),
        _numbered(truth.categories),
        truth.image + 1,
        truth.category + 1,
        truth.bbox,
        area=_areas(truth),
        iscrowd=truth.iscrowd.astype(np.int64),
        segmentation=truth.masks if masks else None,
    )
    rows = np.zeros((len(found.score), 7))
    rows[:, 0], rows[:, 5], rows[:, 6] = found.image + 1, found.score, found.category + 1
    if not masks:
        rows[:, 1:5] = found.boxes
    elif found.area is not None:
        rows[:, 3], rows[:, 4] = found.area, 1  # a box of the mask's area, for which alone it is looked at
    dt = gt.load_res(rows, segmentation=found.masks if masks else None)
    if truth.federation is None:
        return hotcoco.COCOeval(gt, dt, iou_type)
    # The limit of an image is kept already, before what is left out by these rules.
    return hotcoco.COCOeval(gt, dt.cap_detections_per_image(None), iou_type, lvis_style=True)


def _counted(function: Callable, bar: tqdm) -> Callable:
    """Return the function, which moves the bar on with each call."""

    def counted(*args: Any) -> Any:
        bar.update()
        return function(*args)

    return counted


def _numbered(entries: Sequence[dict]) -> list[dict]:
    """Known by their index, from 1: the engines differ in which ids they take."""
    return [entry | {'id': i} for i, entry in enumerate(entries, start=1)]


def _areas(truth: GroundTruth) -> np.ndarray:
    """The areas of the annotations, beyond all sizes for those that do not count."""
    return np.where(truth.ignore & ~truth.iscrowd, IGNORED_AREA, truth.area)


def _found_areas(found: Detections, iou_type: str) -> np.ndarray:
    """The areas of the detections; where sizes are not looked at any of masks, of which none has a negative one."""
    if found.area is not None:
        return found.area
    return np.ones(len(found.score)) if iou_type == 'segm' else found.boxes[:, 2:].prod(1)


def _mean(values: np.ndarray) -> float:
    """Return the mean of what is there, NaN if nothing is."""
    values = values[values > -1]
    return float(values.mean()) if values.size else float('nan')
