"""The figures of filter similarity: correlation matrices, histograms, mean similarity by depth (Fig. 1 and 9)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from textwrap import wrap

import numpy as np
from matplotlib import color_sequences, colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.typing import ColorType

from ...utils.figures import plain
from .measurement import BINS, KINDS, FilterSimilarity, LayerSimilarity

COLOURS = ('#1f6fb4', '#d1495b', *color_sequences['Dark2'])
IN_ROW = 8  # matrices
MOST_NAMED = 15  # layers; the names of more would cover the lines
RED_TO_BLUE = colormaps['RdBu_r'].with_extremes(bad='#b8c0c8')  # dead filters are grey
NAMES = {'patterns': 'guided back-propagation', 'weights': 'weights'}


def draw_matrices(results: Sequence[FilterSimilarity]) -> Figure:
    """Draw the correlation matrix of each layer, a row for each network and kind of similarity (Fig. 1a)."""
    lines = [
        (result, kind, layers[start : start + IN_ROW])
        for result in results
        for kind in KINDS
        for layers in [getattr(result, kind)]
        for start in range(0, len(layers), IN_ROW)
    ]
    columns = max(len(layers) for *_, layers in lines)
    figure = Figure(figsize=(1.7 * columns + 1, 2.1 * len(lines)), layout='constrained')
    grid = figure.subplots(len(lines), columns, squeeze=False)
    for line, (result, kind, layers) in zip(grid, lines):
        for axes in line:
            axes.set_axis_off()
        for axes, layer in zip(line, layers):
            axes.set_axis_on()
            axes.imshow(layer.matrix, vmin=-1, vmax=1, cmap=RED_TO_BLUE, interpolation='nearest')
            axes.set(xticks=[], yticks=[])
            axes.set_title(f'{plain(layer.layer)}\nmean {round(layer.mean, 2) + 0:.2f}', fontsize=7)  # no -0.00
        line[0].set_ylabel('\n'.join([*wrap(plain(result.name), 24), NAMES[kind]]), fontsize=8)
    scale = ScalarMappable(Normalize(-1, 1), RED_TO_BLUE)
    figure.colorbar(scale, ax=grid, shrink=0.8, label='cosine similarity')
    return figure


def draw_histograms(results: Sequence[FilterSimilarity]) -> Figure:
    """Draw the histograms of every network's layers, and the mean similarity by depth of all networks (Fig. 1b).

    A row for each kind of similarity; a line for each layer, the darker the deeper.
    """
    kinds = [kind for kind in KINDS if any(getattr(result, kind) for result in results)]
    columns = len(results) + 1
    figure = Figure(figsize=(4 * columns, 3 * len(kinds)), layout='constrained')
    grid = figure.subplots(len(kinds), columns, squeeze=False)
    shades = colormaps['viridis_r']
    for line, kind in zip(grid, kinds):
        for axes, result, colour in zip(line, results, cycle(COLOURS)):
            for layer in getattr(result, kind):
                draw_steps(axes, layer, colour=shades(0.1 + 0.9 * layer.depth), label=plain(layer.layer))
            axes.set_title(plain(result.name), fontsize=9)
            if len(getattr(result, kind)) <= MOST_NAMED:
                axes.legend(frameon=False, fontsize=6)
            depths = [layer.depth for layer in getattr(result, kind)]
            means = [layer.mean for layer in getattr(result, kind)]
            line[-1].plot(depths, means, marker='o', color=colour, label=plain(result.name))
        line[0].set_ylabel(f'{NAMES[kind]}\nprobability density', fontsize=9)
        line[-1].set_xlabel('depth: from the first convolution to the last', fontsize=8)
        shown = [layer.mean for result in results for layer in getattr(result, kind)]
        line[-1].set_ylim(min(-0.1, np.nanmin(shown) - 0.05), max(0.1, np.nanmax(shown) + 0.05))
        line[-1].set_title('mean similarity by depth', fontsize=9)
        line[-1].legend(frameon=False, fontsize=7)
    for axes in grid[:, :-1].flat:
        axes.set_xlabel('cosine similarity', fontsize=8)
    for axes in grid.flat:
        axes.tick_params(labelsize=7)
        axes.spines[['top', 'right']].set_visible(False)
    return figure


def draw_layers(results: Sequence[FilterSimilarity]) -> Figure:
    """Draw the networks' histograms over each other, a column for each layer (Fig. 9).

    Layers are paired by their order, so the networks need as many.
    """
    kinds = [kind for kind in KINDS if getattr(results[0], kind)]
    columns = max(len(getattr(results[0], kind)) for kind in kinds)
    figure = Figure(figsize=(2.4 * columns, 2.6 * len(kinds)), layout='constrained')
    grid = figure.subplots(len(kinds), columns, squeeze=False)
    for line, kind in zip(grid, kinds):
        for axes in line:
            axes.set_axis_off()
        for axes, *layers in zip(line, *(getattr(result, kind) for result in results)):
            axes.set_axis_on()
            for layer, colour, result in zip(layers, cycle(COLOURS), results):
                draw_steps(axes, layer, colour=colour, label=plain(result.name))
            axes.set_title('\n'.join(dict.fromkeys(plain(layer.layer) for layer in layers)), fontsize=7)
            axes.set_xlabel('cosine similarity', fontsize=8)
            axes.spines[['top', 'right']].set_visible(False)
        line[0].set_ylabel(f'{NAMES[kind]}\nprobability density', fontsize=8)
    lines, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(lines, names, loc='outside upper center', ncols=len(results), frameon=False, fontsize=9)
    return figure


def draw_steps(axes: Axes, layer: LayerSimilarity, colour: ColorType, label: str) -> None:
    """Draw the histogram of a layer's pairs as a line."""
    axes.stairs(layer.histogram(), BINS, color=colour, label=label, linewidth=1.2)
    axes.tick_params(labelsize=7)
