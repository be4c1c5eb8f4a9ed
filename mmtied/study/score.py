"""What is kept of a run's detections: scores of all images and of each bin, their resamples, partial boxes by image."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..evaluation import evaluate_occlusion
from ..evaluation.accumulator import Accumulator
from ..evaluation.errors import Hits, redundant_partials
from ..evaluation.resampling import bootstrap
from ..evaluation.scores import SCORES

RESAMPLES = 400
KEPT = ('AP', 'AP75')
# Scores are kept in hundredths of a point of AP, which makes the files small.
UNIT = 1e-4
SCORE_THR = 0.3  # of the partial boxes, as of the table of errors


def score_run(ground_truth: Path, results: Path) -> dict:
    """Return the scores of a run as json content.

    The resamples of a row are the same sets of images in every run, so runs can be compared resample by resample.
    """
    result = evaluate_occlusion(ground_truth, results, 'bbox')
    truth, found = result.ground_truth, result.detections
    accumulator = Accumulator.of(truth, found, 'bbox')
    parts = [np.arange(len(truth.images)), *(np.flatnonzero(result.image_bins == i) for i in range(len(result.bins)))]
    rows = []
    for i, (row, images) in enumerate(zip([result.all, *result.bins], parts)):
        samples = (
            bootstrap([accumulator], images, count=RESAMPLES, seed=(0, i), title=row.label)[:, 0]
            if len(images)
            else None
        )
        rows.append(
            {'label': row.label, 'images': row.images, 'instances': row.instances}
            | {'ratio': round(float(np.nanmean(result.ratios[images])), 4) if len(images) else None}
            | {score: whole(row.scores[score]) for score in KEPT}
            | {
                f'{score}_samples': [whole(value) for value in samples[:, SCORES.index(score)]]
                for score in KEPT
                if samples is not None
            }
        )
    shown = found.rows(found.score >= SCORE_THR)
    partial = shown.image[redundant_partials(Hits.of(truth, shown, 'bbox'))]
    return {
        'rows': rows,
        'shown_detections': len(shown.score),
        'partial': np.bincount(partial, minlength=len(truth.images)).tolist(),
    }


def whole(score: float) -> int | None:
    """Return a score from 0 to 1 in the unit of the files; None for NaN."""
    return None if score != score else round(float(score) / UNIT)
