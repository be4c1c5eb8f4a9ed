"""What an evaluation by occlusion measures: one list of options for the command, mmdet's loops and Python.

The fields of :class:`OcclusionSettings` and of :class:`OcclusionBins` are the list: their defaults, choices and help.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, TypedDict

from ..coco.data import KeyValues
from ..coco.key import Key
from ..coco.key_values import OF_IMAGES
from ..utils.errors import InputError
from ..utils.options import explained, option
from .bins import OcclusionBins
from .engine import ENGINES, MAX_DETECTIONS
from .federated import MAX_DETECTIONS as LVIS_DETECTIONS
from .gate import read_margins
from .regions import DEFINITIONS
from .scores import PEDESTRIAN_SCORES
from .sizes import LARGEST

AMODAL = 'amodal'  # the definition that is read from masks of what is hidden
IOU_TYPES = ('bbox', 'segm')


@explained
@dataclass(frozen=True)
class OcclusionSettings:
    """The options of :func:`evaluate_occlusion` and of :func:`compare_occlusion`.

    Raises:
        ValueError: If an option is out of its range, or two do not go together.
    """

    iou_type: str | None = option(
        None,
        'whether boxes or masks are matched',
        choices=IOU_TYPES,
        otherwise='segm for results with masks and without boxes, else bbox',
    )
    bins: OcclusionBins = field(
        default_factory=OcclusionBins,
        metadata={'help': 'bins of the occlusion ratio', 'otherwise': 'exactly 0, then steps of .2'},
    )
    by: str | None = option(
        None,
        'key of the annotations that is binned, such as vis_ratio or attributes.occluded, or of the images, such as '
        'image.crowdIndex: numbers by the edges, a bin for each word or truth value, 1 less the share of a visible '
        'box; with by_file the name of its column',
        otherwise='occlusion is computed',
        metavar='KEY',
    )
    by_file: str | None = option(
        None,
        'csv file with a column image_id or annotation_id and one of values, which are binned',
        otherwise='none',
        metavar='FILE',
    )
    visible: bool = option(False, 'whether the numbers of by or by_file are visible shares: occlusion is 1 less them')
    definition: str = option(
        'covered',
        "what counts as overlap; docs/occlusion.md has the formulas; amodal reads the annotations' amodal masks",
        choices=(*DEFINITIONS, AMODAL),
    )
    region: str | None = option(
        None, 'whether areas are those of boxes or of masks', choices=IOU_TYPES, otherwise='bbox; hybrid uses both'
    )
    same_class: bool = option(False, 'count overlap within a class only')
    ignored_occlude: bool = option(
        False, 'whether annotations with "ignore": 1, which are never counted, cover other instances'
    )
    per_instance: bool = option(
        False, 'bin instances by their own occlusion; a bin ignores the others, as COCO ignores other sizes'
    )
    miss_rate: bool = option(
        False,
        "add MR-2, the log-average miss rate by the rules of CityPersons, and JI, CrowdHuman's Jaccard index, to the "
        'rows of per_instance',
    )
    min_height: float = option(
        0.0,
        'instances with lower boxes, in pixels, are ignored, and detections lower than 1/1.25 of it left out; '
        'CityPersons has 50',
        least=0,
        metavar='PIXELS',
    )
    engine: str = option(
        'hotcoco',
        'what matches and accumulates; pycocotools is the reference API: same numbers, slower',
        choices=tuple(ENGINES),
    )
    max_dets: int = option(
        None,
        'how many detections of a class and image the scores count, the best first; errors count all',
        type=int,
        least=1,
        metavar='N',
        otherwise=f"{MAX_DETECTIONS}; by LVIS's rules {LVIS_DETECTIONS} of an image, of all classes together",
    )
    lvis: bool = option(
        False,
        "follow LVIS's rules: classes that an image was not searched for do not count, nor false detections of those "
        'that are not exhaustively labelled; adds AP of rare, common and frequent classes',
    )
    sizes: tuple[float, ...] | None = option(
        None,
        'also report the instances of each size in each row: ascending edges from 0, each the side in pixels of a '
        "square of the area; 0 32 96 are COCO's small, medium and large",
        otherwise='all sizes together',
        several=True,
        metavar='SIDE',
    )
    per_class: bool = option(False, 'also report AP and AP75 of each class')
    bootstrap: int = option(
        0, 'number of bootstrap samples of the images, for 95% intervals; 1000 is good', least=0, metavar='N'
    )
    random_subsets: int = option(
        0,
        "number of random image subsets of each bin's size, for the band in which a bin would lie that occlusion does "
        'not affect; 200 is good',
        least=0,
        metavar='N',
    )
    seed: int = option(0, 'of the bootstrap samples and the random subsets', least=0)
    gate: tuple[str, ...] | None = option(
        None,
        'exit with status 1 if a detector is worse than the first by more than a margin, such as AP75:.01, in a bin or '
        'in all images, with 95% confidence; needs --bootstrap, and can be given once for each score',
        otherwise='no gate',
        metavar='SCORE:MARGIN',
        repeatable=True,
    )
    score_thr: float = option(0.3, 'detections from this score up count as errors and are drawn')

    lenient: bool = option(
        False,
        'take what is not quite COCO: other types of ids, images and classes by name, unknown ones left out, stray '
        'polygons, masks without boxes, any scores; each is said and counted',
    )
    classes: tuple[str, ...] | None = option(
        None,
        "what numbers of classes stand for in mmdet's pickles, Ultralytics' results and YOLO's labels: the config, a "
        'data.yaml, a file of names, or the names',
        otherwise='the categories of the ground truth, in the order of their ids',
        several=True,
    )
    image_dir: str | None = option(
        None,
        'folder of the images, to show them in report and gallery, and for the sizes that a format does not hold',
        otherwise='where the format has them',
    )

    def __post_init__(self) -> None:
        if self.max_dets is None:
            object.__setattr__(self, 'max_dets', LVIS_DETECTIONS if self.lvis else MAX_DETECTIONS)
        if self.lvis and self.miss_rate:
            raise ValueError("lvis and miss_rate are two benchmarks' rules: leave one of them out")
        if self.definition == 'hybrid' and self.region is not None:
            raise ValueError(f'region={self.region!r} must be left out for hybrid, which uses boxes and masks')
        for one in fields(self):
            value, choices = getattr(self, one.name), one.metadata.get('choices')
            if choices and value not in (one.default, *choices):
                raise ValueError(f'{one.name}={value!r} must be one of {choices}')
            if 'least' in one.metadata and value < one.metadata['least']:
                raise ValueError(f'{one.name}={value} must be {one.metadata["least"]} or more')
        if not 0 <= self.score_thr <= 1:
            raise ValueError(f'score_thr={self.score_thr} must lie in [0, 1]')
        self._check_key()
        if self.ignored_occlude and self.definition not in ('covered', 'hybrid'):
            raise ValueError(f"definition={self.definition!r} must be 'covered' or 'hybrid' where ignored ones occlude")
        if not isinstance(self.bins, OcclusionBins):
            raise ValueError(f'bins={self.bins!r} must be an OcclusionBins, such as OcclusionBins((0, 0.5, 1))')
        if self.classes is not None:
            names = [self.classes] if isinstance(self.classes, str) else self.classes
            object.__setattr__(self, 'classes', tuple(str(name) for name in names))
        if self.sizes is not None:
            self._check_sizes(self.sizes)
        if self.gate is not None:
            texts = [self.gate] if isinstance(self.gate, str) else self.gate
            object.__setattr__(self, 'gate', tuple(str(text) for text in texts))
            margins = read_margins(self.gate)
            given = ' '.join(self.gate)
            if margins and not self.bootstrap:
                raise ValueError(
                    f'gate {given} goes by intervals, and bootstrap=0 gives none: bootstrap=1000 (--bootstrap 1000) is '
                    'good'
                )
            if not self.miss_rate and any(margin.score in PEDESTRIAN_SCORES for margin in margins):
                raise ValueError(f'gate {given} is of a score that miss_rate (--miss-rate) adds')
        if self.image_dir is not None:
            object.__setattr__(self, 'image_dir', str(self.image_dir))
        if self.per_instance and self.definition not in ('covered', 'hybrid', AMODAL):
            raise ValueError(
                f"definition={self.definition!r} must be 'covered', 'hybrid' or 'amodal' for single instances"
            )
        if self.per_instance and self.random_subsets:
            key = f', as by={self.by!r} does' if self.by else ''
            raise ValueError(
                f'random_subsets are of images, but per_instance bins instances{key}: leave one of them out'
            )
        if self.miss_rate and not self.per_instance:
            raise ValueError('miss_rate is of instances: it needs per_instance (--per-instance)')
        if self.bins.citypersons and not self.per_instance:
            raise ValueError('citypersons are setups of instances: they need per_instance (--per-instance)')
        if (self.miss_rate or self.min_height) and self.iou_type == 'segm':
            name = 'miss_rate' if self.miss_rate else 'min_height'
            raise ValueError(f"iou_type='segm' must be 'bbox' for {name}, which is of boxes")
        if self.region is None and self.definition in DEFINITIONS and self.definition != 'hybrid' and not self.keyed:
            object.__setattr__(self, 'region', 'bbox')

    def _check_sizes(self, sizes: tuple[float, ...]) -> None:
        """Keep sizes as numbers that ascend from 0."""
        wrong = f'sizes={sizes!r} must be two or more sides in pixels that ascend from 0, such as 0 32 96'
        try:
            edges = tuple(float(side) for side in sizes)
        except (TypeError, ValueError):
            raise ValueError(wrong) from None
        if len(edges) < 2 or edges[0] != 0 or not all(low < high < LARGEST for low, high in pairwise(edges)):
            raise ValueError(wrong)
        object.__setattr__(self, 'sizes', edges)

    def _check_key(self) -> None:
        """Check that nothing beside a key says what occlusion is; keys of annotations bin instances."""
        if self.definition == AMODAL and (self.region is not None or self.same_class):
            raise ValueError(
                "region and same_class must be left out for definition='amodal', whose masks are annotated"
            )
        if not self.keyed:
            if self.visible:
                raise ValueError('visible=True needs by or by_file, whose numbers it takes for visible shares')
            return
        object.__setattr__(self, 'by_file', None if self.by_file is None else str(self.by_file))
        if self.by is not None and (not isinstance(self.by, str) or not self.by.removeprefix(OF_IMAGES)):
            raise ValueError(
                f'by={self.by!r} must be a key, such as vis_ratio, attributes.occluded or image.crowdIndex'
            )
        for name in ('definition', 'region', 'same_class', 'ignored_occlude'):
            value = getattr(self, name)
            if value != getattr(OcclusionSettings, name):
                key = f'by={self.by!r}' if self.by else f'by_file={self.by_file!r}'
                raise ValueError(f'{name}={value!r} and {key} both say what occlusion is: leave one of them out')
        if self.by_file is None and self.by is not None:
            if not self.by.startswith(OF_IMAGES):
                object.__setattr__(self, 'per_instance', True)
            elif self.per_instance:
                raise ValueError(f'per_instance bins instances, but by={self.by!r} is of images: leave one of them out')

    @property
    def keyed(self) -> bool:
        """Whether what is binned stands under a key or in a file, and is not computed."""
        return self.by is not None or self.by_file is not None

    @property
    def key(self) -> Key | None:
        """Where it stands."""
        return Key(self.by, file=self.by_file, visible=self.visible, lenient=self.lenient) if self.keyed else None

    def settled(self, iou_type: str, values: KeyValues | None) -> OcclusionSettings:
        """Return the settings once the files have been read.

        Args:
            iou_type: Of the results.
            values: What the ground truth has under the key; None without one.

        Raises:
            InputError: If the values do not go with another option.
            ValueError: If the type of the results does not.
        """
        if values is None:
            return replace(self, iou_type=iou_type)
        if self.per_instance and values.of_images:
            raise InputError(f'per_instance bins instances, but {self.by_file} has values of images: leave it out')
        if values.words and self.bins != OcclusionBins():
            raise InputError(
                f'edges, centres, zero_bin and cumulative must be left out where the values of {values.name} are words '
                f'({", ".join(values.words[:5])}{", …" * (len(values.words) > 5)}), each of which is a bin'
            )
        decided = replace(self, iou_type=iou_type)
        try:
            return replace(decided, by=values.name, per_instance=not values.of_images)
        except ValueError as error:
            raise InputError(f'{self.by_file}: {error}') from error

    @property
    def matched(self) -> str:
        """The ``iou_type`` once it is decided, 'bbox' or 'segm', as that of every result is."""
        if self.iou_type is None:
            raise ValueError('iou_type is decided by the results, which have not been read yet')
        return self.iou_type

    @property
    def needs_masks(self) -> bool:
        """Whether the ground truth must hold masks."""
        return 'segm' in (self.iou_type, self.region) or self.definition == 'hybrid'

    @property
    def title(self) -> str:
        """What was evaluated by what, in one line."""
        matched = f"{self.iou_type} by LVIS's rules" if self.lvis else self.iou_type
        if self.keyed:
            file = f' (in {Path(self.by_file).name})' if self.by_file else ''
            return f'{matched}, by {self.quantity}{file}'
        of = {'bbox': 'boxes', 'segm': 'masks', None: 'masks inside boxes'}[self.region]
        of = f'{of} of one class' if self.same_class else of
        of = 'of annotated masks' if self.definition == AMODAL else f'of {of}'
        return f'{matched}, by the {self.quantity} ({self.definition}, {of})'

    @property
    def quantity(self) -> str:
        """What is binned, in a few words."""
        what = 'the instance' if self.per_instance else 'the image'
        if not self.keyed:
            return f'occlusion ratio of {what}'
        name = self.by or 'values'
        name = f'1 less {name}' if self.visible else name
        return name if name.startswith(OF_IMAGES) else f'{name} of {what}'

    def to_dict(self) -> dict[str, Any]:
        """Return the options as json content; those of the bins stand beside the others."""
        content = asdict(self)
        if self.keyed:
            content['definition'] = None  # nothing is computed
        return content | content.pop('bins')


class OcclusionOptions(TypedDict, total=False):
    """The names and types of the settings that are given by keyword alone, for editors and type checkers.

    A test holds them to the fields of :class:`OcclusionSettings`, which has their defaults and what they mean.
    """

    by: str | None
    by_file: str | None
    visible: bool
    definition: str
    region: str | None
    same_class: bool
    ignored_occlude: bool
    per_instance: bool
    miss_rate: bool
    min_height: float
    engine: str
    max_dets: int
    lvis: bool
    sizes: tuple[float, ...] | None
    per_class: bool
    bootstrap: int
    random_subsets: int
    seed: int
    gate: tuple[str, ...] | None
    score_thr: float
    lenient: bool
    classes: tuple[str, ...] | None
    image_dir: str | None
