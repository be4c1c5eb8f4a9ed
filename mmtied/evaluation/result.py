"""What an evaluation by occlusion returns: scores per bin, of one detector or of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..coco.data import Detections, GroundTruth, KeyValues
from ..utils.words import listed
from .bins import OcclusionBins, WordBins
from .federated import federated
from .gate import Gate, judge, read_margins
from .pieces import within_limit
from .resampling import FEWEST
from .scores import SHOWN, BinScores, Difference, Differences
from .settings import OcclusionSettings
from .sizes import FEW_INSTANCES
from .table import Table, class_table, difference_table, error_table, overview_table, score_table, size_table

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from pandas import DataFrame

FEW_IMAGES = 50
FEW_FOR_RATES = 100  # images: of fewer, one false positive is more than the first of MR-2's rates
BOUNDED = ('covered', 'union', 'hybrid', 'amodal')  # definitions whose ratio is 1 at most


class _Shown(ABC):
    """How a result is shown, of one detector or of several."""

    @property
    @abstractmethod
    def models(self) -> list[OcclusionResult]:
        """The results of each detector."""

    @abstractmethod
    def records(self) -> list[dict[str, Any]]:
        """Return flat records; None for NaN."""

    @abstractmethod
    def remarks(self) -> list[str]:
        """Say in words what the scores do not."""

    @abstractmethod
    def comparisons(self) -> list[Table]:
        """Return tables of detectors beside each other."""

    @abstractmethod
    def tables(self) -> list[Table]:
        """Return tables of text: the comparisons, then those of each detector."""

    def to_pandas(self) -> DataFrame:
        """Return the records as a table; needs pandas."""
        from pandas import DataFrame

        return DataFrame(self.records())

    def plot(self) -> Figure:
        """Return the curves of AP and AP75 over the bins, of each detector; needs matplotlib."""
        from .curve import draw_curves

        first, *_ = self.models
        return draw_curves(first.settings, {detector.name: detector.bins for detector in self.models})

    def __str__(self) -> str:
        return '\n\n'.join([*map(str, self.tables()), '\n'.join(self.remarks())])


@dataclass(frozen=True)
class OcclusionResult(_Shown):
    """Scores per occlusion bin; ``print`` shows them as a table.

    Attributes:
        all: The scores of the whole set, those of an ordinary COCO evaluation.
        bins: The scores of each bin.
        unassigned: The row of the images without instances, which have no occlusion ratio; with a key that of the
            images or instances without it.
        settings: What was evaluated how.
        name: Of the detector.
        ratios: Occlusion ratio of each image in the order of the ids, (images,); NaN without instances. With a key what
            the images have there, the index of a word; with a key of the annotations that of an image's most occluded
            one.
        image_bins: Index of each image's bin, (images,); -1 without instances, or without the key.
        instance_ratios: Occlusion of each annotation, (annotations,), NaN for crowds and without the key; None unless
            binned per instance.
        ground_truth, detections: What was evaluated.
    """

    all: BinScores
    bins: list[BinScores]
    unassigned: BinScores
    settings: OcclusionSettings
    name: str
    ratios: np.ndarray = field(repr=False, compare=False)
    image_bins: np.ndarray = field(repr=False, compare=False)
    instance_ratios: np.ndarray | None = field(repr=False, compare=False)
    ground_truth: GroundTruth = field(repr=False, compare=False)
    detections: Detections = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Return scores and settings as json content."""
        return {
            'all': self.all.to_dict(),
            'bins': [row.to_dict() for row in self.bins],
            'unassigned': self.unassigned.to_dict(),
            'settings': self.settings.to_dict(),
            'name': self.name,
            'remarks': self.remarks(),
            'notes': [asdict(note) for note in (*self.ground_truth.notes, *self.detections.notes)],
        }

    @cached_property
    def beyond_limit(self) -> tuple[int, int, int]:
        """How many detections the limit of a class and image cuts off, of how many classes, in how many images."""
        found = self.detections
        beyond = ~within_limit(found, self.settings.max_dets, of_class=not self.settings.lvis)
        return int(beyond.sum()), len(np.unique(found.category[beyond])), len(np.unique(found.image[beyond]))

    @cached_property
    def judged(self) -> tuple[GroundTruth, Detections]:
        """What is matched, by LVIS's rules not all detections; else what was evaluated, as it is."""
        if self.settings.lvis:
            return federated(self.ground_truth, self.detections, self.settings.max_dets)
        return self.ground_truth, self.detections

    @property
    def models(self) -> list[OcclusionResult]:
        """The results of each detector, here of the one."""
        return [self]

    @property
    def all_bins(self) -> OcclusionBins | WordBins:
        """The bins that all fell into, those of the settings or of the words that were found under a key."""
        values = self.ground_truth.values
        return WordBins(values.words) if values is not None and values.words else self.settings.bins

    def caption(self, image: int) -> str:
        """Say what an image is binned by, such as 'r = 0.34', or 'largest vis_ratio = 0.34' of its instances.

        Args:
            image: Its index, of one that is in a bin.
        """
        values, ratio = self.ground_truth.values, self.ratios[image]
        if values is None:
            return f'r = {ratio:.2f}'
        text = values.words[int(ratio)] if values.words else f'{ratio:.2f}'
        name = f'1 - {values.name}' if self.settings.visible else values.name
        return f'{name} = {text}' if values.of_images else f'largest {name} = {text}'

    @property
    def binned_ratios(self) -> np.ndarray:
        """The ratios (or indices of words) that were binned, of the instances or of the images, without NaN."""
        ratios = self.ratios if self.instance_ratios is None else self.instance_ratios
        return ratios[~np.isnan(ratios)]

    def rows(self) -> list[BinScores]:
        """Return all rows: the whole set, the bins, and what falls into none if there is anything."""
        return [self.all, *self.bins, *([self.unassigned] if self.unassigned.images else [])]

    def records(self) -> list[dict[str, Any]]:
        """Return one flat record for each row, behind it one for each of its sizes and classes; None for NaN."""
        records = []
        for row in self.rows():
            records.append(self._record(row, row.label))
            records += [self._record(cell, row.label) for cell in row.sizes]
            for name, scores in row.to_dict()['per_class'].items():
                records.append({'model': self.name, 'bin': row.label, 'class': name} | scores)
        return _filled(records)

    def _record(self, row: BinScores, label: str) -> dict[str, Any]:
        """Return a row, or a cell of it, as a flat record."""
        content = row.to_dict() | {'label': label}
        record = {'model': self.name, 'bin': content.pop('label'), 'class': None}
        nested = {key: content.pop(key) for key in ('errors', 'interval', 'random', 'per_class')}
        content.pop('sizes', None)
        record |= content | (nested['errors'] or {})
        for score, (low, high) in nested['interval'].items():
            record |= {f'{score}_low': low, f'{score}_high': high}
        for score, (low, mean, high) in nested['random'].items():
            record |= {f'{score}_random_low': low, f'{score}_random_mean': mean, f'{score}_random_high': high}
        return record

    @property
    def manifest_columns(self) -> tuple[str, ...]:
        """The names of what :meth:`manifest` yields."""
        values = self.ground_truth.values
        if values is None:
            return 'image_id', 'ratio', 'bin'
        return ('image_id', *(() if values.of_images else ('annotation_id',)), 'value', 'ratio', 'bin')

    def manifest(self) -> Iterator[tuple[Any, ...]]:
        """Yield image id, occlusion ratio (None without instances) and label of the bin, for every image.

        With a key also its value, as it is given, before the ratio, which is None for words; with a key of the
        annotations for every instance, whose id stands behind that of the image. Where the bins overlap (cumulative
        rows), the label is that of the highest.
        """
        truth = self.ground_truth
        values = truth.values
        labels = [*(row.label for row in self.bins), self.unassigned.label]  # -1 is the last
        if values is None:
            for image, ratio, index in zip(truth.images, self.ratios.tolist(), self.image_bins):
                yield image['id'], None if ratio != ratio else ratio, labels[index]
            return
        rows = np.arange(len(truth.images)) if values.of_images else np.flatnonzero(~truth.uncounted)
        bins = self.all_bins.assign(values.numbers[rows])
        for row, index in zip(rows.tolist(), bins.tolist()):
            image = truth.images[row if values.of_images else truth.image[row]]['id']
            ratio = values.numbers[row]
            ids = (image,) if values.of_images else (image, truth.ids[row])
            yield *ids, values.given[row], None if values.words or ratio != ratio else float(ratio), labels[index]

    def remarks(self) -> list[str]:
        """Say in words what was left out, which edges are out of reach, and which bins are empty or too small."""
        settings, truth = self.settings, self.ground_truth
        what = 'instance' if settings.per_instance else 'image'
        remarks = []
        if truth.orphans:
            remarks.append(
                counted(
                    truth.orphans,
                    'annotation belongs to no listed image and is left out.',
                    'annotations belong to no listed image and are left out.',
                )
            )
        remarks += [note.text for note in (*truth.notes, *self.detections.notes)]
        low = truth.bbox[:, 3] < settings.min_height
        crowds, ignored = int(truth.iscrowd.sum()), int((truth.ignore & ~truth.iscrowd & ~low).sum())
        if len(truth.image) and truth.uncounted.all():
            remarks.append(
                f'All annotations ({len(truth.image):,}) are crowd regions or ignored, so there is no instance to find '
                'and no score: is iscrowd set for masks that are no crowds?'
            )
        elif crowds:
            remarks.append(
                counted(
                    crowds,
                    'crowd region does not count as an instance and does not occlude.',
                    'crowd regions do not count as instances and do not occlude.',
                )
            )
        if ignored:
            occlude = 'though they cover others' if settings.ignored_occlude else 'and not looked at for occlusion'
            remarks.append(
                f'{counted(ignored, "annotation is", "annotations are")} ignored: neither to be found nor wrong to '
                f'find, {occlude}.'
            )
        if low.any():
            remarks.append(
                f'{counted(int(low.sum()), "annotation is", "annotations are")} lower than {settings.min_height:g} '
                'pixels and ignored.'
            )
        if settings.miss_rate and len(truth.images) < FEW_FOR_RATES:
            remarks.append(
                f'Fewer than {FEW_FOR_RATES} images: where even the best detection is false, MR2 takes for the lowest '
                'rates of false positives what all detections find, as the published evaluator does.'
            )
        cut, classes, images = self.beyond_limit
        if settings.lvis:
            left_out = len(self.detections.score) - cut - len(self.judged[1].score)
            remarks.append(
                f'{counted(left_out, "detection is of a class", "detections are of classes")} that the image was not '
                'searched for and left out, and false ones of classes that are not exhaustively labelled do not count.'
            )
        if cut:
            of = 'all classes' if settings.lvis else 'a class'
            remarks.append(
                f'Scores count the best {settings.max_dets} detections of {of} in an image: '
                f'{counted(cut, "detection is", "detections are")} beyond, in '
                f'{counted(images, "image", "images")} and {counted(classes, "class", "classes")}; --max-dets N '
                '(max_dets=N) counts more.'
            )
        if truth.values is not None:
            remarks += self._of_key(truth.values)
        if truth.amodal is not None:
            lacking = int((np.isnan(truth.amodal[:, 0]) & ~truth.uncounted).sum())
            where = 'a row of their own, in no bin' if settings.per_instance else "left out of their images' ratios"
            if lacking:
                remarks.append(f'{counted(lacking, "instance has", "instances have")} no amodal mask: {where}.')
        if not (truth.values and truth.values.words):
            remarks += self._of_edges(what)
        if settings.sizes:
            remarks += self._of_sizes(settings.sizes)
        few = [f'{row.label} ({row.images})' for row in self.bins if 0 < row.images < FEW_IMAGES]
        if few:
            remarks.append(
                f'Fewer than {FEW_IMAGES} images in {", ".join(few)}: interpolated AP rises as a bin gets small, so '
                'compare two detectors on one bin, not one detector across bins.'
            )
            if settings.bootstrap and any(row.images < FEWEST for row in self.bins):
                remarks.append(f'Bins of fewer than {FEWEST} images have no interval: it would be too narrow.')
        if settings.per_instance:
            remarks.append(
                'Detections that match no instance have no occlusion: they count as false positives in the AP of every '
                'bin, but not among the errors of any.'
            )
        return remarks

    def _of_key(self, values: KeyValues) -> list[str]:
        """Say what stands under the key, and how many have nothing there."""
        settings = self.settings
        remarks = []
        if values.boxes:
            remarks.append(f"The ratio is the share of an instance's box that lies outside its {values.name}.")
        elif settings.visible:
            remarks.append(f'The ratio is 1 less {values.name}, which is the visible share.')
        if values.of_images:
            lacking = counted(self.unassigned.images, 'image has', 'images have')
        else:
            lacking = counted(self.unassigned.instances, 'instance has', 'instances have')
        if self.unassigned.images:
            remarks.append(f'{lacking} no {values.name}: a row of their own, in no bin.')
        return remarks

    def _of_sizes(self, edges: Sequence[float]) -> list[str]:
        """Say whose size is that of the box, who is of two sizes, and how many cells hold few."""
        truth = self.ground_truth
        counted_in, remarks = ~truth.uncounted, []
        boxed = int((counted_in & ~truth.sized).sum())
        if boxed:
            have, their = ('instance has', 'its') if boxed == 1 else ('instances have', 'their')
            remarks.append(f"{boxed:,} {have} no 'area': {their} size is that of the box.")
        twice = int((counted_in & np.isin(truth.area, np.square(edges[1:]))).sum())
        if twice:
            count = counted(twice, 'instance lies', 'instances lie')
            remarks.append(f'{count} on an edge of sizes and count in both, as in COCO.')
        cells = [cell for row in (self.all, *self.bins) for cell in row.sizes if cell.instances]
        few = sum(cell.instances < FEW_INSTANCES for cell in cells)
        if few:
            remarks.append(
                f'{few} of {len(cells)} cells of size and occlusion hold fewer than {FEW_INSTANCES} instances and are '
                'marked (*, grey): their scores are hardly more than chance.'
            )
        return remarks

    def _of_edges(self, what: str) -> list[str]:
        """Say which edges are out of reach, and which bins are empty."""
        settings, ratios = self.settings, self.binned_ratios
        remarks = []
        last = settings.bins.edges[-1]
        if settings.definition in BOUNDED and last > 1 and not settings.keyed:
            remarks.append(f'No {what} can reach an edge above 1: `{settings.definition}` is at most 1.')
        beyond = ratios[ratios > last]
        if beyond.size:
            remarks.append(
                f'{counted(beyond.size, f"{what} lies", f"{what}s lie")} above {last:g}, up to {beyond.max():.2f}; the '
                'last bin includes them.'
            )
        held = {row.label: row.instances if settings.per_instance else row.images for row in self.bins}
        empty = [label for label, count in held.items() if not count]
        if empty and ratios.size:
            remarks.append(f'No {what} falls into {", ".join(empty)}: the largest ratio is {ratios.max():.3g}.')
        return remarks

    def comparisons(self) -> list[Table]:
        """None, of a single detector."""
        return []

    def tables(self) -> list[Table]:
        """Return scores, errors and, where they were asked for, classes as tables of text."""
        rows = self.rows()
        tables = [score_table(self.name, self.settings, rows), error_table(self.name, self.settings, rows)]
        if self.settings.sizes:
            tables.insert(1, size_table(self.name, self.settings, rows))
        if self.settings.per_class:
            tables.append(class_table(self.name, [self.all, *self.bins]))
        return tables


@dataclass(frozen=True)
class OcclusionComparison(_Shown):
    """Detectors on the same ground truth, each compared with the first; ``print`` shows the differences and all tables.

    Attributes:
        results: Of each detector.
        differences: Of each detector but the first from the first.
    """

    results: list[OcclusionResult]
    differences: list[Differences]

    @property
    def models(self) -> list[OcclusionResult]:
        """The results of each detector."""
        return self.results

    @property
    def first(self) -> OcclusionResult:
        """The result of the first detector."""
        return self.results[0]

    @property
    def second(self) -> OcclusionResult:
        """The result of the second detector."""
        return self.results[1]

    @property
    def all(self) -> Difference:
        """Difference of the second from the first on the whole set."""
        return self.differences[0].all

    @property
    def bins(self) -> list[Difference]:
        """Difference of the second from the first on each bin."""
        return self.differences[0].bins

    @cached_property
    def gate(self) -> Gate | None:
        """Whether a detector is worse than the settings' ``gate`` lets through; None without a gate."""
        margins = read_margins(self.first.settings.gate or ())
        return judge(margins, self.differences) if margins else None

    def to_dict(self) -> dict[str, Any]:
        """Return json content: the first detector's as of a single one, beside it the second's and the differences.

        Of more than two detectors, ``others`` is a list of each but the first, with its ``difference``. With a gate,
        ``gate`` is its verdict.
        """
        content = [result.to_dict() for result in self.results]
        differences = [one.to_dict() for one in self.differences]
        both = content[0] | {'second': content[1], 'difference': differences[0]}
        if self.gate:
            both |= {'gate': self.gate.to_dict()}
        if len(self.results) == 2:
            return both
        return both | {'others': [one | {'difference': less} for one, less in zip(content[1:], differences)]}

    def records(self) -> list[dict[str, Any]]:
        """Return the records of each, and those of the differences as further detectors'."""
        records = [record for result in self.results for record in result.records()]
        for differences in self.differences:
            for row in differences.rows:
                content = row.to_dict()
                record = {'model': differences.title, 'bin': content.pop('label')}
                for score, (low, high) in content.pop('interval').items():
                    record |= {f'{score}_low': low, f'{score}_high': high}
                records.append(record | content)
        return _filled(records)

    def manifest(self) -> Iterator[tuple[Any, ...]]:
        """As of each of them."""
        return self.first.manifest()

    def remarks(self) -> list[str]:
        """As of each of them; what all say is said once, and what not all say with the names of those who do."""
        said: dict[str, list[str]] = {}
        for result in self.results:
            for remark in result.remarks():
                said.setdefault(remark, []).append(result.name)
        remarks = [
            remark if len(names) == len(self.results) else f'{listed(names)}: {remark}'
            for remark, names in said.items()
        ]
        if self.gate and self.gate.without_interval:
            remarks.append(f'The gate lets pass what has no interval: {listed(self.gate.without_interval)}.')
        return remarks

    def comparisons(self) -> list[Table]:
        """Return the differences from the first; of more than two detectors, before them the scores of all."""
        tables = []
        if len(self.results) > 2:
            rows = {result.name: [result.all, *result.bins] for result in self.results}
            tables = [overview_table(score, rows) for score in SHOWN]
        return tables + [difference_table(differences) for differences in self.differences]

    def tables(self) -> list[Table]:
        """Return the comparisons, and then the tables of each."""
        return self.comparisons() + [table for result in self.results for table in result.tables()]


def counted(count: int, one: str, many: str) -> str:
    """Return a count with the words for one or for many."""
    return f'{count:,} {one if count == 1 else many}'


def _filled(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the records with all columns that any of them has."""
    columns = dict.fromkeys(key for record in records for key in record)
    return [columns | record for record in records]
