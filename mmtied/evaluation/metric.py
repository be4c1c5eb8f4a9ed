"""Occlusion evaluation in mmdet's val and test loops."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmengine.fileio import dump, load
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import METRICS
from mmengine.visualization import Visualizer

from ..coco.coco_json import check_ground_truth
from ..coco.lvis import NEGATIVE, NOT_EXHAUSTIVE, read_federation
from ..utils.figures import pixels
from .bins import SETUPS, OcclusionBins
from .engine import MAX_DETECTIONS
from .occlusion import evaluate_occlusion
from .result import OcclusionResult
from .scores import FREQUENCY_SCORES, PEDESTRIAN_SCORES, BinScores
from .settings import AMODAL, IOU_TYPES, OcclusionOptions, OcclusionSettings

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ['OcclusionMetric']

# What the evaluation calls otherwise than mmdet.
INSTEAD = {
    'iou_type': 'metric',
    'bins': 'edges, zero_bin, cumulative and citypersons',
    'per_class': 'classwise',
    'gate': 'mmtied occlusion --gate, on the results of two detectors',
}


class MetricOptions(OcclusionOptions, total=False):
    """The options of all evaluations that an :class:`OcclusionMetric` makes."""

    bins: OcclusionBins


@METRICS.register_module()
class OcclusionMetric(CocoMetric):
    """mmdet's ``CocoMetric`` by occlusion: AP, AP50, AP75 and AR of all images and of every occlusion bin.

    The keys are ``occlusion/bbox_mAP``, ``_mAP_50``, ``_mAP_75`` and ``_AR`` for all images, and the same with
    ``_r0`` or ``_r0.2-0.4`` for a bin (cumulative: ``_above0``, ``_from0.2``; of a word: ``_is_high``); likewise
    ``segm``. ``classwise`` adds ``occlusion/bbox_CLASS_precision`` and the same for each bin that has the class; signs
    in the name of a class or in a word that MLflow would refuse are ``_``. ``sizes`` adds ``_mAP_s0-32`` and so on, in
    a bin ``_mAP_r0.2-0.4_s0-32``. ``miss_rate`` adds ``occlusion/bbox_MR2`` and ``_JI``; with CityPersons' setups there
    is ``_MR2_reasonable`` and so on. A bin without ground truth has -1, as in the reference API. Values are not
    rounded; those of COCO are at ``max_dets`` detections of a class and image. Errors and intervals are in the log's
    table.

    mmengine's visualiser hands the values to its backends, such as TensorBoard, W&B and MLflow. They get the picture of
    the curve as well, ``occlusion_bbox.png``, by the iterations that were trained, as mmdet's own pictures.

    Args:
        ann_file: Ground truth. Defaults to None: taken from the dataset.
        metric: 'bbox', 'segm' or both. Defaults to 'bbox'.
        classwise: Whether to report each class, which :class:`~mmtied.evaluation.OcclusionSettings` calls
            ``per_class``. Defaults to False.
        edges, zero_bin, cumulative, citypersons: The bins, see :class:`~mmtied.evaluation.OcclusionBins`, which has
            their defaults.
        proposal_nums: The limits of detections that ``CocoMetric`` takes; ``max_dets`` is 100 if that is among them, as
            for its ``mAP``, else the largest. Defaults to None: as ``max_dets`` says.
        sort_categories: Whether an ``ann_file``'s categories are sorted by id, as in Objects365. Defaults to False.
        use_mp_eval: Taken for configs that have it; the scores are the same. Defaults to False.
        format_only, outfile_prefix, backend_args, collect_device, prefix: As in ``CocoMetric``.
        **options: Any other of :class:`~mmtied.evaluation.OcclusionSettings`, such as ``definition='hybrid'`` or
            ``bootstrap=1000``.

    Raises:
        ValueError: If an option is out of its range.
        TypeError: If there is no such option.
        InputError: If the ground truth cannot be evaluated; with an ``ann_file`` before anything is trained.
    """

    default_prefix = 'occlusion'
    # Of CocoMetric: None until they are known.
    _coco_api: Any
    cat_ids: Any

    def __init__(
        self,
        ann_file: str | None = None,
        metric: str | list[str] = 'bbox',
        classwise: bool = OcclusionSettings.per_class,
        edges: Sequence[float] = OcclusionBins.edges,
        zero_bin: bool = OcclusionBins.zero_bin,
        cumulative: bool = OcclusionBins.cumulative,
        citypersons: bool = OcclusionBins.citypersons,
        proposal_nums: Sequence[int] | None = None,
        sort_categories: bool = False,
        use_mp_eval: bool = False,
        format_only: bool = False,
        outfile_prefix: str | None = None,
        backend_args: dict | None = None,
        collect_device: str = 'cpu',
        prefix: str | None = None,
        **options: Unpack[OcclusionOptions],
    ) -> None:
        if not set([metric] if isinstance(metric, str) else metric) <= set(IOU_TYPES):
            raise ValueError(f'OcclusionMetric: metric={metric!r} must be among {IOU_TYPES}')
        unknown = set(options) - {field.name for field in fields(OcclusionSettings)} | set(options) & set(INSTEAD)
        if unknown:
            name = min(unknown)
            hint = f'; use {INSTEAD[name]}' if name in INSTEAD else ''
            raise TypeError(f'OcclusionMetric: there is no argument {name!r}{hint}')
        self.options: MetricOptions = {
            **options,
            'bins': OcclusionBins(tuple(edges), zero_bin, cumulative, citypersons),
            'per_class': classwise,
        }
        if proposal_nums is not None and 'max_dets' not in options:
            limits = [int(limit) for limit in proposal_nums]
            self.options['max_dets'] = MAX_DETECTIONS if MAX_DETECTIONS in limits else max(limits)
        settings = OcclusionSettings(**self.options)
        super().__init__(
            ann_file=ann_file,
            metric=metric,
            classwise=classwise,
            format_only=format_only,
            outfile_prefix=outfile_prefix,
            backend_args=backend_args,
            collect_device=collect_device,
            prefix=prefix,
            sort_categories=sort_categories,
            use_mp_eval=use_mp_eval,
        )
        if ann_file is not None:
            masks = settings.needs_masks or 'segm' in self.metrics
            amodal = settings.definition == AMODAL
            truth = check_ground_truth(self._coco_api.dataset, ann_file, masks, by=settings.key, amodal=amodal)
            settings.settled(self.metrics[0], truth.values)
            if settings.lvis:
                read_federation(self._coco_api.dataset, ann_file, truth.images, truth.categories)
        elif settings.keyed or settings.definition == AMODAL or settings.lvis:
            raise ValueError(
                'OcclusionMetric: by, by_file, lvis and amodal masks need an ann_file: datasets hand on no keys'
            )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Evaluate what ``process`` has collected; a table goes to the log.

        Args:
            results: Ground truth and prediction of every image, as ``CocoMetric`` collects them.

        Returns:
            The scores by their keys; nothing with ``format_only``.
        """
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
            scores: dict[str, float] = {}
            for iou_type in self.metrics:
                result = evaluate_occlusion(
                    self._ground_truth(), files[iou_type], iou_type, name='results', strict=False, **self.options
                )
                logger.info(f'\n{result}')
                names = list(result.all.per_class)
                classes = dict(zip(names, plain_names(names)))
                scores |= keys(iou_type, result.all, classes)
                for row, label in zip(result.bins, plain_names(row.label for row in result.bins)):
                    scores |= keys(iou_type, row, classes, label)
                self._show(result, iou_type)
        return scores

    def _show(self, result: OcclusionResult, iou_type: str) -> None:
        """Hand the picture of the curve to the backends of the run's visualiser; do nothing outside a run."""
        try:
            visualizer = Visualizer.get_current_instance()
        except RuntimeError:
            return
        # The hub counts from 0, and knows no iteration where nothing is trained.
        trained = MessageHub.get_current_instance().get_info('iter', -1) + 1
        # MLflow takes the format from the name's ending, and a folder may not be there.
        name = f'{self.prefix}_{iou_type}.png'.replace('/', '_')
        visualizer.add_image(name, pixels(result.plot()), trained)

    def gt_to_coco_json(self, gt_dicts: Sequence[dict], outfile_prefix: str) -> str:
        """Write the ground truth as ``CocoMetric`` does, where VOC's difficult objects are ignored, not crowd regions.

        Args:
            gt_dicts: Ground truth of every image, as ``process`` has collected it.
            outfile_prefix: Of the file.

        Returns:
            The file.
        """
        path = super().gt_to_coco_json(gt_dicts, outfile_prefix)
        if str(self.dataset_meta.get('dataset_type', '')).startswith('VOC'):
            content = load(path)
            for entry in content.get('annotations', []):
                entry['ignore'], entry['iscrowd'] = entry['iscrowd'], 0
            dump(content, path)
        return path

    def _ground_truth(self) -> dict:
        """Return the ground truth of the classes that the dataset evaluates."""
        dataset = self._coco_api.dataset
        known = set(self.cat_ids)
        return {
            'images': [searched_for(image, known) for image in dataset['images']],
            'categories': [category for category in dataset['categories'] if category['id'] in known],
            # mmdet leaves the key out where there is no annotation.
            'annotations': [entry for entry in dataset.get('annotations', []) if entry['category_id'] in known],
        }


def searched_for(image: dict, categories: set) -> dict:
    """Return an image of LVIS that was searched for some of its categories, any other as it is."""
    lists = {key: image[key] for key in (NEGATIVE, NOT_EXHAUSTIVE) if isinstance(image.get(key), list)}
    return image | {key: [category for category in ids if category in categories] for key, ids in lists.items()}


def keys(iou_type: str, row: BinScores, classes: Mapping[str, str], label: str = '') -> dict[str, float]:
    """Return the scores of a row under mmdet's names, -1 for NaN; those of classes under these names of theirs."""
    name = f'_is_{label}' if label else ''
    if row.lower is not None:
        name = f'_r{row.lower:g}' if row.lower == row.upper else f'_r{row.lower:g}-{row.upper:g}'
        if row.label in SETUPS:
            name = f'_{row.label}'
        for sign, word in (('>', 'above'), ('≥', 'from')):
            if row.label.startswith(sign):
                name = f'_{word}{row.lower:g}'
    scores = {f'mAP{name}': row.AP, f'mAP_50{name}': row.AP50, f'mAP_75{name}': row.AP75, f'AR{name}': row.AR}
    if row.pedestrians:
        scores |= {f'{score}{name}': row.pedestrians[score] for score in PEDESTRIAN_SCORES}
    if row.frequencies:
        scores |= {f'{score}{name}': row.frequencies[score] for score in FREQUENCY_SCORES}
    for cell in row.sizes:
        size = f'{name}_s{cell.size_lower:g}-{cell.size_upper:g}'
        scores |= {f'mAP{size}': cell.AP, f'mAP_50{size}': cell.AP50, f'mAP_75{size}': cell.AP75, f'AR{size}': cell.AR}
    scores |= {f'{classes[of_class]}_precision{name}': found.AP for of_class, found in row.per_class.items()}
    return {f'{iou_type}_{key}': -1.0 if value != value else value for key, value in scores.items()}


def plain_names(names: Iterable[str]) -> list[str]:
    """Return names of letters, digits, spaces, dots, dashes and underscores, which every logger takes; all differ."""
    plain: list[str] = []
    for name in names:
        short = re.sub(r'[^\w .-]', '_', name)
        while short in plain:
            short += '_'
        plain.append(short)
    return plain
