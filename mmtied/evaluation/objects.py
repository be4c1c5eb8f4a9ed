"""A table with a row for each instance and each false positive: what was found, how well, and why not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from .errors import KINDS, MATCH_IOU, PARTIAL_IOU, Best, Hits, Kinds, hit_in_part
from .federated import counted
from .matching import Candidates
from .overlaps import find_overlaps
from .pieces import within_limit
from .ratio import instance_ratios
from .result import OcclusionComparison, OcclusionResult
from .sizes import detection_areas

IOUS = {50: 0.5, 75: 0.75}


def object_table(result: OcclusionResult | OcclusionComparison) -> dict[str, list]:
    """Return a table as columns of equal length: a row for each instance, behind them one for each false positive.

    Crowd regions and ignored annotations have none. The columns:

    - ``detector``; ``kind``, 'instance' or 'false positive'; ``image_id``, ``file_name``, ``class``;
    - ``annotation_id``: of the instance; of a false positive that of the one which its error is about, None for none;
    - ``x``, ``y``, ``width``, ``height``: the box of the instance or of the false positive, None for a mask's;
    - ``area`` in square pixels and ``size``, the side of a square of it: as of ``sizes``;
    - ``occlusion``: of the instance itself, by the key or by the definition, `covered` where that is of images alone;
      ``image_occlusion`` and ``bin``: as binned;
    - ``detection``, ``iou``, ``score``: place among the evaluated detections, IoU and score of the detection of the
      class that overlaps an instance most, from IoU .1; of a false positive its own, and the IoU with that instance;
    - ``matched_50``, ``matched_75``: whether a detection matches the instance, as AP and AR count it, at an IoU;
      ``score_50``, ``score_75``: its score. What is left above a score is what only the detections above it match;
    - ``error``: at IoU .5, of the detections from ``score_thr`` up, as the table of errors has them: of an instance ''
      if it is found, else 'localisation' or 'classification' if it would be with a better box or the right class, else
      'missed'; of a false positive 'localisation', 'classification', 'duplicate', 'both' or 'background';
    - ``only_partial``: whether detections of its class from ``score_thr`` up only hit the instance in part.

    Args:
        result: What :func:`evaluate_occlusion` or :func:`compare_occlusion` returned.

    Example:
        >>> from mmtied.evaluation import evaluate_occlusion, object_table
        >>> truth = dict(id=7, image_id=1, category_id=1, bbox=[0, 0, 4, 4])
        >>> gt = dict(images=[dict(id=1)], categories=[dict(id=1)], annotations=[truth])
        >>> table = object_table(evaluate_occlusion(gt, [truth | dict(bbox=[0, 0, 4, 3], score=0.9)]))
        >>> table['annotation_id'], table['iou'], table['matched_50'], table['error']
        ([7], [0.75], [True], [''])
    """
    tables = [_of_detector(one) for one in result.models]
    return {name: [value for table in tables for value in table[name]] for name in tables[0]}


def _of_detector(result: OcclusionResult) -> dict[str, list]:
    index: np.ndarray = np.arange(len(result.detections.score))
    if result.settings.lvis:
        index = np.flatnonzero(counted(result.ground_truth, result.detections, result.settings.max_dets))
        truth, found = result.judged
        result = replace(result, ground_truth=replace(truth, values=result.ground_truth.values), detections=found)
    truth, settings = result.ground_truth, result.settings
    rows = np.flatnonzero(~truth.uncounted)
    hits = Hits.of(truth, result.detections, settings.matched, score_thr=settings.score_thr)
    kept = np.flatnonzero(result.detections.score >= settings.score_thr)
    kinds = Kinds.of(hits, truth.uncounted)
    wrong = np.flatnonzero(kinds.found >= 0)
    nearest = kinds.nearest[wrong].tolist()
    boxes = truth.bbox[rows]
    false_boxes = np.full((len(wrong), 4), np.nan) if hits.found.bbox is None else hits.found.bbox[wrong]
    areas = np.concatenate([truth.area[rows], _areas(result)[kept[wrong]]])
    occlusion = _occlusion(result)
    best = _best_detections(result)
    image = np.concatenate([truth.image[rows], hits.found.image[wrong]])
    category = np.concatenate([truth.category[rows], hits.found.category[wrong]])
    nothing = [None] * len(wrong)
    table: dict[str, Any] = {
        'detector': [result.name] * len(image),
        'kind': ['instance'] * len(rows) + ['false positive'] * len(wrong),
        'image_id': [truth.images[index]['id'] for index in image],
        'file_name': [truth.images[index]['file_name'] for index in image],
        'annotation_id': [truth.ids[row] for row in rows] + [truth.ids[row] if row >= 0 else None for row in nearest],
        'class': [truth.categories[index]['name'] for index in category],
    }
    for i, name in enumerate(('x', 'y', 'width', 'height')):
        table[name] = _or_none(np.concatenate([boxes[:, i], false_boxes[:, i]]))
    table |= {'area': _or_none(areas), 'size': _or_none(np.sqrt(areas.clip(0)))}
    words = truth.values.words if truth.values is not None else ()
    of_instances = words if truth.values is not None and not truth.values.of_images else ()
    table['occlusion'] = _named(occlusion[rows], of_instances) + nothing
    table['image_occlusion'] = _named(result.ratios[image], words)
    table['bin'] = _bins(result, rows, image)
    own = [int(index[row]) if row >= 0 else None for row in best.truth[rows].tolist()]
    table['detection'] = own + index[kept[wrong]].tolist()
    iou = np.where(kinds.nearest >= 0, kinds.iou, np.nan)[wrong]
    table['iou'] = _or_none(np.concatenate([np.where(best.truth >= 0, best.iou, np.nan)[rows], iou]))
    scores = np.append(result.detections.score, np.nan)  # The last is for the -1 of those without a detection.
    table['score'] = _or_none(np.concatenate([scores[best.truth[rows]], hits.found.score[wrong]]))
    for percent, of_match in _matched(result).items():
        table[f'matched_{percent}'] = (~np.isnan(of_match[rows])).tolist() + [False] * len(wrong)
        table[f'score_{percent}'] = _or_none(of_match[rows]) + nothing
    names = np.array([*KINDS, ''])  # The last is for the -1 of what is no error.
    table['error'] = names[kinds.truth[rows]].tolist() + names[kinds.found[wrong]].tolist()
    table['only_partial'] = hit_in_part(hits)[rows].tolist() + [False] * len(wrong)
    return table


def _occlusion(result: OcclusionResult) -> np.ndarray:
    """Return the occlusion of each annotation itself, or the index of its word, (annotations,); NaN for none."""
    settings = result.settings
    if result.instance_ratios is not None:
        return result.instance_ratios
    definition = settings.definition if settings.definition in ('hybrid', 'amodal') else 'covered'
    return instance_ratios(
        result.ground_truth,
        definition,
        region=settings.region or 'bbox',
        same_class=settings.same_class,
        ignored_occlude=settings.ignored_occlude,
    )


def _bins(result: OcclusionResult, rows: np.ndarray, image: np.ndarray) -> list[str | None]:
    """Return the label of the bin of each instance, then of each false positive, which has one where images do."""
    labels = [*(row.label for row in result.bins), result.unassigned.label]  # -1 is the last
    if result.instance_ratios is None:
        return [labels[index] for index in result.image_bins[image]]
    bins = result.all_bins.assign(result.instance_ratios[rows])
    return [*(labels[index] for index in bins), *([None] * (len(image) - len(rows)))]


def _areas(result: OcclusionResult) -> np.ndarray:
    found = result.detections
    return detection_areas(found, result.ground_truth, result.settings.matched) if found.area is None else found.area


def _best_detections(result: OcclusionResult) -> Best:
    """Return the detection of its class that overlaps each annotation most, of equal ones that of the higher score.

    Their rows stand where :class:`Best` has those of instances, (annotations,).
    """
    truth, found = result.ground_truth, result.detections
    pairs = find_overlaps(truth, found, result.settings.matched, least=PARTIAL_IOU)
    pairs = pairs.part(
        (found.category[pairs.found] == truth.category[pairs.truth])
        & within_limit(found, result.settings.max_dets)[pairs.found]
    )
    order = np.lexsort((-pairs.found, found.score[pairs.found], pairs.iou))  # Of an index, the last value stays.
    best, iou = np.full(len(truth.image), -1), np.zeros(len(truth.image))
    best[pairs.truth[order]], iou[pairs.truth[order]] = pairs.found[order], pairs.iou[order]
    return Best(best, iou)


def _matched(result: OcclusionResult) -> dict[int, np.ndarray]:
    """Return the score of the detection that matches each annotation, (annotations,), at each IoU; NaN for none."""
    truth, found, settings = result.ground_truth, result.detections, result.settings
    found = found.rows(within_limit(found, settings.max_dets))
    candidates = Candidates(truth, found, find_overlaps(truth, found, settings.matched, MATCH_IOU), MATCH_IOU)
    scores = {}
    for percent, iou in IOUS.items():
        matches = candidates.match(iou, truth.uncounted)
        scores[percent] = np.full(len(truth.image), np.nan)
        scores[percent][matches.truth[matches.right]] = found.score[matches.right]
    return scores


def _named(values: np.ndarray, words: tuple[str, ...]) -> list:
    """Return numbers, or the words that they are indices of; None for NaN."""
    return [None if value is None else words[int(value)] if words else value for value in _or_none(values)]


def _or_none(values: np.ndarray) -> list:
    return [None if value != value else value for value in values.tolist()]
