"""Filter similarities as files and as text."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from ...utils.figures import save_figure
from ...utils.files import write_text, written_aside
from ...utils.text_table import align
from .figure import draw_histograms, draw_layers, draw_matrices
from .measurement import FilterSimilarity


def save_similarity(results: Sequence[FilterSimilarity], settings: dict, folder: Path) -> list[Path]:
    """Write the figures, ``similarity.csv`` and ``similarity.json``.

    ``layers.png``, which draws networks over each other, needs two or more with as many layers.

    Args:
        results: Of each network.
        settings: What goes to json beside them.
        folder: Made if it is missing.

    Returns:
        The files.
    """
    table_file, json_file = folder / 'similarity.csv', folder / 'similarity.json'
    records = [record for result in results for record in result.records()]
    with written_aside(table_file) as part, part.open('w', newline='', encoding='utf-8') as file:
        table = csv.DictWriter(file, records[0])
        table.writeheader()
        table.writerows(records)
    content = dict(settings=settings, networks=[result.to_dict() for result in results])
    write_text(json_file, json.dumps(content, allow_nan=False, ensure_ascii=False))
    figures = {'histograms.png': draw_histograms, 'matrices.png': draw_matrices}
    if len(results) > 1 and len({(len(result.patterns), len(result.weights)) for result in results}) == 1:
        figures['layers.png'] = draw_layers
    return [table_file, json_file, *(save_figure(draw(results), folder / name) for name, draw in figures.items())]


def as_text(results: Sequence[FilterSimilarity]) -> str:
    """Return the means as a table."""
    rows = [('network', 'layer', 'kind', 'compared', 'dead', 'mean', 'std')]
    for record in (record for result in results for record in result.records()):
        compared = f'{record["compared"]} of {record["filters"]}'
        values = compared, str(record['dead']), f'{record["mean"]:.3f}', f'{record["std"]:.3f}'
        rows.append((record['network'], record['layer'], record['kind'], *values))
    return align(rows, left=3)
