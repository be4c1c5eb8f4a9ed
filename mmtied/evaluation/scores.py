"""What is known of a bin: its scores, its errors, its intervals. Plain numbers, for tables, curves and files."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from ..utils.json_content import without_nan

SCORES = ('AP', 'AP50', 'AP75', 'AR')
# What intervals, bands and classes are shown of: the publication's two measures.
SHOWN = ('AP', 'AP75')


@dataclass(frozen=True)
class ClassScores:
    """Scores of one class, between 0 and 1.

    Attributes:
        AP, AP75: As in :class:`BinScores`.
    """

    AP: float
    AP75: float


@dataclass(frozen=True)
class Errors:
    """The errors of a bin's detections from a score up, at IoU .5; kinds as in TIDE (Bolya et al., ECCV 2020).

    Attributes:
        false_positives: Detections an image that match no instance, of all kinds. As the two below NaN where instances
            are ignored: a false detection is of no instance.
        duplicates: Detections of an instance that a better one has matched already.
        localisation: Detections of the right class whose IoU with an instance is from .1 to .5.
        missed: Instances that no detection matches, nor would after mending its class or its place.
        partial: Share of the instances that only partial detections of their class hit: the best IoU is from .1 to .5.
            NaN without instances.
    """

    false_positives: float
    duplicates: float
    localisation: float
    missed: int
    partial: float


@dataclass(frozen=True)
class BinScores:
    """The scores of one bin, between 0 and 1; AP is averaged over IoU .50:.95. NaN where there is no ground truth.

    Attributes:
        label: The bin, such as '[.2, .4)'.
        lower, upper: Its edges; None for the rows that are no bin.
        images, instances, classes: How many it holds; crowd regions are no instances.
        AP, AP50, AP75, AR: At 100 detections an image, over all sizes.
        errors: What went wrong; None for a row without images.
        interval: AP and the others -> 95% interval of the image bootstrap; empty without one, or below 10 images.
        random: AP and the others -> lower end, mean and upper end (95%) of random image subsets as large as the bin;
            empty without them.
        per_class: Class -> its scores, for the classes that have an instance; empty unless asked for.
    """

    label: str
    lower: float | None
    upper: float | None
    images: int
    instances: int
    classes: int
    AP: float
    AP50: float
    AP75: float
    AR: float
    errors: Errors | None = None
    interval: dict[str, tuple[float, float]] = field(default_factory=dict)
    random: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    per_class: dict[str, ClassScores] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as json content: None for NaN."""
        return without_nan(asdict(self))


@dataclass(frozen=True)
class Difference:
    """Second detector less first, on the same images of a bin.

    Attributes:
        label, lower, upper: As of the bin.
        AP, AP50, AP75, AR: Differences of the scores.
        interval: AP and the others -> 95% interval of the difference on the same bootstrap samples; empty without.
    """

    label: str
    lower: float | None
    upper: float | None
    AP: float
    AP50: float
    AP75: float
    AR: float
    interval: dict[str, tuple[float, float]] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the row as json content: None for NaN."""
        return without_nan(asdict(self))
