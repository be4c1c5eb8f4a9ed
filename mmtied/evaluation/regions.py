"""The boxes or masks of one image: their areas, and how much of each the others cover."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import hotcoco.mask
import numpy as np
from pycocotools import mask as rle

from .overlaps import meeting_boxes

DEFINITIONS = ('covered', 'union', 'pairwise', 'hybrid')
# Corners closer than this are one: x + w may miss the next box's x by a rounding error, which is no overlap.
DECIMALS = 6
LARGEST_GRID = 500  # boxes: beyond, a grid of all their corners takes more time and memory than its rows one by one
FEW_NEIGHBOURS = 16  # on average: beyond, unions of many masks are shared
ROWS = 256  # boxes whose pairs are looked at together


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
    if boxes is not None and masks is None:
        return Boxes(checked_boxes(boxes))
    if masks is not None and boxes is None:
        return Masks(checked_masks(masks))
    raise ValueError(f'definition={definition!r} needs either boxes or masks')


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
        self.low, self.high = corners(boxes)

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
        return self._scan()[0] if len(self) > LARGEST_GRID else covered_on_grid(self.low, self.high)

    def union(self) -> tuple[float, float]:
        """Return the area under two instances or more, and that of the union."""
        if len(self) > LARGEST_GRID:
            return self._scan()[1:]
        widths, heights, count = _grid(self.low, self.high)
        cells = widths.max(0)[:, None] * heights.max(0)
        return float(cells[count > 1].sum()), float(cells[count > 0].sum())

    def pairwise(self) -> tuple[float, float]:
        """Return the common area of all pairs together, and the sum of the areas."""
        common = 0.0
        for begin in range(0, len(self), ROWS):
            own = slice(begin, begin + ROWS)
            low = np.maximum(self.low[own, None], self.low)
            high = np.minimum(self.high[own, None], self.high)
            areas = (high - low).clip(0).prod(2)
            # Behind the diagonal each pair is once.
            common += np.triu(areas, begin + 1).sum()
        return float(common), float(self.areas().sum())

    def _scan(self) -> tuple[np.ndarray, float, float]:
        """Covered area of each box, area under two boxes or more, and area of the union, in memory for one row.

        The grid's rows one after the other: in each, the boxes that it crosses begin and end at columns, which are
        kept sorted for all rows.
        """
        count = len(self)
        columns = np.concatenate([self.low[:, 0], self.high[:, 0]])
        order = np.argsort(columns, kind='stable')
        columns, steps, owner = columns[order], np.where(order < count, 1, -1), order % count
        position = np.empty(2 * count, dtype=np.int64)
        position[order] = np.arange(2 * count)
        cuts = np.unique(np.concatenate([self.low[:, 1], self.high[:, 1]]))
        begins, ends = np.searchsorted(cuts, self.low[:, 1]), np.searchsorted(cuts, self.high[:, 1])
        starting, ending = np.argsort(begins, kind='stable'), np.argsort(ends, kind='stable')
        rows = np.arange(len(cuts))
        first_start, first_end = np.searchsorted(begins[starting], rows), np.searchsorted(ends[ending], rows)
        crossed = np.zeros(2 * count, dtype=bool)
        index = np.empty(2 * count, dtype=np.int64)
        covered, twice, once = np.zeros(count), 0.0, 0.0
        for row, height in enumerate(np.diff(cuts)):
            for boxes, state in (
                (starting[first_start[row] : first_start[row + 1]], True),
                (ending[first_end[row] : first_end[row + 1]], False),
            ):
                crossed[position[boxes]] = crossed[position[boxes + count]] = state
            found = np.flatnonzero(crossed)
            if not len(found):
                continue
            boxes_on, widths = np.cumsum(steps[found])[:-1], np.diff(columns[found])
            # Where no width is added, two of these sums are equal to the last bit.
            sums = np.concatenate([[0.0], np.cumsum(np.where(boxes_on > 1, widths, 0.0))])
            once += height * widths[boxes_on > 0].sum()
            if sums[-1] > 0:
                twice += height * sums[-1]
                index[found] = np.arange(len(found))
                boxes = owner[found[steps[found] > 0]]
                covered[boxes] += height * (sums[index[position[boxes + count]]] - sums[index[position[boxes]]])
        return covered, float(twice), float(once)


def corners(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and the upper corner of boxes (…, 4), both (…, 2)."""
    return np.round(boxes[..., :2], DECIMALS), np.round(boxes[..., :2] + boxes[..., 2:], DECIMALS)


def covered_on_grid(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the area of each box that the others of its image cover, (…, n).

    Args:
        low, high: Corners of the n boxes of each image, (…, n, 2).
    """
    widths, heights, count = _grid(low, high)
    # A box is covered where two boxes or more lie. All terms are sums of areas, so that none is exactly 0.
    return ((widths @ (count > 1)) * heights).sum(-1)


def _grid(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Widths of the columns and heights of the rows that each box spans, and the number of boxes on each cell."""
    spans = []
    for axis in (0, 1):
        # Equal cuts make cells without width, which count for nothing.
        cuts = np.sort(np.concatenate([low[..., axis], high[..., axis]], axis=-1), axis=-1)
        begins = cuts[..., None, :-1]
        spanned = (low[..., axis, None] <= begins) & (begins < high[..., axis, None])
        spans.append((spanned, spanned * np.diff(cuts)[..., None, :]))
    (columns, widths), (rows, heights) = spans
    return widths, heights, columns.astype(np.float32).swapaxes(-1, -2) @ rows.astype(np.float32)


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
        return areas_of(self.masks)

    def covered(self) -> np.ndarray:
        """Return the area of each instance that the others cover, (n,)."""
        if len(self) < 2:
            return np.zeros(len(self))
        covers = self.masks
        if self.boxes is not None:
            height, width = self.masks[0]['size']
            covers = rle.frPyObjects(self.boxes, height, width)
        neighbours = self._neighbours(covers)
        if sum(map(len, neighbours)) <= FEW_NEIGHBOURS * len(self):
            covered = np.zeros(len(self))
            for i, meeting in enumerate(neighbours):
                if len(meeting):
                    union = rle.merge([covers[k] for k in meeting])
                    covered[i] = areas_of([rle.merge([self.masks[i], union], intersect=True)])[0]
            return covered
        # The union of all before an instance and that of all behind it make the union of the others.
        before = list(accumulate(covers[:-1], _union))
        behind = list(accumulate(covers[:0:-1], _union))[::-1]
        others = [behind[0], *map(_union, before[:-1], behind[1:]), before[-1]]
        inside = [rle.merge([mask, other], intersect=True) for mask, other in zip(self.masks, others)]
        return areas_of(inside)

    def _neighbours(self, covers: Sequence[dict]) -> list[np.ndarray]:
        """Return, for each mask, the others whose boxes meet its box."""
        own, others = rle.toBbox(self.masks), rle.toBbox(list(covers))
        image = np.zeros(len(self))
        pairs = list(meeting_boxes(image, own, image, others))
        rows, columns = (np.concatenate(part) for part in zip(*pairs)) if pairs else (np.zeros(0, int),) * 2
        own_ends, other_ends = (boxes[:, :2] + boxes[:, 2:] for boxes in (own, others))
        low, high = np.maximum(own[rows, :2], others[columns, :2]), np.minimum(own_ends[rows], other_ends[columns])
        meet = (high > low).all(1) & (rows != columns)
        rows, columns = rows[meet], columns[meet]
        order = np.argsort(rows, kind='stable')
        return np.split(columns[order], np.searchsorted(rows[order], np.arange(1, len(self))))

    def union(self) -> tuple[float, float]:
        """Return the area under two instances or more, and that of the union."""
        union = float(areas_of([rle.merge(self.masks)])[0])
        once = float((self.areas() - self.covered()).sum())
        return union - once, union

    def pairwise(self) -> tuple[float, float]:
        """Return the common area of all pairs together, and the sum of the areas."""
        areas, common = self.areas(), 0.0
        for begin in range(0, len(self), ROWS):
            some = self.masks[begin : begin + ROWS]
            # For a crowd, the reference API divides the intersection by the area of the detection.
            shares = np.nan_to_num(rle.iou(some, self.masks, [1] * len(self)))
            # Behind the diagonal each pair is once.
            common += np.triu(np.round(shares * areas[begin : begin + ROWS, None]), begin + 1).sum()
        return float(common), float(areas.sum())


def areas_of(masks: Sequence[dict]) -> np.ndarray:
    """Return the area of each mask, (n,): pycocotools fails from 256 masks on with numpy 2."""
    return hotcoco.mask.area(list(masks)).astype(np.float64)


def _union(first: dict, second: dict) -> dict:
    return rle.merge([first, second])
