"""Results as tables of text, for the terminal, the log and the report. Shares are in percent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..utils.text_table import align
from .scores import FREQUENCY_SCORES, PEDESTRIAN_SCORES, SCORES, SHOWN, BinScores, Difference, Differences
from .settings import OcclusionSettings
from .sizes import FEW_INSTANCES, ranges

IN_LATEX = {character: f'\\{character}' for character in '&%$#_{}'}
IN_LATEX |= {'\\': r'\textbackslash{}', '~': r'\textasciitilde{}', '^': r'\textasciicircum{}'}
IN_LATEX |= {'<': '$<$', '>': '$>$', '≥': r'$\geq$', '|': r'\textbar{}'}


@dataclass(frozen=True)
class Table:
    """A table of text; ``print`` shows it aligned.

    Attributes:
        title: The line above it.
        columns: Columns of equal length by their names.
    """

    title: str
    columns: dict[str, list[str]]

    def rows(self) -> list[tuple[str, ...]]:
        """Return the cells, row by row."""
        return list(zip(*self.columns.values()))

    def __str__(self) -> str:
        return f'{self.title}\n{align([tuple(self.columns), *self.rows()])}'

    def to_markdown(self) -> str:
        """Return a table of Markdown, the first column to the left and the others to the right."""
        columns, *rows = [[_markdown(cell) for cell in row] for row in (self.columns, *self.rows())]
        rules = [':--', *['--:'] * (len(columns) - 1)]
        return ''.join(f'| {" | ".join(row)} |\n' for row in (columns, rules, *rows))

    def to_latex(self) -> str:
        """Return a tabular of LaTeX with the rules of the package booktabs; the title is a comment above it."""
        columns, *rows = [' & '.join(map(_latex, row)) + r' \\' for row in (self.columns, *self.rows())]
        alignment = f'l{"r" * (len(self.columns) - 1)}'
        lines = [rf'\begin{{tabular}}{{{alignment}}}', r'\toprule', columns, r'\midrule', *rows, r'\bottomrule']
        title = ' '.join(self.title.split())
        return '\n'.join([f'% {title}', *lines, r'\end{tabular}', ''])


def score_table(name: str, settings: OcclusionSettings, rows: Sequence[BinScores]) -> Table:
    """Return sizes and scores of every row of a detector, and intervals and bands where there are any."""
    columns = {'occlusion': [row.label for row in rows]}
    for size in ('images', 'instances', 'classes'):
        columns[size] = [str(getattr(row, size)) for row in rows]
    for score in SCORES:
        columns[f'{score:>5}'] = [percent(row.scores[score]) for row in rows]
    columns |= _further_columns(rows)
    for title, kind in (('95%', 'interval'), ('random', 'random')):
        for score in (*SHOWN, *PEDESTRIAN_SCORES):
            if any(score in getattr(row, kind) for row in rows):
                columns[f'{score} {title}'] = [span(getattr(row, kind).get(score)) for row in rows]
    return Table(f'{name}: {settings.title}', columns)


def size_table(name: str, settings: OcclusionSettings, rows: Sequence[BinScores]) -> Table:
    """Return AP and AP75 of the instances of each size in every row, with how many there are; '*' marks few."""
    columns = {'occlusion': [row.label for row in rows]}
    for score in SHOWN:
        for i, size in enumerate(ranges(settings.sizes or ())):
            columns[f'{score} {size.label}'] = [_cell(row.sizes[i], score) for row in rows]
    return Table(f'{name}: by size, the side in pixels of a square of the area (and instances)', columns)


def _cell(cell: BinScores, score: str) -> str:
    few = '*' if cell.instances < FEW_INSTANCES else ''
    return f'{percent(cell.scores[score])} ({cell.instances}){few}' if cell.instances else '-'


def error_table(name: str, settings: OcclusionSettings, rows: Sequence[BinScores]) -> Table:
    """Return the errors of every row of a detector."""
    errors = [row.errors for row in rows]
    columns = {
        'occlusion': [row.label for row in rows],
        'FP/image': [number(e.false_positives, '.2f') if e else '-' for e in errors],
        'duplicates': [number(e.duplicates) if e else '-' for e in errors],
        'localisation': [number(e.localisation) if e else '-' for e in errors],
        'missed': [number(e.missed) if e else '-' for e in errors],
        'only partial': [percent(e.partial) if e else '-' for e in errors],
    }
    return Table(f'{name}: {settings.iou_type} errors at IoU .5, for scores of {settings.score_thr:g} or more', columns)


def class_table(name: str, rows: Sequence[BinScores]) -> Table:
    """Return AP and AP75 of each class in every row of a detector, of which the first has all classes."""
    classes = list(rows[0].per_class)
    columns = {'class': classes}
    for score in SHOWN:
        for row in rows:
            found = [row.per_class.get(one) for one in classes]
            columns[f'{score} {row.label}'] = [percent(entry[score]) if entry else '-' for entry in found]
    return Table(f'{name}: classes', columns)


def overview_table(score: str, rows: Mapping[str, Sequence[BinScores]]) -> Table:
    """Return a score of several detectors, a line each, in every row of theirs.

    Args:
        score: 'AP' or another.
        rows: Those of each detector by its name.
    """
    columns = {'detector': list(rows)}
    for of_row in zip(*rows.values()):
        columns[of_row[0].label] = [percent(row.scores[score]) for row in of_row]
    return Table(f'{score} of each detector', columns)


def difference_table(differences: Differences) -> Table:
    """Return what a detector has above the first in every row, and intervals where there are any."""
    rows = differences.rows
    columns = {'occlusion': [row.label for row in rows]}
    for score in SCORES:
        columns[f'{score:>5}'] = [percent(row.scores[score], '+') for row in rows]
    columns |= _further_columns(rows, '+')
    for score in (*SHOWN, *PEDESTRIAN_SCORES):
        if any(score in row.interval for row in rows):
            columns[f'{score} 95%'] = [span(row.interval.get(score), '+') for row in rows]
    return Table(f'{differences.title}, on the same images', columns)


def _further_columns(rows: Sequence[BinScores] | Sequence[Difference], sign: str = '') -> dict[str, list[str]]:
    """Return the columns of MR-2 and JI and of LVIS's frequencies, where they were asked for."""
    columns = {}
    for scores, kind in ((PEDESTRIAN_SCORES, 'pedestrians'), (FREQUENCY_SCORES, 'frequencies')):
        found = [getattr(row, kind) for row in rows]
        for score in scores if any(found) else ():
            columns[f'{score:>5}'] = [percent(one[score], sign) if one else '-' for one in found]
    return columns


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


def _markdown(cell: str) -> str:
    """Return a cell as text that Markdown neither ends nor takes for markup."""
    return re.sub(r'[\\`*~|<]|(?<!\w)_|_(?!\w)|&(?=#?\w+;)|(?<=\])\(', r'\\\g<0>', ' '.join(cell.split()))


def _latex(cell: str) -> str:
    """Return a cell as text of LaTeX, in which a number's sign is a sign and no hyphen."""
    cell = ' '.join(cell.split())
    if cell == '-':
        return '--'
    cell = ''.join(IN_LATEX.get(character, character) for character in cell)
    cell = re.sub(r'(?<!\S)[+-][\d.]+', r'$\g<0>$', cell)
    # A row's end takes what stands in brackets behind it for a distance.
    return f'{{[}}{cell[1:]}' if cell.startswith('[') else cell
