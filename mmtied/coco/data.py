"""What is evaluated: ground truth and detections as checked columns.

Images and categories are known by their place in the order of their ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from .columns import Ids
from .lvis import Federation


@dataclass(frozen=True)
class Note:
    """What was left out of a file, or taken otherwise than it stands there.

    Attributes:
        kind: Such as 'unknown_image', for programs.
        count: Of how many entries.
        text: The sentence, for people.
    """

    kind: str
    count: int
    text: str


@dataclass(frozen=True)
class KeyValues:
    """What annotations or images have under a key of their own.

    Attributes:
        name: The key, or the column of a csv file.
        of_images: Whether images have the values; else annotations.
        numbers: Occlusion of each, from 0 up, or the index of its word, (images,) or (annotations,); NaN for none.
        words: The words in the order of their bins; () for numbers.
        given: The values as they were given, None for none.
        boxes: Whether they were given as boxes of what is visible.
        notes: What was left out or reinterpreted.
    """

    name: str
    of_images: bool
    numbers: np.ndarray
    words: tuple[str, ...]
    given: list[Any]
    boxes: bool = False
    notes: tuple[Note, ...] = ()


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
    """A checked COCO ground truth; rows of the arrays are annotations.

    Attributes:
        images: id, file_name, width and height of each, in the order of ids; file_name is '' and the size is left out
            where the file has none. Where masks are evaluated, all have a size.
        categories: id and name of each, in the order of ids.
        image: Index in ``images``, (n,).
        category: Index in ``categories``, (n,).
        bbox: x, y, width, height in pixels, (n, 4).
        area: In square pixels, that of the box where the file has none, (n,).
        sized: Whose area the file has, (n,) bool.
        iscrowd: (n,) bool.
        ignore: Annotations that neither count nor make a detection of theirs wrong, (n,) bool.
        segmentation: n run-length encodings or lists of polygons; None where no mask is needed.
        ids: Of the annotations as they are in the file, n; None for those without one.
        amodal: Invisible and amodal area of each annotation in square pixels, (n, 2), NaN for one without such masks;
            None where they are not needed.
        labels: Index in ``categories`` of each category of the file, which mmdet calls its label, (categories,).
        orphans: Number of annotations of images that the file does not list; left out, as the reference API does.
        values: What images or annotations have under a key; None where none was asked for.
        federation: Which classes each image was searched for, by LVIS's rules; None for all.
        notes: What else was left out or reinterpreted.
    """

    images: list[dict]
    categories: list[dict]
    image: np.ndarray
    category: np.ndarray
    bbox: np.ndarray
    area: np.ndarray
    sized: np.ndarray
    iscrowd: np.ndarray
    ignore: np.ndarray
    segmentation: list | None
    ids: list[Any]
    labels: np.ndarray
    orphans: int
    amodal: np.ndarray | None = None
    values: KeyValues | None = None
    federation: Federation | None = None
    notes: tuple[Note, ...] = ()

    @cached_property
    def image_ids(self) -> Ids:
        """What refers to an image."""
        return Ids(self.images)

    @cached_property
    def category_ids(self) -> Ids:
        """What refers to a category."""
        return Ids(self.categories)

    @property
    def searched(self) -> Federation:
        """``federation`` for where LVIS's rules are followed, and so must be there."""
        if self.federation is None:
            raise ValueError("LVIS's rules need to know which classes each image was searched for")
        return self.federation

    @property
    def uncounted(self) -> np.ndarray:
        """Annotations that are no instances to be found, crowd regions and ignored ones, (n,) bool."""
        return self.iscrowd | self.ignore

    def rows(self, chosen: np.ndarray) -> GroundTruth:
        """Return the same images with some of the annotations, and no values of a key.

        Args:
            chosen: Their rows, (n,) int.
        """
        return replace(
            self,
            image=self.image[chosen],
            category=self.category[chosen],
            bbox=self.bbox[chosen],
            area=self.area[chosen],
            sized=self.sized[chosen],
            iscrowd=self.iscrowd[chosen],
            ignore=self.ignore[chosen],
            segmentation=None if self.segmentation is None else [self.segmentation[row] for row in chosen],
            ids=[self.ids[row] for row in chosen],
            amodal=None if self.amodal is None else self.amodal[chosen],
            values=None,
        )


@dataclass(frozen=True)
class Detections(Entries):
    """Checked COCO results; rows of the arrays are detections.

    Attributes:
        image: Index in the images of the ground truth, (n,).
        category: Index in its categories, (n,).
        score: (n,).
        bbox: x, y, width, height in pixels, (n, 4); None where masks are evaluated.
        segmentation: n run-length encodings or lists of polygons; None where boxes are evaluated.
        area: Of the boxes or masks in square pixels, (n,); None where sizes are not looked at.
        notes: What was left out or reinterpreted.
    """

    image: np.ndarray
    category: np.ndarray
    score: np.ndarray
    bbox: np.ndarray | None
    segmentation: list | None
    area: np.ndarray | None = None
    notes: tuple[Note, ...] = ()

    def rows(self, chosen: np.ndarray) -> Detections:
        """Return some of the detections.

        Args:
            chosen: Which, (n,) bool.
        """
        if chosen.all():
            return self  # Millions of them need not be there twice.
        segmentation = self.segmentation
        if segmentation is not None:
            segmentation = [segmentation[row] for row in np.flatnonzero(chosen)]
        bbox = None if self.bbox is None else self.bbox[chosen]
        return Detections(
            self.image[chosen],
            self.category[chosen],
            score=self.score[chosen],
            bbox=bbox,
            segmentation=segmentation,
            area=None if self.area is None else self.area[chosen],
            notes=self.notes,
        )

    @classmethod
    def joined(cls, parts: Sequence[Detections]) -> Detections:
        """Return the detections of all parts, one behind the other; the notes are those of the first.

        Args:
            parts: Of one set, one or more.
        """
        return cls(
            np.concatenate([part.image for part in parts]),
            np.concatenate([part.category for part in parts]),
            score=np.concatenate([part.score for part in parts]),
            bbox=None if parts[0].bbox is None else np.concatenate([part.boxes for part in parts]),
            segmentation=None if parts[0].segmentation is None else [mask for part in parts for mask in part.masks],
            notes=parts[0].notes,
        )
