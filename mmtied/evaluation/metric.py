"""Occlusion evaluation in mmdet's val and test loops."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from .bins import OcclusionBins
from .coco_input import read_json
from .evaluate import IOU_TYPES, evaluate_occlusion


@METRICS.register_module()
class OcclusionMetric(CocoMetric):
    """mmdet's ``CocoMetric`` by occlusion: AP, AP50, AP75 and AR of all images and of every occlusion bin.

    The keys are ``occlusion/bbox_mAP``, ``_mAP_50``, ``_mAP_75`` and ``_AR`` for all images, and the same with
    ``_r0`` or ``_r0.2-0.4`` for a bin; likewise ``segm``. A bin without ground truth has -1, as in the reference API.
    Values are not rounded; all are at 100 detections an image.

    Args:
        metric: 'bbox', 'segm' or both. Defaults to 'bbox'.
        edges: Edges of the bins, see :class:`OcclusionBins`. Defaults to (0, 0, .2, .4, .6, .8, 1).
        **kwargs: ``ann_file``, ``format_only``, ``outfile_prefix``, ``prefix``, ``collect_device``,
            ``backend_args`` of ``CocoMetric``; without ``ann_file`` the ground truth is taken from the dataset.

    Raises:
        ValueError: If ``metric`` or ``edges`` is out of its range.
    """

    default_prefix = 'occlusion'

    def __init__(self, metric: str | list[str] = 'bbox', edges: Sequence[float] | None = None, **kwargs) -> None:
        super().__init__(metric=metric, **kwargs)
        if not set(self.metrics) <= set(IOU_TYPES):
            raise ValueError(f'OcclusionMetric: metric={metric!r} must be among {IOU_TYPES}')
        self.bins = OcclusionBins() if edges is None else OcclusionBins(tuple(edges))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Evaluate what :meth:`process` has collected; a table goes to the log."""
        logger = MMLogger.get_current_instance()
        gts, predictions = zip(*results)
        with tempfile.TemporaryDirectory() as folder:
            prefix = self.outfile_prefix or str(Path(folder) / 'results')
            if self._coco_api is None:
                self._coco_api = COCO(self.gt_to_coco_json(gts, prefix))
            if self.cat_ids is None:
                self.cat_ids = self._coco_api.get_cat_ids(cat_names=self.dataset_meta['classes'])
                self.img_ids = self._coco_api.get_img_ids()
            files = self.results2json(predictions, prefix)
            if self.format_only:
                logger.info(f'results are saved in {Path(prefix).parent}')
                return {}
            scores = {}
            for iou_type in self.metrics:
                found, _ = read_json(files[iou_type])
                result = evaluate_occlusion(self._ground_truth(), found, (iou_type,), self.bins)
                logger.info(f'\n{result}')
                scores |= self._keys(iou_type, result.scores[iou_type])
        return scores

    def _ground_truth(self) -> dict:
        """Return the ground truth of the classes that the dataset evaluates."""
        dataset = self._coco_api.dataset
        known = set(self.cat_ids)
        return {
            'images': dataset['images'],
            'categories': [category for category in dataset['categories'] if category['id'] in known],
            'annotations': [entry for entry in dataset['annotations'] if entry['category_id'] in known],
        }

    def _keys(self, iou_type: str, rows: list) -> dict[str, float]:
        edges = self.bins.edges
        names = [f'_r{low:g}' if low == high else f'_r{low:g}-{high:g}' for low, high in pairwise(edges)]
        keys = {}
        for name, row in zip(['', *names], rows):
            scores = {'mAP': row.AP, 'mAP_50': row.AP50, 'mAP_75': row.AP75, 'AR': row.AR}
            keys |= {f'{iou_type}_{score}{name}': value for score, value in scores.items()}
        return keys
