"""All files of an evaluation in one folder: scores, manifest, curves, pictures and the report."""

from __future__ import annotations

import csv
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ...utils.errors import InputError
from ...utils.figures import save_figure
from ..result import OcclusionComparison, OcclusionResult
from .gallery import median_images, save_gallery
from .page import save_report


def save_all(
    result: OcclusionResult | OcclusionComparison, folder: str | Path, image_dir: str | Path | None = None
) -> list[Path]:
    """Write everything aside and move it into place when it is complete, so that no half-written file is left.

    Args:
        result: What :func:`evaluate_occlusion` or :func:`compare_occlusion` returned.
        folder: Made if it is missing. Files of an earlier evaluation are replaced.
        image_dir: Folder of the ground truth's ``file_name``, for the galleries. Defaults to None: no galleries.

    Returns:
        The files.

    Raises:
        InputError: If an image is not in its folder or cannot be read, or the folder cannot be written to; no file is
            written then.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Inside the folder: moving from elsewhere may cross file systems.
        with tempfile.TemporaryDirectory(prefix='.writing-', dir=folder) as staging:
            _fill(Path(staging), result, image_dir)
            files = sorted(Path(staging).iterdir())
            for file in files:
                if (folder / file.name).is_dir():
                    raise InputError(f'{folder / file.name}: cannot be written: it is a folder')
            return [file.replace(folder / file.name) for file in files]
    except OSError as error:
        raise InputError(f'{error.filename or folder}: cannot be written: {error.strerror or error}') from error


def _fill(folder: Path, result: OcclusionResult | OcclusionComparison, image_dir: str | Path | None) -> None:
    content = json.dumps(result.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)
    (folder / 'occlusion.json').write_text(content, encoding='utf-8')
    records = result.records()
    _table(folder / 'occlusion.csv', list(records[0]), [record.values() for record in records])
    _table(folder / 'manifest.csv', result.models[0].manifest_columns, result.manifest())
    figure = result.plot()
    for suffix in ('png', 'pdf'):
        save_figure(figure, folder / f'curve.{suffix}')
    if image_dir and median_images(result.models[0]):
        save_gallery(result, image_dir, folder / 'gallery.png')
    save_report(result, folder / 'report.html', image_dir)


def _table(path: Path, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    with path.open('w', newline='', encoding='utf-8') as file:
        table = csv.writer(file)
        table.writerow(columns)
        table.writerows(rows)
