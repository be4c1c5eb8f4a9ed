"""Bins of the occlusion ratio, or of words: every ratio or word falls into exactly one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from ..utils.options import explained, option

# CityPersons' setups by the visible share of instances; both ends belong to each.
SETUPS = {'reasonable': (0.65, 1.0), 'bare': (0.9, 1.0), 'partial': (0.65, 0.9), 'heavy': (0.0, 0.65)}
DECIMALS = 12  # of the visible share: 1 - (1 - share) is not always the share


@explained
@dataclass(frozen=True)
class OcclusionBins:
    """Bins between ascending edges from 0 to 1, each with its lower edge and without its upper one.

    The last bin holds its upper edge and all beyond as well: `pairwise` ratios may exceed 1. With the zero bin, images
    whose ratio is exactly 0 are a bin of their own: one in five of COCO.

    Cumulative rows overlap, but the bin of a ratio is the same either way.

    Raises:
        ValueError: If the edges do not ascend from 0 to 1 or more, or ``citypersons`` is given with others.

    Example:
        >>> from mmtied.evaluation import OcclusionBins
        >>> bins = OcclusionBins((0, 0.5, 1))
        >>> bins.labels, bins.assign([0, 0.2, 0.5]).tolist()
        (['0', '(0, .5)', '[.5, 1]'], [0, 1, 2])
    """

    edges: tuple[float, ...] = option(
        (0.0, 0.2, 0.4, 0.6, 0.8, 1.0), 'ascending edges of the bins, the first 0 and the last 1 or more'
    )
    zero_bin: bool = option(
        True, 'whether exactly 0 is a bin of its own', negated='count images whose ratio is exactly 0 in the first bin'
    )
    cumulative: bool = option(False, 'a row holds its bin and all above: every ratio from its lower edge up')
    citypersons: bool = option(
        False,
        "the rows are CityPersons' setups in place of bins, by the visible share of the instances: reasonable (.65 and "
        'up), bare (.9 and up), partial (.65 to .9), heavy (up to .65)',
    )

    def __post_init__(self) -> None:
        if self.citypersons and (self.edges != OcclusionBins.edges or self.cumulative or not self.zero_bin):
            raise ValueError('citypersons has rows of its own: leave out edges, centres, cumulative and zero_bin')
        edges = tuple(float(edge) + 0.0 for edge in self.edges)  # no -0
        object.__setattr__(self, 'edges', edges)
        ascending = all(low < high < float('inf') for low, high in pairwise(edges))
        if len(edges) < 2 or edges[0] != 0 or not edges[-1] >= 1 or not ascending:
            raise ValueError(f'edges={edges} must ascend from 0 to 1, such as 0 0.25 0.5 0.75 1')

    @classmethod
    def nearest(cls, centres: Sequence[float], cumulative: bool = False) -> OcclusionBins:
        """Return bins that hold what is nearest to each centre, as for a curve over 0, .2, .4, .6, .8.

        The edges lie half-way between the centres. There is no bin of exactly 0.

        Args:
            centres: Two or more that ascend, from 0 to below 1.
            cumulative: As of the class. Defaults to False.

        Raises:
            ValueError: If there are fewer than two centres, or they do not ascend between 0 and 1.
        """
        centres = [float(centre) for centre in centres]
        inside = all(0 <= low < high < 1 for low, high in pairwise(centres))
        if len(centres) < 2 or not inside:
            raise ValueError(
                f'centres={centres} must be two or more that ascend between 0 and 1, such as 0 .2 .4 .6 .8'
            )
        middles = [round((low + high) / 2, 12) for low, high in pairwise(centres)]
        return cls((0.0, *middles, 1.0), zero_bin=False, cumulative=cumulative)

    @property
    def limits(self) -> list[tuple[float, float]]:
        """Lower and upper edge of each row; the zero bin's are both 0. Cumulative rows all reach to the last edge."""
        if self.citypersons:
            return [(round(1 - high, DECIMALS), round(1 - low, DECIMALS)) for low, high in SETUPS.values()]
        limits = [(0.0, 0.0)] * self.zero_bin + list(pairwise(self.edges))
        return [(low, self.edges[-1]) for low, _ in limits] if self.cumulative else limits

    @property
    def labels(self) -> list[str]:
        """The label of each row, '0', '(0, .2)', '[.2, .4)', …, '[.8, 1]', or cumulative '≥ 0', '> 0', '≥ .2', …."""
        if self.citypersons:
            return list(SETUPS)
        if self.cumulative:
            labels = [f'≥ {_short(low)}' for low, _ in self.limits]
            return [labels[0], '> 0', *labels[2:]] if self.zero_bin else labels
        labels = ['0'] * self.zero_bin
        for low, high in pairwise(self.edges):
            opening = '(' if self.zero_bin and low == 0 else '['
            closing = ']' if high == self.edges[-1] else ')'
            labels.append(f'{opening}{_short(low)}, {_short(high)}{closing}')
        return labels

    def assign(self, ratios: Iterable[float]) -> np.ndarray:
        """Return the bin of each ratio, (n,), -1 for NaN (an image without instances).

        Of rows that overlap it is the narrowest, of CityPersons' setups bare, partial or heavy.

        Args:
            ratios: n ratios, from 0 up.

        Raises:
            ValueError: If a ratio is below 0.
        """
        ratios = np.asarray(list(ratios), dtype=np.float64)
        known = ~np.isnan(ratios)
        if (ratios[known] < 0).any():
            raise ValueError(f'ratios must not be negative, found {ratios[known].min()}')
        if self.citypersons:
            bare, partial, heavy = (list(SETUPS).index(name) for name in ('bare', 'partial', 'heavy'))
            members = self.members(ratios)
            index = np.where(members[bare], bare, np.where(members[partial], partial, heavy))
            return np.where(known, index, -1)
        index = np.searchsorted(self.edges[1:-1], ratios, side='right')
        if self.zero_bin:
            index += ratios > 0
        return np.where(known, index, -1)

    def members(self, ratios: np.ndarray) -> list[np.ndarray]:
        """Return which of the ratios each row holds, (n,) bool for each row.

        Cumulative rows hold all bins from theirs up, and CityPersons' setups both of their ends.

        Args:
            ratios: From 0 up; NaN is in none, (n,).
        """
        if self.citypersons:
            visible = np.round(1 - ratios, DECIMALS)
            return [(low <= visible) & (visible <= high) for low, high in SETUPS.values()]
        rows, assigned = range(len(self.labels)), self.assign(ratios)
        return [assigned >= row if self.cumulative else assigned == row for row in rows]


@dataclass(frozen=True)
class WordBins:
    """A bin for each word.

    Attributes:
        labels: The words, which are the labels.
    """

    labels: tuple[str, ...]

    @property
    def limits(self) -> list[tuple[None, None]]:
        """No edges, for each row."""
        return [(None, None)] * len(self.labels)

    def assign(self, indices: np.ndarray) -> np.ndarray:
        """Return the bin of each index of a word, (n,), -1 for NaN (without a word)."""
        return np.where(np.isnan(indices), -1, indices).astype(int)

    def members(self, indices: np.ndarray) -> list[np.ndarray]:
        """Return which of the indices of words each row holds, (n,) bool for each row."""
        return [indices == row for row in range(len(self.labels))]


def _short(edge: float) -> str:
    return f'{edge:.12g}'.removeprefix('0') or '0'
