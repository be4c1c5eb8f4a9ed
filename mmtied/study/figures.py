"""The study's figures: scores by occlusion in the form of Figure 7, similarities in the form of Figures 1 and 9."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from .estimate import difference, estimate, score
from .plan import ARMS

COLOURS = ('#d1495b', '#1f6fb4')  # tied, untied
STATES = {'start': '--', 'trained': '-'}


def draw_curves(runs: dict[str, dict[int, dict]], pair: tuple[str, str]) -> Figure:
    """Draw AP and AP75 of two arms by bin, mean of the seeds, and below them the first's difference to the second."""
    figure = Figure(figsize=(9, 6), layout='constrained')
    grid = figure.subplots(2, 2, sharex=True, height_ratios=(3, 2))
    bins = next(iter(runs[pair[1]].values()))['rows'][1:]
    x = np.arange(len(bins))
    for name, (curves, gains) in zip(('AP', 'AP75'), grid.T):
        for arm, colour in zip(pair, COLOURS):
            found = [estimate(*zip(*(score(name, i + 1)(run) for run in runs[arm].values()))) for i in range(len(bins))]
            curves.plot(x, [one.mean for one in found], marker='o', color=colour, label=ARMS[arm].title)
            curves.fill_between(
                x, [one.low for one in found], [one.high for one in found], color=colour, alpha=0.15, linewidth=0
            )
        apart = [difference(runs[pair[0]], runs[pair[1]], score(name, i + 1)) for i in range(len(bins))]
        middle = np.array([one.mean for one in apart])
        reach = [middle - [one.low for one in apart], [one.high for one in apart] - middle]
        gains.errorbar(x, middle, reach, fmt='o', color='#333333', capsize=3)
        gains.axhline(0, color='#888888', linewidth=0.8)
        curves.set_title(f'box {name}, %', fontsize=10, loc='left')
        gains.set_title(f'{ARMS[pair[0]].title} less {ARMS[pair[1]].title}, points', fontsize=9, loc='left')
        gains.set_xlabel('occlusion ratio of the image')
        gains.set_xticks(x, [row['label'] for row in bins], fontsize=8)
    seeds = min(len(runs[arm]) for arm in pair)
    grid[0, 1].legend(frameon=False, fontsize=8, title=f'{seeds} seeds', title_fontsize=8)
    for axes in grid.flat:
        axes.grid(axis='y', color='#e3e6ea')
        axes.spines[['top', 'right']].set_visible(False)
    return figure


def draw_similarity(runs: dict[str, dict[int, dict]], pair: tuple[str, str]) -> Figure:
    """Draw the histograms of the filters' pairwise similarity, mean of the seeds, for each layer and two arms."""
    kept = {arm: [run['similarity'] for run in runs[arm].values() if 'similarity' in run] for arm in pair}
    layers = list(dict.fromkeys(layer['layer'] for layer in kept[pair[0]][0]))
    figure = Figure(figsize=(2.6 * len(layers), 2.8), layout='constrained')
    for axes, layer in zip(figure.subplots(1, len(layers), sharey=True, squeeze=False)[0], layers):
        for arm, colour in zip(pair, COLOURS):
            for state, style in STATES.items():
                found = [one for run in kept[arm] for one in run if (one['layer'], one['state']) == (layer, state)]
                if not found:
                    continue
                histogram = np.mean([one['histogram'] for one in found], axis=0)
                edges = np.linspace(-1, 1, len(histogram) + 1)
                mean = np.mean([one['mean'] for one in found if one['mean'] is not None])
                axes.stairs(histogram, edges, color=colour, linestyle=style, label=f'{arm}, {state}: {mean:.2f}')
        axes.set_title(layer, fontsize=9)
        axes.set_xlabel('cosine similarity', fontsize=8)
        axes.legend(frameon=False, fontsize=6.5, loc='upper left')
        axes.spines[['top', 'right']].set_visible(False)
    return figure
