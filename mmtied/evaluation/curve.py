"""The curve of AP and AP75 over the occlusion ratio, as a picture. It imports matplotlib, the scores do not need it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .evaluate import OcclusionResult

COLOURS = {'AP': '#1f6fb4', 'AP75': '#d1495b'}


def save_curve(result: OcclusionResult, path: str | Path) -> Path:
    """Draw AP and AP75 per bin, above bars of how many images the bins hold.

    Args:
        result: What :func:`evaluate_occlusion` returned.
        path: File to write; its ending chooses the format, such as png or pdf.

    Returns:
        The path.
    """
    figure = Figure(figsize=(6.4, 4.4), layout='constrained')
    axes, bars = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
    x = np.arange(len(result.bins))
    curves = {name: [100 * getattr(row, name) for row in result.bins] for name in COLOURS}
    for name, values in curves.items():
        axes.plot(x, values, marker='o', color=COLOURS[name], label=name)
    axes.set_ylim(0, max(1, 1.1 * np.nan_to_num(list(curves.values())).max()))
    axes.set_ylabel(f'{result.settings["iou_type"]}, %')
    axes.grid(axis='y', color='#e3e6ea')
    axes.legend(frameon=False)
    bars.bar_label(bars.bar(x, [row.images for row in result.bins], color='#b8c0c8', width=0.7), fontsize=8)
    bars.margins(y=0.3)
    bars.set(ylabel='images', xlabel='occlusion ratio of the image', yticks=[])
    bars.set_xticks(x, [row.label for row in result.bins])
    for part in (axes, bars):
        part.spines[['top', 'right']].set_visible(False)
    return save_figure(figure, path)


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure aside and rename it, so that no half-written picture is left."""
    path = Path(path)
    aside = path.with_name(f'{path.name}.part')
    figure.savefig(aside, dpi=150, format=path.suffix[1:])
    return aside.replace(path)
