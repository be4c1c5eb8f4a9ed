"""What is binned: the occlusion of images or of instances, computed, read under a key, or from amodal masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..coco.data import GroundTruth
from .bins import OcclusionBins, WordBins
from .ratio import image_ratios, instance_ratios
from .settings import AMODAL, OcclusionSettings


@dataclass(frozen=True)
class Binned:
    """Occlusion and the bins that it falls into.

    Attributes:
        bins: Of ratios or of words.
        images: Of each image, (images,); NaN for none. Where instances have a key it is that of the image's most
            occluded one.
        instances: Of each annotation, (annotations,), NaN for none; None where images are binned.
        without: Label of the row of what has none.
        lacking: Which annotations are instances and have none, though instances are binned, (annotations,) bool; None
            where that cannot be, and the row is of images.
    """

    bins: OcclusionBins | WordBins
    images: np.ndarray
    instances: np.ndarray | None = None
    without: str = 'no instances'
    lacking: np.ndarray | None = None

    @classmethod
    def of(cls, truth: GroundTruth, settings: OcclusionSettings, quiet: bool) -> Binned:
        """Return what is binned in a ground truth."""
        values = truth.values
        if values is not None:
            bins = WordBins(values.words) if values.words else settings.bins
            without = f'no {values.name}'
            if values.of_images:
                return cls(bins, values.numbers, without=without)
            instances, images = values.numbers, _largest(truth, values.numbers)
        else:
            bins, without = settings.bins, 'no instances'
            how = {'same_class': settings.same_class, 'ignored_occlude': settings.ignored_occlude, 'quiet': quiet}
            region = settings.region or 'bbox'  # hybrid uses both, whatever is given
            images = image_ratios(truth, settings.definition, region=region, **how)
            if settings.definition == AMODAL:
                without = 'no amodal mask'
            if not settings.per_instance:
                return cls(bins, images, without=without)
            instances = instance_ratios(truth, settings.definition, region=region, **how)
            if settings.definition != AMODAL:
                return cls(bins, images, instances=instances)
        lacking = np.isnan(instances) & ~truth.uncounted
        return cls(bins, images, instances=instances, without=without, lacking=lacking)

    @property
    def image_bins(self) -> np.ndarray:
        """Index of each image's bin, (images,); -1 for none."""
        return self.bins.assign(self.images)

    def members(self) -> list[np.ndarray]:
        """Return which images, or annotations where these are binned, each row holds, (n,) bool for each row."""
        return self.bins.members(self.images if self.instances is None else self.instances)

    def leaving_out(self, rows: np.ndarray) -> Binned:
        """Return the same without some of the instances, (annotations,) bool."""
        if self.instances is None:
            return self
        lacking = None if self.lacking is None else self.lacking & ~rows
        return replace(self, instances=np.where(rows, np.nan, self.instances), lacking=lacking)


def _largest(truth: GroundTruth, numbers: np.ndarray) -> np.ndarray:
    """Return the largest of each image's annotations, (images,); NaN for none."""
    largest = np.full(len(truth.images), -np.inf)
    known = ~np.isnan(numbers)
    np.maximum.at(largest, truth.image[known], numbers[known])
    return np.where(largest < 0, np.nan, largest)
