"""The boxes or masks of one image: their areas, and how much of each the others cover."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np
from pycocotools import mask as rle

DEFINITIONS = ('covered', 'union', 'pairwise', 'hybrid')
# Corners closer than this are one: x + w may miss the next box's x by a rounding error, which is no overlap.
DECIMALS = 6


def make_region(boxes: np.ndarray | None, masks: Sequence[dict] | None, definition: str) -> Boxes | Masks:
    """Return the instances of one image as the definition looks at them.

    Args:
        boxes, masks, definition: As :func:`~mmtied.evaluation.occlusion_ratio` takes them.

    Raises:
        ValueError: If one makes no sense, or the boxes or masks that the definition needs are missing.
    """
    if definition not in DEFINITIONS:
        raise ValueError(f'definition={definition!r} must be one of {DEFINITIONS}')
    if definition == 'hybrid':
        if boxes is None or masks is None:
            raise ValueError("definition='hybrid' needs both boxes and masks")
        return Masks(checked_masks(masks), checked_boxes(boxes, len(masks)))
    if (boxes is None) == (masks is None):
        raise ValueError(f'definition={definition!r} needs either boxes or masks')
    return Masks(checked_masks(masks)) if boxes is None else Boxes(checked_boxes(boxes))


def checked_boxes(boxes: np.ndarray, count: int | None = None) -> np.ndarray:
    """Return boxes as floats (n, 4); ``count`` is how many there must be."""
    boxes = np.asarray(boxes, dtype=np.float64)
    if boxes.size == 0:
        boxes = boxes.reshape(0, 4)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or count not in (None, len(boxes)):
        raise ValueError(f'boxes: shape {boxes.shape} must be ({"n" if count is None else count}, 4): x, y, w, h')
    if not np.isfinite(boxes).all() or (boxes[:, 2:] < 0).any():
        raise ValueError('boxes: all values must be finite, width and height not negative')
    return boxes


def checked_masks(masks: Sequence[dict]) -> list[dict]:
    """Return masks that are compressed run-length encodings of one size."""
    for mask in masks:
        if not isinstance(mask, dict) or not isinstance(mask.get('counts'), (str, bytes)) or 'size' not in mask:
            raise ValueError("masks: each must be a compressed run-length encoding, {'size': [H, W], 'counts': bytes}")
    if len({tuple(mask['size']) for mask in masks}) > 1:
        raise ValueError('masks: all must have the same size')
    return list(masks)


class Boxes:
    """The boxes of one image, on the grid that their corners cut the plane into."""

    def __init__(self, boxes: np.ndarray) -> None:
        self.boxes = boxes
        self.low = np.round(boxes[:, :2], DECIMALS)
        self.high = np.round(boxes[:, :2] + boxes[:, 2:], DECIMALS)

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: slice | np.ndarray) -> Boxes:
        return self if isinstance(rows, slice) else Boxes(self.boxes[rows])

    def areas(self) -> np.ndarray:
        """Return the area of each instance, (n,)."""
        return (self.high - self.low).prod(1)

    def covered(self) -> np.ndarray:
        """Return the area of each instance that the others cover, (n,)."""
        if len(self) < 2:
            return np.zeros(len(self))
        widths, heights, count = self._grid()
        # A box is covered where two boxes or more lie. All terms are sums of areas, so that none is exactly 0.
        return ((widths @ (count > 1)) * heights).sum(1)

    def union(self) -> tuple[float, float]:
        """Return the area under two instances or more, and that of the union."""
        widths, heights, count = self._grid()
        cells = widths.max(0)[:, None] * heights.max(0)
        return float(cells[count > 1].sum()), float(cells[count > 0].sum())

    def intersections(self) -> np.ndarray:
        """Return the common area of each pair, (n, n)."""
        low = np.maximum(self.low[:, None], self.low)
        high = np.minimum(self.high[:, None], self.high)
        return (high - low).clip(0).prod(2)

    def _grid(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Widths of the columns and heights of the rows that each box spans, and the number of boxes on each cell."""
        spans = []
        for axis in (0, 1):
            # Equal cuts make cells without width, which count for nothing.
            cuts = np.sort(np.concatenate([self.low[:, axis], self.high[:, axis]]))
            spanned = (self.low[:, axis, None] <= cuts[:-1]) & (cuts[:-1] < self.high[:, axis, None])
            spans.append((spanned, spanned * np.diff(cuts)))
        (columns, widths), (rows, heights) = spans
        return widths, heights, columns.T.astype(np.float32) @ rows.astype(np.float32)


class Masks:
    """The masks of one image. What covers them are the masks, or boxes where they are given."""

    def __init__(self, masks: Sequence[dict], boxes: np.ndarray | None = None) -> None:
        self.masks, self.boxes = list(masks), boxes

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, rows: slice | np.ndarray) -> Masks:
        if isinstance(rows, slice):
            return self
        return Masks([self.masks[row] for row in rows], None if self.boxes is None else self.boxes[rows])

    def areas(self) -> np.ndarray:
        """Return the area of each instance, (n,)."""
        return rle.area(self.masks).astype(np.float64)

    def covered(self) -> np.ndarray:
        """Return the area of each instance that the others cover, (n,)."""
        if len(self) < 2:
            return np.zeros(len(self))
        covers = self.masks
        if self.boxes is not None:
            height, width = self.masks[0]['size']
            covers = rle.frPyObjects(self.boxes, height, width)
        # The union of all before an instance and that of all behind it make the union of the others.
        before = list(accumulate(covers[:-1], _union))
        behind = list(accumulate(covers[:0:-1], _union))[::-1]
        others = [behind[0], *map(_union, before[:-1], behind[1:]), before[-1]]
        inside = [rle.merge([mask, other], intersect=True) for mask, other in zip(self.masks, others)]
        return rle.area(inside).astype(np.float64)

    def union(self) -> tuple[float, float]:
        """Return the area under two instances or more, and that of the union."""
        union = float(rle.area(rle.merge(self.masks)))
        once = float((self.areas() - self.covered()).sum())
        return union - once, union

    def intersections(self) -> np.ndarray:
        """Return the common area of each pair, (n, n)."""
        # For a crowd, the reference API divides the intersection by the area of the detection.
        shares = rle.iou(self.masks, self.masks, [1] * len(self))
        return np.round(np.nan_to_num(shares) * self.areas()[:, None])


def _union(first: dict, second: dict) -> dict:
    return rle.merge([first, second])
