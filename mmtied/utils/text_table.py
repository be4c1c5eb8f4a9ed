"""Rows of text in columns."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def align(rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return lines of cells in columns of equal width: the first ones to the left, the others to the right."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = []
    for row in rows:
        cells = [f'{cell:<{w}}' if i < left else f'{cell:>{w}}' for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append('  '.join(cells).rstrip())
    return '\n'.join(lines)
