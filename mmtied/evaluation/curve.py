"""The curves of AP and AP75 over the occlusion ratio, as a picture. It imports matplotlib, which no score needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from ..utils.figures import add_legend, plain
from .scores import SHOWN, BinScores
from .settings import OcclusionSettings

# Of up to eight detectors; the markers tell them apart without colours as well.
COLOURS = ('#1f6fb4', '#d1495b', '#e08e0b', '#6f4fa8', '#1a9c9c', '#8a5a36', '#d66fb5', '#4a5560')
MARKERS = 'os^Dv*XP'
BAND = '#9aa5b1'
AREAS = 2  # detectors whose intervals can be areas: those of more hide each other


def draw_curves(settings: OcclusionSettings, bins: Mapping[str, Sequence[BinScores]]) -> Figure:
    """Draw AP and AP75 per bin of one to eight detectors, above bars of how many images or instances the bins hold.

    About each curve lies its bootstrap interval, of more than two detectors as lines beside each other. Grey is the
    band of random image subsets as large as the bins, in the mean of which a detector would lie that occlusion does not
    touch; it is the first detector's.

    Args:
        settings: Of all detectors.
        bins: The rows of each detector by its name.
    """
    figure = Figure(figsize=(9, 4.4), layout='constrained')
    grid = figure.subplots(2, len(SHOWN), sharex=True, height_ratios=(4, 1), squeeze=False)
    rows = next(iter(bins.values()))
    x = np.arange(len(rows))
    places = np.linspace(-0.25, 0.25, len(bins)) if len(bins) > AREAS else np.zeros(len(bins))
    for score, axes in zip(SHOWN, grid[0]):
        band = 100 * np.array([row.random.get(score, (np.nan,) * 3) for row in rows], dtype=float)
        if not np.isnan(band).all():
            axes.fill_between(x, band[:, 0], band[:, 2], color=BAND, alpha=0.25, linewidth=0)
            axes.plot(x, band[:, 1], color=BAND, linestyle='--', label='random subsets')
        for (name, own), colour, marker, place in zip(bins.items(), COLOURS, MARKERS, places):
            values = [100 * row.scores[score] for row in own]
            axes.plot(x + place, values, marker=marker, color=colour, label=plain(name))
            low, high = 100 * np.array([row.interval.get(score, (np.nan,) * 2) for row in own], dtype=float).T
            if len(bins) > AREAS:
                axes.vlines(x + place, low, high, color=colour, alpha=0.5)
            else:
                axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
        axes.set_title(f'{settings.iou_type} {score}, %', fontsize=10, loc='left')
        axes.grid(axis='y', color='#e3e6ea')
        axes.margins(y=0.1)
    if len(bins) > AREAS:
        add_legend(figure, grid[0, -1].get_legend_handles_labels()[0])
    else:
        grid[0, -1].legend(frameon=False, fontsize=8)
    per_instance = settings.per_instance
    held = [row.instances if per_instance else row.images for row in rows]
    for bars in grid[1]:
        bars.bar_label(bars.bar(x, held, color='#b8c0c8', width=0.7), fontsize=8)
        bars.margins(y=0.3)
        bars.set(yticks=[], xlabel=plain(settings.quantity))
        bars.set_xticks(x, [plain(row.label) for row in rows], fontsize=8)
    grid[1, 0].set_ylabel('instances' if per_instance else 'images')
    for part in grid.flat:
        part.spines[['top', 'right']].set_visible(False)
    return figure
