"""The curve of AP and AP75 over the occlusion ratio, as a picture. It imports matplotlib, the scores do not need it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .evaluate import OcclusionResult

COLOURS = {'AP': '#1f6fb4', 'AP75': '#d1495b'}


def save_curve(result: OcclusionResult, path: str | Path) -> Path:
    """Draw AP and AP75 per bin, one panel for each IoU type, above bars of how many images the bins hold.

    Args:
        result: What :func:`evaluate_occlusion` returned.
        path: File to write; its ending chooses the format, such as png or pdf.

    Returns:
        The path.
    """
    figure = Figure(figsize=(5.2 * len(result.scores), 4.2), layout='constrained')
    grid = figure.subplots(2, len(result.scores), squeeze=False, sharex='col', height_ratios=(4, 1))
    for (axes, bars), iou_type in zip(grid.T, result.scores):
        rows = result.binned(iou_type)
        x = np.arange(len(rows))
        curves = {name: [100 * getattr(row, name) if row.images else np.nan for row in rows] for name in COLOURS}
        for name, values in curves.items():
            axes.plot(x, values, marker='o', color=COLOURS[name], label=name)
        axes.set(title=iou_type, ylim=(0, max(1, 1.1 * np.nan_to_num(list(curves.values())).max())))
        axes.grid(axis='y', color='#e3e6ea')
        bars.bar_label(bars.bar(x, [row.images for row in rows], color='#b8c0c8', width=0.7), fontsize=8)
        bars.margins(y=0.3)
        bars.set_xlabel('occlusion ratio of the image')
        bars.set_xticks(x, [row.bin for row in rows])
        bars.set_yticks([])
        for part in (axes, bars):
            part.spines[['top', 'right']].set_visible(False)
    grid[0, 0].set_ylabel('%')
    grid[1, 0].set_ylabel('images')
    grid[0, 0].legend(frameon=False)
    return save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure aside and rename it, so that no half-written picture is left."""
    path = Path(path)
    aside = path.with_name(f'{path.name}.part')
    figure.savefig(aside, dpi=150, format=path.suffix[1:])
    return aside.replace(path)
