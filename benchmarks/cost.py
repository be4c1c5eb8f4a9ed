#!/usr/bin/env python3
"""Make the tables and the figure of docs/cost.md from what deploy.py and backbones.py have measured."""

from __future__ import annotations

import csv
from pathlib import Path

from matplotlib.figure import Figure
from networks import BASE

from mmtied.utils.figures import save_figure

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / 'benchmarks' / 'results'
MARKERS = 'os^Dv'


def read(path: Path) -> tuple[str, list[dict[str, str]]]:
    """Return what a result says of its machine, and its rows."""
    machine, *lines = path.read_text().splitlines()
    return machine.removeprefix('# '), list(csv.DictReader(lines))


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ['---', *['---:'] * (len(head) - 1)], *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines) + '\n'


def deployed(rows: list[dict[str, str]]) -> str:
    """Return the table of one network a row: its ratio in each runtime, and that of the best ones."""
    parts = []
    for size, batch in dict.fromkeys((row['size'], row['batch']) for row in rows):
        own = [row for row in rows if (row['size'], row['batch']) == (size, batch)]
        runtimes = [*dict.fromkeys(row['runtime'] for row in own)]
        by = {(row['network'], row['runtime']): row for row in own}
        lines = []
        for name in dict.fromkeys(row['network'] for row in own):
            first = by[name, runtimes[0]]
            ratios = [f'{float(by[name, runtime]["ratio"]):.2f}' for runtime in runtimes]
            if name == BASE:
                ratios = [f'{float(by[name, runtime]["ms"]):.0f} ms' for runtime in runtimes]
            lines.append([name, f'{float(first["MACs ratio"]):.2f}', *ratios, f'{float(first["best ratio"]):.2f}'])
        head = [f'{size}, batch {batch}', 'multiply-adds', *runtimes, 'best to best']
        parts.append(table(head, lines))
    return '\n'.join(parts)


def trained(rows: list[dict[str, str]]) -> str:
    """Return the table of training steps."""
    layouts = [*dict.fromkeys(row['layout'] for row in rows)]
    by = {(row['network'], row['layout']): row for row in rows}
    lines = []
    for name in dict.fromkeys(row['network'] for row in rows):
        first = by[name, layouts[0]]
        times = [
            f'{float(by[name, layout]["ms"]):.0f} ms' if name == BASE else f'{float(by[name, layout]["ratio"]):.2f}'
            for layout in layouts
        ]
        ratios = [f'{float(first[key]):.2f}' for key in ('best ratio', 'kept ratio')]
        lines.append([name, f'{float(first["MACs ratio"]):.2f}', *times, *ratios])
    return table(['training step', 'multiply-adds', *layouts, 'best to best', 'kept for backward'], lines)


def figure(rows: list[dict[str, str]]) -> Figure:
    """Return time and multiply-adds of each network, both as shares of ResNet-50's."""
    shapes = [*dict.fromkeys((row['size'], row['batch']) for row in rows)]
    names = [*dict.fromkeys(row['network'] for row in rows)][::-1]
    drawn = Figure(figsize=(3.6 * len(shapes) + 1, 0.4 * len(names) + 1.2), layout='constrained')
    for axes, shape in zip(drawn.subplots(1, len(shapes), squeeze=False, sharey=True)[0], shapes):
        own = [row for row in rows if (row['size'], row['batch']) == shape]
        macs = {row['network']: float(row['MACs ratio']) for row in own}
        axes.barh(names, [macs[name] for name in names], color='0.85', label='multiply-adds')
        for k, runtime in enumerate(dict.fromkeys(row['runtime'] for row in own)):
            ratios = {row['network']: float(row['ratio']) for row in own if row['runtime'] == runtime}
            axes.plot([ratios[name] for name in names], names, MARKERS[k], label=runtime, alpha=0.8)
        axes.axvline(1, color='grey', linewidth=1)
        axes.set(xlabel='share of ResNet-50', title=f'{shape[0]}, batch {shape[1]}', xlim=(0, 1.6))
    drawn.legend(*drawn.axes[0].get_legend_handles_labels(), loc='outside lower center', ncols=6)
    return drawn


def main() -> None:
    machine, rows = read(RESULTS / 'deploy_cpu.csv')
    save_figure(figure(rows), ROOT / 'docs' / 'images' / 'cost.png')
    print(machine, deployed(rows), sep='\n\n')
    machine, rows = read(RESULTS / 'backbones_cpu.csv')
    print(machine, trained(rows), sep='\n\n')


if __name__ == '__main__':
    main()
