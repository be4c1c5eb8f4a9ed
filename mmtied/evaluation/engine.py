"""COCO matching, done once, and the scores of any part of the images from it.

Two engines that give the same numbers: hotcoco, and pycocotools, the reference API.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
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
        self.pieces = cut(truth, found, iou_type=iou_type, max_dets=max_dets)
        self.evaluation = hotcoco_evaluation(self.pieces.truth, self.pieces.found, iou_type=iou_type, ignored=ignored)
        # One range of areas and one limit of detections: no other score is read.
        params = self.evaluation.params
        params.area_rng = [size.area_range] if size else params.area_rng[:1]
        params.area_rng_lbl, params.max_dets = ['all'], [max_dets]
        self.evaluation.evaluate()

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
        return [Scores(*(_score(found[name]) for name in names)) for found in self._slices(parts)]

    def frequency_scores(self, parts: Sequence[np.ndarray]) -> list[FrequencyScores]:
        """Return AP of the rare, common and frequent classes of each part, by LVIS's rules.

        Args:
            parts: Indices of images, each in the order of the ids.
        """
        slices = self._slices(parts)
        return [FrequencyScores(*(_score(found[name]) for name in FREQUENCY_SCORES)) for found in slices]

    def _slices(self, parts: Sequence[np.ndarray]) -> list[dict[str, float]]:
        names = {str(i): (self.pieces.of(part) + 1).tolist() for i, part in enumerate(parts)}
        slices = self.evaluation.slice_by(names)
        return [slices[name] for name in names]


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

        self.pieces = cut(truth, found, iou_type=iou_type, max_dets=max_dets)
        truth, found = self.pieces.truth, self.pieces.found
        shape = {'segmentation': found.masks} if iou_type == 'segm' else {'bbox': found.boxes.tolist()}
        areas = _found_areas(found, iou_type).tolist()
        sets: tuple[dict[str, list], ...] = (
            {'bbox': truth.bbox.tolist(), 'area': _areas(truth, ignored).tolist()}
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


def hotcoco_evaluation(
    truth: GroundTruth, found: Detections, iou_type: str, ignored: np.ndarray | None = None
) -> hotcoco.COCOeval:
    """Return hotcoco's evaluation before it matches: image i is the one at index i - 1, likewise a category."""
    masks = iou_type == 'segm'
    gt = hotcoco.COCO.from_arrays(
        _numbered(truth.images),
        _numbered(truth.categories),
        truth.image + 1,
        truth.category + 1,
        truth.bbox,
        area=_areas(truth, ignored),
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


def _areas(truth: GroundTruth, ignored: np.ndarray | None) -> np.ndarray:
    """The areas of the annotations, beyond all sizes for those that do not count."""
    uncounted = truth.ignore & ~truth.iscrowd
    if ignored is not None:
        uncounted[: len(ignored)] |= ignored  # Behind them are only crowd regions.
    return np.where(uncounted, IGNORED_AREA, truth.area)


def _found_areas(found: Detections, iou_type: str) -> np.ndarray:
    """The areas of the detections; where sizes are not looked at any of masks, of which none has a negative one."""
    if found.area is not None:
        return found.area
    return np.ones(len(found.score)) if iou_type == 'segm' else found.boxes[:, 2:].prod(1)


def _mean(values: np.ndarray) -> float:
    """Return the mean of what is there, NaN if nothing is."""
    values = values[values > -1]
    return float(values.mean()) if values.size else float('nan')


def _score(value: float) -> float:
    return float(value) if value > -1 else float('nan')
