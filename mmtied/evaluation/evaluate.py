"""AP and AP75 per occlusion bin, of any detector's results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from os import PathLike
from typing import Any

import numpy as np

from .bins import NO_INSTANCES, OcclusionBins
from .coco_input import Detections, GroundTruth, InputError, check_ground_truth, check_results, iou_types_of, read_json
from .engine import ALL, average_precisions
from .ratio import image_ratios

IOU_TYPES = ('bbox', 'segm')
FEW_IMAGES = 50


@dataclass(frozen=True)
class BinScores:
    """The scores of one bin. AP is averaged over IoU .50:.95; -1 where there is no ground truth."""

    bin: str
    images: int
    instances: int
    AP: float
    AP50: float
    AP75: float
    AR: float


@dataclass(frozen=True)
class OcclusionResult:
    """Scores per occlusion bin; ``print`` shows them as a table.

    Attributes:
        scores: By IoU type ('bbox', 'segm'), the whole set first, then the bins, then the images without instances.
        ratios: Occlusion ratio by image id, NaN for an image without instances.
        bins: The bins.
        ground_truth, detections: What was evaluated.
    """

    scores: dict[str, list[BinScores]]
    ratios: dict[int, float]
    bins: OcclusionBins
    ground_truth: GroundTruth = field(repr=False, compare=False)
    detections: Detections = field(repr=False, compare=False)

    def binned(self, iou_type: str) -> list[BinScores]:
        """Return the scores of the bins alone, in the order of the bins."""
        return self.scores[iou_type][1 : 1 + len(self.bins.labels)]

    def to_dict(self) -> dict[str, Any]:
        """Return the result as json content: edges, scores, and ratio and bin of every image."""
        index = self.bins.assign(self.ratios.values()).tolist()
        labels = (*self.bins.labels, NO_INSTANCES)  # -1 is the last
        images = [
            {'image_id': image_id, 'ratio': None if np.isnan(ratio) else ratio, 'bin': labels[i]}
            for (image_id, ratio), i in zip(self.ratios.items(), index)
        ]
        scores = {iou_type: [asdict(row) for row in rows] for iou_type, rows in self.scores.items()}
        return {'edges': list(self.bins.edges), 'scores': scores, 'images': images}

    def remarks(self) -> list[str]:
        """Say in words which bins are empty or too small to compare."""
        rows = self.binned(next(iter(self.scores)))
        empty = [row.bin for row in rows if not row.images]
        few = [f'{row.bin} ({row.images})' for row in rows if 0 < row.images < FEW_IMAGES]
        remarks = []
        if empty:
            remarks.append(f'No image falls into {", ".join(empty)}.')
        if few:
            remarks.append(
                f'Fewer than {FEW_IMAGES} images in {", ".join(few)}: interpolated AP rises as a bin gets small, so '
                'compare two detectors on one bin, not one detector across bins.'
            )
        return remarks

    def __str__(self) -> str:
        return '\n'.join([*self._table(), *self.remarks()])

    def _table(self) -> Iterator[str]:
        for iou_type, rows in self.scores.items():
            width = max(len('occlusion'), *(len(row.bin) for row in rows))
            yield f'{iou_type}, by the occlusion ratio of the image (covered / total box area)'
            yield f'{"occlusion":<{width}}  images  instances     AP   AP50   AP75     AR'
            for row in rows:
                scores = ''.join(
                    '      -' if v < 0 else f'{100 * v:7.1f}' for v in (row.AP, row.AP50, row.AP75, row.AR)
                )
                yield f'{row.bin:<{width}}  {row.images:6d}  {row.instances:9d}{scores}'
            yield ''


def evaluate_occlusion(
    ground_truth: str | PathLike | dict,
    results: str | PathLike | list[dict],
    iou_types: Sequence[str] | None = None,
    bins: OcclusionBins | None = None,
    engine: str = 'hotcoco',
) -> OcclusionResult:
    """Evaluate detections on all images and on the images of every occlusion bin.

    Args:
        ground_truth: COCO ground truth, as a path or as loaded json.
        results: COCO results (a list of detections), as a path or as loaded json.
        iou_types: 'bbox', 'segm' or both. Defaults to what the results hold.
        bins: Defaults to exactly 0, then steps of .2.
        engine: 'hotcoco' (default) or 'pycocotools', the reference API: same numbers, slower.

    Raises:
        InputError: If an input cannot be evaluated; the message names the file and the entry.
        ValueError: If an argument is out of its range.

    Example:
        >>> from mmtied.evaluation import evaluate_occlusion
        >>> image = dict(id=1, width=8, height=8)
        >>> truth = dict(image_id=1, category_id=1, bbox=[0, 0, 4, 4])
        >>> gt = dict(images=[image], categories=[dict(id=1)], annotations=[truth])
        >>> round(evaluate_occlusion(gt, [truth | dict(score=0.9)]).scores['bbox'][0].AP, 6)
        1.0
    """
    if engine not in ('hotcoco', 'pycocotools'):
        raise ValueError(f"engine={engine!r} must be 'hotcoco' or 'pycocotools'")
    bins = bins or OcclusionBins()
    found, found_name = read_json(results)
    iou_types = tuple(iou_types or iou_types_of(found))
    if not set(iou_types) <= set(IOU_TYPES):
        raise ValueError(f'iou_types={iou_types} must be among {IOU_TYPES}')
    truth, truth_name = read_json(ground_truth)
    truth = check_ground_truth(truth, truth_name, segm='segm' in iou_types)
    detections = check_results(found, found_name, truth, iou_types)
    if not truth.images:
        raise InputError(f"{truth_name}: 'images' is empty, so there is nothing to evaluate")

    ratios = image_ratios(truth)
    parts = bins.split(ratios)
    instance_images = truth.image_id[~truth.iscrowd]
    images = {ALL: list(ratios), **parts}
    scores = {}
    for iou_type in iou_types:
        by_part = average_precisions(truth, detections, iou_type, parts, engine)
        scores[iou_type] = [
            BinScores(name, len(ids), int(np.isin(instance_images, ids).sum()), **by_part[name])
            for name, ids in images.items()
        ]
    return OcclusionResult(scores, ratios, bins, truth, detections)
