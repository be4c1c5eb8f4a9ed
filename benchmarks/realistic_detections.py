"""Detections of two detectors that fail as real ones do: in whole images, in hard classes, and at what is small.

What is hard is hard for both, so that their scores rise and fall together from set to set. An instance that is hard is
found less often, with a lower score, further off, and more often under a wrong name; false detections crowd in hard
images. Of COCO val2017's boxes the first has AP / AP50 / AP75 of about 39 / 63 / 44.
"""

from __future__ import annotations

import numpy as np

LIKELY = 0.6  # share of false detections that are of a class that the image shows


def detections(truth: dict, detector: int, seed: int = 0) -> list[dict]:
    """Return the detections of a detector.

    Args:
        truth: A COCO ground truth.
        detector: Which one, from 0; each further one is a little better.
        seed: Of what both have in common.
    """
    common, own = np.random.default_rng([seed, 7]), np.random.default_rng([seed, 7, detector + 1])
    annotations = [entry for entry in truth['annotations'] if not entry.get('iscrowd')]
    images, categories = ([entry['id'] for entry in truth[key]] for key in ('images', 'categories'))
    positions = [{id_: i for i, id_ in enumerate(ids)} for ids in (images, categories)]
    image = np.array([positions[0][entry['image_id']] for entry in annotations])
    category = np.array([positions[1][entry['category_id']] for entry in annotations])
    boxes = np.array([entry['bbox'] for entry in annotations], dtype=float)
    of_image = common.normal(0, 0.8, len(images))
    size = np.sqrt(boxes[:, 2:].prod(1)).clip(4, 400)
    hard = of_image[image] + common.normal(0, 0.7, len(categories))[category] + 0.6 * np.log(64 / size)
    hard += common.normal(0, 0.8, len(boxes)) - 1 - 0.2 * detector

    def near(rows: np.ndarray, harder: float, lower: float) -> tuple[np.ndarray, ...]:
        """Image, category, score and box of a detection of each instance, and how sure it is."""
        logit = -(hard[rows] + harder + own.normal(0, 0.6, len(rows)))
        sure = 1 / (1 + np.exp(-logit))
        error = (0.03 + 0.16 * (1 - sure))[:, None]
        low, sides = boxes[rows, :2], boxes[rows, 2:]
        centre = low + sides / 2 + error * own.normal(size=sides.shape) * sides
        sides = sides * np.exp(error * own.normal(size=sides.shape))
        score = 1 / (1 + np.exp(-(logit - lower + own.normal(0, 0.6, len(rows)))))
        wrong = own.random(len(rows)) < 0.06 + 0.15 * (1 - sure)
        named = category[rows]
        named[wrong] = own.integers(0, len(categories), wrong.sum())
        return image[rows], named, score, np.concatenate([centre - sides / 2, sides], axis=1), sure

    every = np.arange(len(boxes))
    *found, sure = near(every, harder=0, lower=0)
    seen = own.random(len(boxes)) < (0.25 + 1.1 * sure).clip(max=1)
    *again, _ = near(every[own.random(len(boxes)) < 0.25], harder=0.8, lower=1.2)
    where = np.repeat(np.arange(len(images)), own.poisson(4 * np.exp(0.5 * of_image)))
    shown = np.full(len(images), -1)
    shown[image] = category
    named = own.integers(0, len(categories), len(where))
    likely = (own.random(len(where)) < LIKELY) & (shown[where] >= 0)
    named[likely] = shown[where[likely]]
    places = own.uniform((0, 0, 8, 8), (500, 380, 200, 180), (len(where), 4))
    false = (where, named, own.beta(1, 5, len(where)), places)
    columns = [np.concatenate(parts) for parts in zip([part[seen] for part in found], again, false)]
    return [
        {'image_id': images[i], 'category_id': categories[k], 'score': score, 'bbox': box}
        for i, k, score, box in zip(
            columns[0].tolist(),
            columns[1].tolist(),
            columns[2].clip(0.001, 0.999).round(5).tolist(),
            columns[3].round(2).tolist(),
        )
    ]
