"""What is known of a bin: its scores, its errors, its intervals. Plain numbers, for tables, curves and files."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import Field, asdict, astuple, dataclass, field, fields
from typing import Any, ClassVar

from ..utils.json_content import without_nan

# The scores that have intervals, bands and classes in tables and curves: the publication's two measures.
SHOWN = ('AP', 'AP75')


class _ByName:
    """A field by its name: ``scores['AP']`` is ``scores.AP``, beside ``interval['AP']``."""

    def __getitem__(self, name: str) -> float:
        return getattr(self, name)


@dataclass(frozen=True)
class Scores(_ByName):
    """Scores between 0 and 1, or differences of two. NaN without ground truth.

    Attributes:
        AP: Averaged over the IoU thresholds .50:.95.
        AP50, AP75: At one threshold.
        AR: Recall, averaged over the thresholds.
    """

    AP: float
    AP50: float
    AP75: float
    AR: float

    def __iter__(self) -> Iterator[float]:
        return iter(astuple(self))

    def __sub__(self, other: Scores) -> Scores:
        return Scores(*(own - others for own, others in zip(self, other)))


SCORES = tuple(one.name for one in fields(Scores))


@dataclass(frozen=True)
class PedestrianScores(_ByName):
    """The scores of pedestrian benchmarks, or differences of two. NaN without instances.

    Attributes:
        MR2: Log-average miss rate by the rules of CityPersons' evaluator; the lower the better.
        JI: Jaccard index by the rules of CrowdHuman's.
    """

    MR2: float
    JI: float

    def __iter__(self) -> Iterator[float]:
        return iter(astuple(self))

    def __sub__(self, other: PedestrianScores) -> PedestrianScores:
        return PedestrianScores(self.MR2 - other.MR2, self.JI - other.JI)


PEDESTRIAN_SCORES = tuple(one.name for one in fields(PedestrianScores))


@dataclass(frozen=True)
class FrequencyScores(_ByName):
    """AP of LVIS's rare, common and frequent classes, or differences of two. NaN without instances.

    Attributes:
        APr: Of classes in 10 images of the training set or fewer.
        APc: Of those in 11 to 100.
        APf: Of the others.
    """

    APr: float
    APc: float
    APf: float

    def __iter__(self) -> Iterator[float]:
        return iter(astuple(self))

    def __sub__(self, other: FrequencyScores) -> FrequencyScores:
        return FrequencyScores(*(own - others for own, others in zip(self, other)))


FREQUENCY_SCORES = tuple(one.name for one in fields(FrequencyScores))


@dataclass(frozen=True)
class ClassScores(_ByName):
    """Scores of one class, between 0 and 1.

    Attributes:
        AP, AP75: As in :class:`Scores`.
    """

    AP: float
    AP75: float


@dataclass(frozen=True)
class Errors:
    """The errors of a bin's detections from a score up, at IoU .5; kinds as in TIDE (Bolya et al., ECCV 2020).

    Attributes:
        false_positives: Detections per image that match no instance, of all kinds. NaN, as the next two are, where
            instances are ignored: a false detection belongs to no instance.
        duplicates: Detections of an instance that a better one has matched already.
        localisation: Detections of the right class whose IoU with an instance is from .1 to .5.
        missed: Instances that no detection matches, nor would if its class or its box were right.
        partial: Share of the instances that only partial detections of their class hit: the best IoU is from .1 to .5.
            NaN without instances.
    """

    false_positives: float
    duplicates: float
    localisation: float
    missed: int
    partial: float


class _Scored:
    """What has scores has AP, AP50, AP75 and AR itself as well."""

    __dataclass_fields__: ClassVar[dict[str, Field]]  # whatever derives from this is a dataclass
    scores: Scores
    pedestrians: PedestrianScores | None
    frequencies: FrequencyScores | None

    @property
    def AP(self) -> float:
        return self.scores.AP

    @property
    def AP50(self) -> float:
        return self.scores.AP50

    @property
    def AP75(self) -> float:
        return self.scores.AP75

    @property
    def AR(self) -> float:
        return self.scores.AR

    def to_dict(self) -> dict[str, Any]:
        """Return the row as json content, its scores beside the rest: None for NaN."""
        content: dict[str, Any] = {}
        for key, value in asdict(self).items():
            content |= (value or {}) if key in ('scores', 'pedestrians', 'frequencies') else {key: value}
        return without_nan(content)


@dataclass(frozen=True)
class BinScores(_Scored):
    """The scores of one bin.

    Attributes:
        label: The bin, such as '[.2, .4)'.
        lower, upper: Its edges; None for the rows that are not bins.
        images, instances, classes: How many it holds; crowd regions and ignored annotations do not count as instances.
        scores: At ``max_dets`` detections of a class and image (by LVIS's rules, of an image), over all sizes; ``AP``,
            ``AP50``, ``AP75`` and ``AR`` are attributes too.
        pedestrians: MR-2 and JI; None unless asked for.
        frequencies: APr, APc and APf by LVIS's rules; None unless asked for.
        errors: What went wrong; None for a row without images.
        interval: AP and the others, MR2 and JI -> 95% interval of the image bootstrap; empty without one, or below 10
            images.
        random: AP and the others -> lower end, mean and upper end (95%) of random image subsets as large as the bin;
            empty without them.
        per_class: Class -> its scores, for the classes that have an instance; empty unless asked for.
        sizes: The cells of the row: its instances of each size; empty unless asked for.
        size_lower, size_upper: Of a cell, the side in pixels of a square of the least and of the largest area.
    """

    label: str
    lower: float | None
    upper: float | None
    images: int
    instances: int
    classes: int
    scores: Scores
    pedestrians: PedestrianScores | None = None
    frequencies: FrequencyScores | None = None
    errors: Errors | None = None
    interval: dict[str, tuple[float, float]] = field(default_factory=dict)
    random: dict[str, tuple[float, float, float]] = field(default_factory=dict)
    per_class: dict[str, ClassScores] = field(default_factory=dict)
    sizes: list[BinScores] = field(default_factory=list)
    size_lower: float | None = None
    size_upper: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the row as json content, as every row's; keys of sizes are there where these were asked for."""
        content = super().to_dict()
        if self.size_lower is None:
            del content['size_lower'], content['size_upper']
        cells = [cell.to_dict() for cell in self.sizes]
        return content | {'sizes': cells} if cells else {key: content[key] for key in content if key != 'sizes'}


@dataclass(frozen=True)
class Difference(_Scored):
    """A detector less the first, on the same images of a bin.

    Attributes:
        label, lower, upper: As of the bin.
        scores: Differences of the scores; ``AP``, ``AP50``, ``AP75`` and ``AR`` are attributes too.
        pedestrians: Differences of MR-2 and JI; None unless asked for.
        frequencies: Differences of APr, APc and APf; None unless asked for.
        interval: AP and the others -> 95% interval of the difference on the same bootstrap samples; empty without one.
    """

    label: str
    lower: float | None
    upper: float | None
    scores: Scores
    pedestrians: PedestrianScores | None = None
    frequencies: FrequencyScores | None = None
    interval: dict[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Differences:
    """A detector less the first, in every row.

    Attributes:
        name: Of the detector.
        first: Name of the first.
        all: Difference on the whole set.
        bins: Difference on each bin.
    """

    name: str
    first: str
    all: Difference
    bins: list[Difference]

    @property
    def rows(self) -> list[Difference]:
        """The whole set and each bin."""
        return [self.all, *self.bins]

    @property
    def title(self) -> str:
        """What is compared."""
        return f'{self.name} less {self.first}'

    def to_dict(self) -> dict[str, Any]:
        """Return the rows as json content."""
        return {'all': self.all.to_dict(), 'bins': [row.to_dict() for row in self.bins]}
