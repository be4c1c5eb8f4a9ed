"""The table of single objects as a file: csv, or parquet where pandas and pyarrow are installed."""

from __future__ import annotations

import csv
from pathlib import Path

from ...utils.errors import InputError
from ...utils.files import written_aside
from ..objects import object_table
from ..result import OcclusionComparison, OcclusionResult

ENDINGS = ('.csv', '.parquet')
NEEDED = 'parquet needs pandas and pyarrow (pip install pandas pyarrow); .csv needs neither'


def save_objects(result: OcclusionResult | OcclusionComparison, path: str | Path) -> Path:
    """Write :func:`~mmtied.evaluation.object_table` aside, and return the path once it is there.

    Ids that are not all whole numbers become text in parquet, whose columns are of one type.

    Args:
        result: What :func:`evaluate_occlusion` or :func:`compare_occlusion` returned.
        path: File to write, .csv or .parquet.

    Raises:
        InputError: If the ending is another, the libraries of parquet are missing, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in ENDINGS:
        raise InputError(f'{path}: must end in {" or ".join(ENDINGS)}')
    table = object_table(result)
    try:
        with written_aside(path) as part:
            if path.suffix == '.csv':
                with part.open('w', newline='', encoding='utf-8') as file:
                    lines = csv.writer(file)
                    lines.writerow(table)
                    lines.writerows(zip(*table.values()))
            else:
                _write_parquet(table, part)
    except ImportError as error:
        raise InputError(
            f'{path}: parquet needs pandas and pyarrow (pip install pandas pyarrow); or give .csv'
        ) from error
    except OSError as error:
        raise InputError(f'{error.filename or path}: cannot be written: {error.strerror or error}') from error
    return path


def _write_parquet(table: dict[str, list], path: Path) -> None:
    from pandas import DataFrame, array

    columns = dict(table)
    for name in ('image_id', 'annotation_id', 'detection'):
        values = table[name]
        whole = all(value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in values)
        columns[name] = (
            array(values, dtype='Int64') if whole else [None if value is None else str(value) for value in values]
        )
    for name in ('score_50', 'score_75', 'iou', 'score', 'x', 'y', 'width', 'height', 'area', 'size'):
        columns[name] = array([float('nan') if value is None else value for value in table[name]], dtype='float64')
    DataFrame(columns).to_parquet(path, engine='pyarrow', index=False)
