"""What an evaluation by occlusion measures: one set of options for the command, mmdet's loops and Python."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from .bins import OcclusionBins
from .engine import ENGINES
from .regions import DEFINITIONS

IOU_TYPES = ('bbox', 'segm')


@dataclass(frozen=True)
class OcclusionSettings:
    """The options of :func:`evaluate_occlusion` and of :func:`compare_occlusion`.

    Args:
        iou_type: 'bbox' or 'segm'. Defaults to 'segm' for results with masks and without boxes, else 'bbox'.
        bins: Defaults to exactly 0, then steps of .2.
        definition: What counts as overlap, see :func:`occlusion_ratio`. Defaults to 'covered'.
        region: 'bbox' or 'segm': whether the areas are those of boxes or of masks. Defaults to 'bbox'; `hybrid` uses
            both and has none.
        same_class: Whether only overlap within a class counts. Defaults to False.
        per_instance: Whether instances are binned by their own occlusion, and not images: the others are ignored, as
            COCO ignores instances of other sizes. Defaults to False.
        engine: 'hotcoco' (default) or 'pycocotools', the reference API: same numbers, slower.
        per_class: Whether to report each class. Defaults to False.
        bootstrap: Bootstrap samples of the images, for intervals. Defaults to 0: none.
        random_subsets: Random image subsets of each bin's size, for the band that a bin without any effect of
            occlusion would lie in. Defaults to 0: none.
        seed: Decides the samples. Defaults to 0.
        score_thr: Detections from this score up count as errors. Defaults to .3, what mmdet shows.

    Raises:
        ValueError: If an option is out of its range, or two do not go together.
    """

    iou_type: str | None = None
    bins: OcclusionBins = field(default_factory=OcclusionBins)
    definition: str = 'covered'
    region: str | None = None
    same_class: bool = False
    per_instance: bool = False
    engine: str = 'hotcoco'
    per_class: bool = False
    bootstrap: int = 0
    random_subsets: int = 0
    seed: int = 0
    score_thr: float = 0.3

    def __post_init__(self) -> None:
        choices = {'iou_type': (None, *IOU_TYPES), 'definition': DEFINITIONS, 'engine': tuple(ENGINES)}
        choices['region'] = (None,) if self.definition == 'hybrid' else (None, *IOU_TYPES)
        for name, allowed in choices.items():
            value = getattr(self, name)
            if value not in allowed:
                where = ' for hybrid, which uses boxes and masks' if name == 'region' and len(allowed) == 1 else ''
                raise ValueError(f'{name}={value!r} must be one of {allowed}{where}')
        for name in ('bootstrap', 'random_subsets', 'seed'):
            if getattr(self, name) < 0:
                raise ValueError(f'{name}={getattr(self, name)} must be 0 or more')
        if not 0 <= self.score_thr <= 1:
            raise ValueError(f'score_thr={self.score_thr} must lie in [0, 1]')
        if self.per_instance and self.definition not in ('covered', 'hybrid'):
            raise ValueError(f"definition={self.definition!r} must be 'covered' or 'hybrid' for single instances")
        if self.per_instance and self.random_subsets:
            raise ValueError('random_subsets draws images, but per_instance bins instances: leave one of them out')
        if self.region is None and self.definition != 'hybrid':
            object.__setattr__(self, 'region', 'bbox')

    @property
    def needs_masks(self) -> bool:
        """Whether the ground truth must hold masks."""
        return 'segm' in (self.iou_type, self.region) or self.definition == 'hybrid'

    @property
    def title(self) -> str:
        """What was evaluated by what, in one line."""
        of = {'bbox': 'boxes', 'segm': 'masks', None: 'masks inside boxes'}[self.region]
        of = f'{of} of one class' if self.same_class else of
        what = 'the instance' if self.per_instance else 'the image'
        return f'{self.iou_type}, by the occlusion ratio of {what} ({self.definition}, of {of})'

    def to_dict(self) -> dict[str, Any]:
        """Return the options as json content; those of the bins stand beside the others."""
        content = asdict(self)
        return content | content.pop('bins')
