"""Bins of the occlusion ratio: every image falls into exactly one."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

NO_INSTANCES = 'no instances'


@dataclass(frozen=True)
class OcclusionBins:
    """Bins between ascending edges from 0 to 1, each with its lower edge and without its upper one.

    The last bin holds 1 as well. An edge given twice is a bin of that value alone: the default begins with the
    images whose ratio is exactly 0, one in five of COCO.

    Args:
        edges: Ascending edges, the first 0 and the last 1. Defaults to (0, 0, .2, .4, .6, .8, 1).

    Raises:
        ValueError: If the edges do not ascend from 0 to 1, or one is given more than twice.
    """

    edges: tuple[float, ...] = (0.0, 0.0, 0.2, 0.4, 0.6, 0.8, 1.0)

    def __post_init__(self) -> None:
        edges = tuple(float(edge) for edge in self.edges)
        object.__setattr__(self, 'edges', edges)
        ascends = len(edges) > 1 and edges[0] == 0 and edges[-1] == 1 and all(np.diff(edges) >= 0)
        if not ascends or any(edges.count(edge) > 2 for edge in edges):
            raise ValueError(
                f'edges={edges} must ascend from 0 to 1, such as 0 0.25 0.5 0.75 1; '
                'an edge given twice is a bin of that value alone'
            )

    @property
    def labels(self) -> tuple[str, ...]:
        """A label for each bin in the notation of intervals: '0', '(0, .2)', '[.2, .4)', …, '[.8, 1]'."""
        labels = []
        for i, (low, high) in enumerate(pairwise(self.edges)):
            if low == high:
                labels.append(_short(low))
                continue
            after_point = i > 0 and self.edges[i - 1] == low
            closed = i == len(self.edges) - 2
            labels.append(f'{"(" if after_point else "["}{_short(low)}, {_short(high)}{"]" if closed else ")"}')
        return tuple(labels)

    def assign(self, ratios: Iterable[float]) -> np.ndarray:
        """Return the bin of each ratio, -1 for NaN (an image without instances).

        Raises:
            ValueError: If a ratio is outside [0, 1].
        """
        ratios = np.asarray(list(ratios), dtype=np.float64)
        known = ~np.isnan(ratios)
        if ((ratios[known] < 0) | (ratios[known] > 1)).any():
            raise ValueError(f'ratios must lie in [0, 1], found {ratios[known].min()} to {ratios[known].max()}')
        edges = np.array(self.edges)
        index = np.searchsorted(edges, ratios, side='right') - 1
        # On a doubled edge, searchsorted skips the bin of that value alone; on the last edge, the last bin.
        on_point = known & (index > 0)
        on_point[on_point] = edges[index[on_point] - 1] == ratios[on_point]
        index = np.where(on_point, index - 1, index)
        return np.where(known, np.minimum(index, len(edges) - 2), -1)

    def split(self, ratios: dict[int, float]) -> dict[str, list[int]]:
        """Return the image ids of each bin by label, and of the images without instances, where there are any."""
        index = self.assign(ratios.values())
        ids = list(ratios)
        parts = {label: [ids[i] for i in np.flatnonzero(index == b)] for b, label in enumerate(self.labels)}
        without = [ids[i] for i in np.flatnonzero(index == -1)]
        return parts | ({NO_INSTANCES: without} if without else {})


def _short(edge: float) -> str:
    return f'{edge:g}'.removeprefix('0') or '0'
