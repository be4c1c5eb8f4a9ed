"""Bins of the occlusion ratio: every image falls into exactly one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True)
class OcclusionBins:
    """Bins between ascending edges from 0 to 1, each with its lower edge and without its upper one.

    The last bin holds 1 as well. With the zero bin, images whose ratio is exactly 0 are a bin of their own: one in
    five of COCO.

    Args:
        edges: Ascending edges, the first 0 and the last 1. Defaults to (0, .2, .4, .6, .8, 1).
        zero_bin: Whether exactly 0 is a bin beside the first one. Defaults to True.

    Raises:
        ValueError: If the edges do not ascend from 0 to 1.
    """

    edges: tuple[float, ...] = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    zero_bin: bool = True

    def __post_init__(self) -> None:
        edges = tuple(float(edge) for edge in self.edges)
        object.__setattr__(self, 'edges', edges)
        if len(edges) < 2 or edges[0] != 0 or edges[-1] != 1 or not all(low < high for low, high in pairwise(edges)):
            raise ValueError(f'edges={edges} must ascend from 0 to 1, such as 0 0.25 0.5 0.75 1')

    @property
    def limits(self) -> list[tuple[float, float]]:
        """Lower and upper edge of each bin; the zero bin's are both 0."""
        return [(0.0, 0.0)] * self.zero_bin + list(pairwise(self.edges))

    @property
    def labels(self) -> list[str]:
        """A label for each bin in the notation of intervals: '0', '(0, .2)', '[.2, .4)', …, '[.8, 1]'."""
        labels = ['0'] * self.zero_bin
        for low, high in pairwise(self.edges):
            opening = '(' if self.zero_bin and low == 0 else '['
            labels.append(f'{opening}{_short(low)}, {_short(high)}{"]" if high == 1 else ")"}')
        return labels

    def assign(self, ratios: Iterable[float]) -> np.ndarray:
        """Return the bin of each ratio, -1 for NaN (an image without instances).

        Raises:
            ValueError: If a ratio is outside [0, 1].
        """
        ratios = np.asarray(list(ratios), dtype=np.float64)
        known = ~np.isnan(ratios)
        if ((ratios[known] < 0) | (ratios[known] > 1)).any():
            raise ValueError(f'ratios must lie in [0, 1], found {ratios[known].min()} to {ratios[known].max()}')
        index = np.searchsorted(self.edges[1:-1], ratios, side='right')
        if self.zero_bin:
            index += ratios > 0
        return np.where(known, index, -1)


def _short(edge: float) -> str:
    return f'{edge:g}'.removeprefix('0') or '0'
