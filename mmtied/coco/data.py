"""What is evaluated: ground truth and detections as checked columns.

Images and categories are known by their index in the order of their ids.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class GroundTruth:
    """A checked COCO ground truth; rows of the arrays are annotations.

    Attributes:
        images: id, file_name, width and height (the size only where masks are evaluated) of each, in the order of ids.
        categories: id and name of each, in the order of ids.
        image: Index in ``images``, (n,).
        category: Index in ``categories``, (n,).
        bbox: x, y, width, height in pixels, (n, 4).
        iscrowd: (n,) bool.
        segmentation: n run-length encodings or lists of polygons; None where no mask is needed.
        labels: Index in ``categories`` of each category of the file, which mmdet calls its label, (categories,).
        orphans: Number of annotations of images that the file does not list; left out, as the reference API does.
    """

    images: list[dict]
    categories: list[dict]
    image: np.ndarray
    category: np.ndarray
    bbox: np.ndarray
    iscrowd: np.ndarray
    segmentation: list | None
    labels: np.ndarray
    orphans: int


@dataclass(frozen=True)
class Detections:
    """Checked COCO results; rows of the arrays are detections.

    Attributes:
        image: Index in the images of the ground truth, (n,).
        category: Index in its categories, (n,).
        score: (n,).
        bbox: x, y, width, height in pixels, (n, 4); None where masks are evaluated.
        segmentation: n run-length encodings or lists of polygons; None where boxes are evaluated.
    """

    image: np.ndarray
    category: np.ndarray
    score: np.ndarray
    bbox: np.ndarray | None
    segmentation: list | None

    def rows(self, chosen: np.ndarray) -> Detections:
        """Return some of the detections.

        Args:
            chosen: Which, (n,) bool.
        """
        segmentation = self.segmentation
        if segmentation is not None:
            segmentation = [segmentation[row] for row in np.flatnonzero(chosen)]
        bbox = None if self.bbox is None else self.bbox[chosen]
        return Detections(
            self.image[chosen], self.category[chosen], score=self.score[chosen], bbox=bbox, segmentation=segmentation
        )
