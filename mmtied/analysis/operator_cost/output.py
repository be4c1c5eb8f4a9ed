"""The operators' cost as csv and as text."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, fields

from ...utils.text_table import align
from .measurement import OperatorCost


def to_rows(costs: Sequence[OperatorCost]) -> list[dict]:
    """Return the costs as rows of a table, times and memory with four digits."""
    rows = [asdict(cost) for cost in costs]
    return [row | {key: f'{row[key]:.4g}' for key in ('gmacs', 'ms', 'mb') if row[key] is not None} for row in rows]


def to_csv(costs: Sequence[OperatorCost], setting: str) -> str:
    """Return the costs, each with machine, versions and size of the input."""
    text = io.StringIO()
    columns = [*(field.name for field in fields(OperatorCost)), 'setting']
    table = csv.DictWriter(text, columns, lineterminator='\n')
    table.writeheader()
    table.writerows(row | {'setting': setting} for row in to_rows(costs))
    return text.getvalue()


def as_text(costs: Sequence[OperatorCost]) -> str:
    """Return the costs as a table, with the ratio to the standard convolution."""
    standard = {cost.direction: cost.ms for cost in costs if cost.operator == 'standard'}
    rows = [('operator', 'pass', 'B', 'filters', 'parameters', 'GMACs', 'ms', 'ratio', 'MB')]
    for cost in costs:
        memory = '-' if cost.mb is None else f'{cost.mb:.1f}'
        sizes = (str(cost.blocks), str(cost.filters), f'{cost.parameters:,}', f'{cost.gmacs:.2f}')
        times = (f'{cost.ms:.2f}', f'{cost.ms / standard[cost.direction]:.2f}')
        rows.append((cost.operator, cost.direction, *sizes, *times, memory))
    return align(rows, left=2)
