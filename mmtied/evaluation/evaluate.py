"""AP and AP75 per occlusion bin, of any detector's results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from .bins import OcclusionBins
from .coco_input import Detections, GroundTruth, check_ground_truth, check_results, iou_type_of, read_json
from .engine import ENGINES, SCORES, average_precisions
from .ratio import image_ratios

IOU_TYPES = ('bbox', 'segm')
FEW_IMAGES = 50


@dataclass(frozen=True)
class BinScores:
    """The scores of one bin, between 0 and 1; AP is averaged over IoU .50:.95. NaN where there is no ground truth."""

    label: str
    lower: float | None
    upper: float | None
    images: int
    instances: int
    classes: int
    AP: float
    AP50: float
    AP75: float
    AR: float

    def to_dict(self) -> dict[str, Any]:
        """Return the row as json content: None for NaN."""
        return {key: None if value != value else value for key, value in asdict(self).items()}


@dataclass(frozen=True)
class OcclusionResult:
    """Scores per occlusion bin; ``print`` shows them as a table.

    Attributes:
        all: The scores of the whole set, those of an ordinary COCO evaluation.
        bins: The scores of each bin.
        unassigned: The row of the images without instances, which have no occlusion ratio.
        settings: What was evaluated how: ``iou_type``, ``definition``, ``region``, ``edges``, ``zero_bin``, ``engine``.
        ratios: Occlusion ratio of each image in the order of the ids, (images,); NaN without instances.
        image_bins: Place of each image's bin, (images,); -1 without instances.
        ground_truth, detections: What was evaluated.
    """

    all: BinScores
    bins: list[BinScores]
    unassigned: BinScores
    settings: dict[str, Any]
    ratios: np.ndarray = field(repr=False, compare=False)
    image_bins: np.ndarray = field(repr=False, compare=False)
    ground_truth: GroundTruth = field(repr=False, compare=False)
    detections: Detections = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return scores and settings as json content."""
        return {
            'all': self.all.to_dict(),
            'bins': [row.to_dict() for row in self.bins],
            'unassigned': self.unassigned.to_dict(),
            'settings': self.settings,
        }

    def manifest(self) -> Iterator[tuple[Any, float | None, str]]:
        """Yield image id, occlusion ratio (None without instances) and label of the bin, for every image."""
        labels = [*(row.label for row in self.bins), self.unassigned.label]  # -1 is the last
        for image, ratio, place in zip(self.ground_truth.images, self.ratios.tolist(), self.image_bins):
            yield image['id'], None if ratio != ratio else ratio, labels[place]

    def remarks(self) -> list[str]:
        """Say in words what was left out, and which bins are empty or too small to compare."""
        remarks = []
        if self.ground_truth.orphans:
            remarks.append(f'{self.ground_truth.orphans} annotations belong to no listed image and are left out.')
        if self.ground_truth.iscrowd.any():
            remarks.append(f'{self.ground_truth.iscrowd.sum()} crowd regions are no instances and do not occlude.')
        empty = [row.label for row in self.bins if not row.images]
        if empty:
            remarks.append(f'No image falls into {", ".join(empty)}.')
        few = [f'{row.label} ({row.images})' for row in self.bins if 0 < row.images < FEW_IMAGES]
        if few:
            remarks.append(
                f'Fewer than {FEW_IMAGES} images in {", ".join(few)}: interpolated AP rises as a bin gets small, so '
                'compare two detectors on one bin, not one detector across bins.'
            )
        return remarks

    def __str__(self) -> str:
        rows = [self.all, *self.bins, *([self.unassigned] if self.unassigned.images else [])]
        width = max(len('occlusion'), *(len(row.label) for row in rows))
        lines = [
            f'{self.settings["iou_type"]}, by the occlusion ratio of the image (covered / total box area)',
            f'{"occlusion":<{width}}  images  instances  classes' + ''.join(f'{name:>7}' for name in SCORES),
        ]
        for row in rows:
            scores = (getattr(row, name) for name in SCORES)
            lines.append(
                f'{row.label:<{width}}  {row.images:6d}  {row.instances:9d}  {row.classes:7d}'
                + ''.join('      -' if score != score else f'{100 * score:7.1f}' for score in scores)
            )
        return '\n'.join([*lines, '', *self.remarks()])


def evaluate_occlusion(
    ground_truth: str | PathLike | dict | GroundTruth,
    results: str | PathLike | list[dict],
    iou_type: str | None = None,
    bins: OcclusionBins | None = None,
    engine: str = 'hotcoco',
    strict: bool = True,
) -> OcclusionResult:
    """Evaluate detections on all images and on the images of every occlusion bin.

    Args:
        ground_truth: COCO ground truth, as a path, as loaded json, or checked already.
        results: COCO results (a list of detections), as a path or as loaded json.
        iou_type: 'bbox' or 'segm'. Defaults to 'segm' for results with masks and without boxes, else 'bbox'.
        bins: Defaults to exactly 0, then steps of .2.
        engine: 'hotcoco' (default) or 'pycocotools', the reference API: same numbers, slower.
        strict: Whether scores outside [0, 1] and boxes of negative size are errors. Defaults to True.

    Raises:
        InputError: If an input cannot be evaluated; the message names the file and the entry.
        ValueError: If an argument is out of its range.

    Example:
        >>> from mmtied.evaluation import evaluate_occlusion
        >>> truth = dict(image_id=1, category_id=1, bbox=[0, 0, 4, 4])
        >>> gt = dict(images=[dict(id=1)], categories=[dict(id=1)], annotations=[truth])
        >>> round(evaluate_occlusion(gt, [truth | dict(score=0.9)]).all.AP, 6)
        1.0
    """
    if engine not in ENGINES:
        raise ValueError(f'engine={engine!r} must be one of {ENGINES}')
    if iou_type not in (None, *IOU_TYPES):
        raise ValueError(f'iou_type={iou_type!r} must be one of {IOU_TYPES}')
    bins = bins or OcclusionBins()
    found, found_name = read_json(results, 'results')
    iou_type = iou_type or iou_type_of(found)
    truth = ground_truth
    if not isinstance(truth, GroundTruth):
        truth = check_ground_truth(*read_json(ground_truth, 'ground truth'), iou_type)
    detections = check_results(found, found_name, truth, iou_type, strict)

    ratios = image_ratios(truth)
    image_bins = bins.assign(ratios)
    groups = [('all', None, None, np.arange(len(ratios)))]
    for place, (label, limits) in enumerate(zip(bins.labels, bins.limits)):
        groups.append((label, *limits, np.flatnonzero(image_bins == place)))
    groups.append(('no instances', None, None, np.flatnonzero(image_bins == -1)))
    scores = average_precisions(truth, detections, [images for *_, images in groups], engine)
    rows = []
    for (*label_and_limits, images), part in zip(groups, scores):
        inside = np.isin(truth.image, images) & ~truth.iscrowd
        classes = len(np.unique(truth.category[inside]))
        rows.append(BinScores(*label_and_limits, len(images), int(inside.sum()), classes, **part))
    settings = {
        'iou_type': iou_type,
        'definition': 'covered',
        'region': 'bbox',
        'edges': list(bins.edges),
        'zero_bin': bins.zero_bin,
        'engine': engine,
    }
    return OcclusionResult(rows[0], rows[1:-1], rows[-1], settings, ratios, image_bins, truth, detections)
