"""The figure of the operators' cost over B (Fig. 3)."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from ...utils.figures import plain
from .measurement import PASSES, OperatorCost

COLOURS = {'group': '#1f6fb4', 'tied, blocks folded': '#d1495b', 'tied, filters repeated': '#e79aa3'}


def draw_costs(costs: Sequence[OperatorCost], title: str) -> Figure:
    """Draw time above and memory below, forward on the left; B = 1 is the standard convolution for every line."""
    told = any(cost.mb is not None for cost in costs)
    figure = Figure(figsize=(8, 3.1 * (1 + told)), layout='constrained')
    grid = figure.subplots(1 + told, len(PASSES), sharex=True, squeeze=False)
    for column, direction in zip(grid.T, PASSES):
        of_pass = [cost for cost in costs if cost.direction == direction]
        for axes, value, unit in zip(column, ('ms', 'mb'), ('time, ms', 'memory, MB')):
            for operator, colour in COLOURS.items():
                line = [cost for cost in of_pass if cost.operator in (operator, 'standard')]
                blocks = [cost.blocks for cost in line]
                axes.plot(blocks, [getattr(cost, value) for cost in line], marker='o', color=colour, label=operator)
            standard = [(cost.blocks, getattr(cost, value)) for cost in of_pass if cost.operator == 'standard']
            axes.plot(*zip(*standard), marker='D', color='black', linestyle='', label='standard')
            axes.set_xscale('log', base=2)
            axes.set_xticks(blocks, blocks)
            axes.set_ylim(0, 1.1 * axes.dataLim.y1)
            axes.set_ylabel(f'{direction}: {unit}', fontsize=9)
            axes.grid(axis='y', color='#e3e6ea')
            axes.spines[['top', 'right']].set_visible(False)
        column[-1].set_xlabel('B (blocks, or groups)')
    grid[0, 0].legend(frameon=False, fontsize=8)
    figure.suptitle(plain(title), fontsize=9)
    return figure
