"""Sizes of instances and detections, by their areas as the reference API has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import hotcoco.mask
import numpy as np

from ..coco.data import Detections, GroundTruth
from ..coco.masks import to_rle

LARGEST = 1e5  # pixels, of the reference API's range of all sizes
FEW_INSTANCES = 50  # of a cell: fewer are greyed


@dataclass(frozen=True)
class Size:
    """A range of sizes, both ends in it, so that an instance on an edge is of both: that is how COCO has it.

    Attributes:
        lower, upper: The side in pixels of a square of the least and of the largest area.
    """

    lower: float
    upper: float

    @property
    def area_range(self) -> list[float]:
        """The least and the largest area in square pixels."""
        return [self.lower**2, self.upper**2]

    @property
    def label(self) -> str:
        """Such as '32 to 96', or '96 and up'."""
        return f'{self.lower:g} and up' if self.upper == LARGEST else f'{self.lower:g} to {self.upper:g}'

    def holds(self, areas: np.ndarray) -> np.ndarray:
        """Return which areas are of this size, (n,) bool.

        Args:
            areas: In square pixels, (n,).
        """
        least, most = self.area_range
        return (areas >= least) & (areas <= most)


def ranges(edges: Sequence[float]) -> list[Size]:
    """Return the sizes between ascending edges, and that from the last edge up."""
    return [Size(low, high) for low, high in pairwise((*edges, LARGEST))]


def detection_areas(found: Detections, truth: GroundTruth, iou_type: str) -> np.ndarray:
    """Return the area of each detection in square pixels, of its box or of its mask, (n,).

    Args:
        found: The detections.
        truth: Its images have sizes where masks are evaluated.
        iou_type: 'bbox' or 'segm'.
    """
    if iou_type == 'bbox':
        return found.boxes[:, 2:].prod(1)
    encoded = [to_rle(mask, truth.images[index]) for mask, index in zip(found.masks, found.image)]
    return hotcoco.mask.area(encoded).astype(np.float64)
