"""Results as tables of text, for the terminal, the log and the report. Shares are in percent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..text_table import align
from .engine import SCORES

if TYPE_CHECKING:
    from .result import OcclusionComparison, OcclusionResult

# What intervals, bands and classes are shown of: the publication's two measures.
SHOWN = ('AP', 'AP75')


@dataclass(frozen=True)
class Table:
    """A title, and columns of equal length by their names."""

    title: str
    columns: dict[str, list[str]]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells, row by row."""
        return list(zip(*self.columns.values()))

    def __str__(self) -> str:
        return f'{self.title}\n{align([tuple(self.columns), *self.rows()])}'


def score_table(result: OcclusionResult) -> Table:
    """Return sizes and scores of every row, and intervals and bands where there are any."""
    rows = result.rows()
    columns = {'occlusion': [row.label for row in rows]}
    for size in ('images', 'instances', 'classes'):
        columns[size] = [str(getattr(row, size)) for row in rows]
    for score in SCORES:
        columns[f'{score:>5}'] = [percent(getattr(row, score)) for row in rows]
    for title, kind in (('95%', 'interval'), ('random', 'random')):
        for score in SHOWN:
            if any(getattr(row, kind) for row in rows):
                columns[f'{score} {title}'] = [span(getattr(row, kind).get(score)) for row in rows]
    return Table(f'{result.name}: {result.settings.title}', columns)


def error_table(result: OcclusionResult) -> Table:
    """Return the errors of every row."""
    rows = result.rows()
    errors = [row.errors for row in rows]
    columns = {
        'occlusion': [row.label for row in rows],
        'FP/image': [number(e.false_positives, '.2f') if e else '-' for e in errors],
        'duplicates': [number(e.duplicates) if e else '-' for e in errors],
        'poor place': [number(e.localisation) if e else '-' for e in errors],
        'missed': [number(e.missed) if e else '-' for e in errors],
        'only partial': [percent(e.partial) if e else '-' for e in errors],
    }
    return Table(
        f'{result.name}: {result.settings.iou_type} errors at IoU .5, from a score of {result.settings.score_thr:g}',
        columns,
    )


def class_table(result: OcclusionResult) -> Table:
    """Return AP and AP75 of each class in every row."""
    rows, names = [result.all, *result.bins], list(result.all.per_class)
    columns = {'class': names}
    for score in SHOWN:
        for row in rows:
            found = [row.per_class.get(name) for name in names]
            columns[f'{score} {row.label}'] = [percent(getattr(entry, score)) if entry else '-' for entry in found]
    return Table(f'{result.name}: classes', columns)


def difference_table(comparison: OcclusionComparison) -> Table:
    """Return the differences of every row, and their intervals where there are any."""
    rows = [comparison.all, *comparison.bins]
    columns = {'occlusion': [row.label for row in rows]}
    for score in SCORES:
        columns[f'{score:>5}'] = [percent(getattr(row, score), '+') for row in rows]
    for score in SHOWN:
        if any(row.interval for row in rows):
            columns[f'{score} 95%'] = [span(row.interval.get(score), '+') for row in rows]
    return Table(f'{comparison.second.name} less {comparison.first.name}, on the same images', columns)


def number(value: float, form: str = '') -> str:
    """Return a number in a format, '-' for NaN."""
    return '-' if value != value else f'{value:{form}}'


def percent(value: float, sign: str = '') -> str:
    """Return a share in percent to one decimal, '-' for NaN."""
    return '-' if value != value else f'{100 * value:{sign}.1f}'


def span(values: Sequence[float] | None, sign: str = '') -> str:
    """Return the first and the last of the values in percent."""
    if not values or values[0] != values[0]:
        return '-'
    return f'{percent(values[0], sign)} to {percent(values[-1], sign)}'
