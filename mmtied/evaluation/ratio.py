"""Occlusion ratio of an image: total overlap area / total instance area.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Eq. 5. The publication leaves open what is counted as overlap. Here the overlap of an
instance is the part of its box that the union of the other boxes covers, which reaches all ratios from 0 to 1.
"""

from __future__ import annotations

import numpy as np

from .coco_input import GroundTruth

# Corners closer than this are one: x + w may miss the next box's x by a rounding error, which is no overlap.
DECIMALS = 6


def occlusion_ratio(boxes: np.ndarray) -> float:
    """Return sum_i area(B_i inside the union of the others) / sum_i area(B_i), the definition `covered`.

    Areas are exact (coordinate compression, no rasterising). Boxes of zero width or height have no area: they
    neither cover nor are covered.

    Args:
        boxes: Boxes (x, y, width, height) in pixels, as in COCO's json, of shape (n, 4).

    Returns:
        The ratio in [0, 1]. 0 for a single box and where all boxes have zero area; NaN where there is no box.

    Raises:
        ValueError: If the boxes are not of shape (n, 4), not finite, or of negative size.
    """
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.size == 0:
        return float('nan')
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f'boxes: shape {boxes.shape} must be (n, 4): x, y, width, height')
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        raise ValueError('boxes: all values must be finite, width and height not negative')
    low = np.round(boxes[:, :2], DECIMALS)
    high = np.round(boxes[:, :2] + boxes[:, 2:], DECIMALS)
    instance_area = (high - low).prod(1).sum()
    if instance_area == 0:
        return 0.0
    count, widths, heights = _grid(low, high)
    count[count == 1] = 0  # a cell under k >= 2 boxes is overlap of each of them
    return float(min(widths @ (count @ heights) / instance_area, 1.0))


def _grid(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cut the plane at every corner: how many boxes cover each cell, and the widths and heights of the cells."""
    xs, x = np.unique(np.concatenate([low[:, 0], high[:, 0]]), return_inverse=True)
    ys, y = np.unique(np.concatenate([low[:, 1], high[:, 1]]), return_inverse=True)
    (x0, x1), (y0, y1) = x.reshape(2, -1), y.reshape(2, -1)
    # Count by a difference array: +1 where a box begins, -1 behind its end, summed along both axes.
    count = np.zeros((len(xs), len(ys)), dtype=np.int32)
    for columns, rows, step in ((x0, y0, 1), (x1, y1, 1), (x0, y1, -1), (x1, y0, -1)):
        np.add.at(count, (columns, rows), step)
    count.cumsum(0, out=count).cumsum(1, out=count)
    return count[:-1, :-1], np.diff(xs), np.diff(ys)


def image_ratios(ground_truth: GroundTruth) -> np.ndarray:
    """Return the occlusion ratio of every image, in the order of the images, (images,).

    All classes count alike; crowd regions are left out, they are no instances. NaN for an image without instances.
    """
    image = ground_truth.image[~ground_truth.iscrowd]
    order = np.argsort(image, kind='stable')
    boxes = ground_truth.bbox[~ground_truth.iscrowd][order]
    places, starts = np.unique(image[order], return_index=True)
    ratios = np.full(len(ground_truth.images), np.nan)
    ratios[places] = [occlusion_ratio(rows) for rows in np.split(boxes, starts[1:])] if len(places) else []
    return ratios
