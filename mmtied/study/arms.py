"""The networks of the study: what is trained, on how much, and from where."""

from __future__ import annotations

from dataclasses import dataclass, field

UNTIED = (1, 1, 1, 1)


@dataclass(frozen=True)
class Arm:
    """One network and how it is trained. All else is the same in all arms.

    Attributes:
        title: For tables and figures.
        backbone: Arguments of the backbone beyond depth 26.
        base_channels: Planes of the first stage. Defaults to 32.
        data: 'scenes' or 'nuclei'. Defaults to 'scenes'.
        images: How many of the training images are used; None for all.
        length: Steps, as a share of the schedule. Defaults to 1.
        start: Arm whose trained backbone is projected onto this one, seed by seed; None for a random start.
        validations: How often the test set is evaluated on the way; only the calibration looks. Defaults to 0.
        rate: Learning rate. Defaults to 1e-3, that of the zoo's small recipe; only the round of tuning has others.
        similarity: Whether the filters are compared, trained and at the start. Defaults to False.
    """

    title: str
    backbone: dict = field(default_factory=dict)
    base_channels: int = 32
    data: str = 'scenes'
    images: int | None = None
    length: float = 1
    start: str | None = None
    validations: int = 0
    rate: float = 1e-3
    similarity: bool = False

    def model(self) -> dict:
        """Return the backbone's config."""
        return {'type': 'TiedResNet', 'depth': 26, 'base_channels': self.base_channels} | self.backbone


def untied(base_width: int = 64) -> dict:
    """Return the arguments of an ordinary ResNet: one split, B = 1, no mixer."""
    return {
        'splits': 1,
        'base_width': base_width,
        'blocks': (1,),
        'entry_blocks': 1,
        'shortcut_blocks': 1,
        'mixer': 'none',
    }


def staged(
    tied_stages: str, base_width: int, blocks: tuple[int, ...] = (1, 2, 4, 4), only_splits: bool = False
) -> dict:
    """Return the arguments of a network with the tied wiring, in which some stages are tied and the others B = 1.

    Args:
        tied_stages: Their numbers, such as '34'.
        base_width: Of a split.
        blocks: B of the splits of the tied stages.
        only_splits: Whether entry, shortcut and mixer have B = 1 there too.
    """
    tied = [str(stage) in tied_stages for stage in (1, 2, 3, 4)]
    other = tuple(2 if one and not only_splits else 1 for one in tied)
    return {
        'base_width': base_width,
        'blocks': tuple(blocks if one else UNTIED for one in tied),
        'entry_blocks': other,
        'shortcut_blocks': other,
        'mixer_blocks': other,
    }
