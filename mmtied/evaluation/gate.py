"""A gate: no detector may be worse than the first by more than a margin, as far as intervals can tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ..utils.words import listed
from .scores import PEDESTRIAN_SCORES, SCORES, Differences

GATED = (*SCORES, *PEDESTRIAN_SCORES)
LOWER_IS_BETTER = ('MR2',)


@dataclass(frozen=True)
class Margin:
    """How much of a score may be lost.

    Attributes:
        score: 'AP', 'AP50', 'AP75', 'AR', 'MR2' or 'JI'.
        share: From 0 to below 1; .01 is one point.
    """

    score: str
    share: float

    def __str__(self) -> str:
        points = f'{100 * self.share:g}'
        return f'{points} {"point" if points == "1" else "points"} of {self.score}'


@dataclass(frozen=True)
class Loss:
    """A row in which a detector is surely worse than the first by more than the margin.

    Attributes:
        name: Of the detector.
        score: Which is worse.
        margin: What may be lost of it.
        bin: The row's label, 'all' for the whole set.
        interval: 95% interval of the difference; its upper end lies below the margin's negative, or of MR2, which is
            the better the lower, its lower end above the margin.
    """

    name: str
    score: str
    margin: float
    bin: str
    interval: tuple[float, float]


@dataclass(frozen=True)
class Gate:
    """What a gate says of detectors that are compared with a first one; ``print`` shows the sentence.

    Attributes:
        first: Name of the first detector.
        names: Of the others.
        margins: What may be lost.
        losses: Rows in which more is lost, with 95% confidence each.
        looked_at: Labels of the rows with an interval.
        without_interval: Labels of the rows without one, which never fail.
    """

    first: str
    names: list[str]
    margins: list[Margin]
    losses: list[Loss]
    looked_at: list[str]
    without_interval: list[str]

    @property
    def passed(self) -> bool:
        """Whether no row fails."""
        return not self.losses

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as json content."""
        losses = [asdict(loss) for loss in self.losses]
        return {'passed': self.passed, 'losses': losses, 'without_interval': self.without_interval}

    def __str__(self) -> str:
        if not self.looked_at:
            return 'gate passed: no bin has an interval, so none can fail'
        if self.passed:
            worse = f'{listed(self.names, "or")} worse than {self.first}'
            margins = listed([str(margin) for margin in self.margins], 'or')
            return f'gate passed: in no bin is {worse} by more than {margins}, with 95% confidence'
        clauses = []
        for name in self.names:
            for margin in self.margins:
                rows = [
                    f'{loss.bin} ({100 * loss.interval[0]:+.1f} to {100 * loss.interval[1]:+.1f})'
                    for loss in self.losses
                    if (loss.name, loss.score) == (name, margin.score)
                ]
                if rows:
                    clauses.append(f'{name} is worse than {self.first} by more than {margin} in {listed(rows)}')
        return f'gate failed: with 95% confidence, {"; ".join(clauses)}'


def read_margins(texts: Sequence[str]) -> list[Margin]:
    """Return the margins of texts such as 'AP75:.01'.

    Raises:
        ValueError: If one is written otherwise, or a score is given twice.
    """
    margins = [_read(text) for text in texts]
    scores = [margin.score for margin in margins]
    for i, score in enumerate(scores):
        if score in scores[:i]:
            raise ValueError(f'gate={texts[i]!r}: {score} is given twice')
    return margins


def judge(margins: Sequence[Margin], differences: Sequence[Differences]) -> Gate:
    """Return whether a detector is worse than the first by more than a margin: in the whole set or in a bin.

    Args:
        margins: What may be lost of which scores.
        differences: Of each detector from the first.
    """
    losses: list[Loss] = []
    looked_at: dict[str, bool] = {}
    without: dict[str, bool] = {}
    for one in differences:
        for row in one.rows:
            for margin in margins:
                low, high = row.interval.get(margin.score, (float('nan'),) * 2)
                if high != high:
                    without[row.label] = True
                    continue
                looked_at[row.label] = True
                if low > margin.share if margin.score in LOWER_IS_BETTER else high < -margin.share:
                    losses.append(Loss(one.name, margin.score, margin.share, bin=row.label, interval=(low, high)))
    names = [one.name for one in differences]
    return Gate(
        differences[0].first,
        names,
        margins=list(margins),
        losses=losses,
        looked_at=list(looked_at),
        without_interval=list(without),
    )


def _read(text: str) -> Margin:
    score, colon, share = str(text).partition(':')
    if not colon:
        raise ValueError(f'gate={text!r} must be SCORE:MARGIN, such as AP75:.01 for one point of AP75')
    if score not in GATED:
        raise ValueError(f'gate={text!r}: the score must be one of {", ".join(GATED)}')
    try:
        value = float(share)
    except ValueError:
        value = float('nan')
    if not 0 <= value < 1:
        raise ValueError(f'gate={text!r}: the margin must be a share from 0 to below 1, such as .01 for one point')
    return Margin(score, value)
