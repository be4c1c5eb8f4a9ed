"""What is evaluated: ground truth and detections as checked columns.

Images and categories are known by their index in the order of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


class Entries:
    """What a ground truth's annotations and a detector's detections have in common: the rows of their arrays."""

    image: np.ndarray
    category: np.ndarray
    bbox: np.ndarray | None
    segmentation: list | None

    @property
    def boxes(self) -> np.ndarray:
        """``bbox`` for where boxes are evaluated, and so must be there."""
        if self.bbox is None:
            raise ValueError('boxes are needed, but only masks were read')
        return self.bbox

    @property
    def masks(self) -> list:
        """``segmentation`` for where masks are evaluated, and so must be there."""
        if self.segmentation is None:
            raise ValueError('masks are needed, but only boxes were read')
        return self.segmentation


@dataclass(frozen=True)
class GroundTruth(Entries):
    """A checked COCO ground truth; rows of the arrays are annotations."""

    images: list[dict]  # id, file_name, width, height (the size only where masks are evaluated); in the order of ids
    categories: list[dict]  # id, name; in the order of ids
    image: np.ndarray  # (n,) index in `images`
    category: np.ndarray  # (n,) index in `categories`
    bbox: np.ndarray  # (n, 4) x, y, width, height
    iscrowd: np.ndarray  # (n,) bool
    segmentation: list | None  # (n,) RLE or polygons; None where no mask is needed
    labels: np.ndarray  # (categories,) index in `categories` of each category of the file: what mmdet calls its label
    orphans: int  # annotations of images that the file does not list; left out, as the reference API does


@dataclass(frozen=True)
class Detections(Entries):
    """Checked COCO results; rows of the arrays are detections."""

    image: np.ndarray  # (n,) index in the images of the ground truth
    category: np.ndarray  # (n,) index in its categories
    score: np.ndarray  # (n,)
    bbox: np.ndarray | None  # (n, 4) x, y, width, height; None where masks are evaluated
    segmentation: list | None  # (n,) RLE or polygons; None where boxes are evaluated

    def rows(self, chosen: np.ndarray) -> Detections:
        """Return some of the detections, chosen by (n,) bool."""
        segmentation = self.segmentation
        if segmentation is not None:
            segmentation = [segmentation[row] for row in np.flatnonzero(chosen)]
        bbox = None if self.bbox is None else self.bbox[chosen]
        return Detections(
            self.image[chosen], self.category[chosen], score=self.score[chosen], bbox=bbox, segmentation=segmentation
        )
