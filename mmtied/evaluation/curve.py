"""The curve of AP and AP75 over the occlusion ratio, as a picture. It imports matplotlib, the rest does not."""

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
    figure = Figure(figsize=(5.2 * len(result.scores), 3.9), layout='constrained')
    for panel, (axes, iou_type) in enumerate(
        zip(figure.subplots(1, len(result.scores), squeeze=False)[0], result.scores)
    ):
        rows = result.binned(iou_type)
        x = np.arange(len(rows))
        bars = axes.twinx()
        bars.bar(x, [row.images for row in rows], color='#e3e6ea', width=0.7)
        bars.set_ylim(0, 3 * max(1, *(row.images for row in rows)))
        bars.set_yticks([])
        for i, row in enumerate(rows):
            bars.annotate(f'{row.images}', (i, row.images), ha='center', va='bottom', color='#7a828c', fontsize=8)
        curves = {name: [100 * getattr(row, name) if row.images else np.nan for row in rows] for name in COLOURS}
        for name, values in curves.items():
            axes.plot(x, values, marker='o', color=COLOURS[name], label=name)
        axes.set_ylim(0, max(1, 1.15 * np.nan_to_num(list(curves.values())).max()))
        axes.set_zorder(bars.get_zorder() + 1)
        axes.patch.set_visible(False)
        axes.set(title=iou_type, xlabel='occlusion ratio of the image')
        axes.set_xticks(x, [row.bin for row in rows])
        axes.spines[['top', 'right']].set_visible(False)
        bars.spines[['top', 'right']].set_visible(False)
        if panel == 0:
            axes.set_ylabel('%  (bars: images in the bin)')
            axes.legend(frameon=False, loc='best')
    path = Path(path)
    aside = path.with_name(f'{path.name}.part')
    figure.savefig(aside, dpi=150, format=path.suffix[1:])
    return aside.replace(path)
