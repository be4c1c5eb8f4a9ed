"""The report: one HTML page that opens offline, with curves, tables and a gallery. It imports plotly and jinja2."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ...utils.files import write_text
from ...utils.pages import fill_template
from ...utils.words import listed
from ..curve import AREAS, BAND, COLOURS
from ..result import OcclusionComparison, OcclusionResult
from ..scores import SHOWN, BinScores, Differences
from ..sizes import FEW_INSTANCES, ranges
from ..table import percent
from .cards import make_cards

# Of the detectors, as MARKERS of the curve.
SYMBOLS = ('circle', 'square', 'triangle-up', 'diamond', 'triangle-down', 'star', 'x', 'cross')
GREY = '#e3e6ea'
TEMPLATE = Path(__file__).with_name('page.html.j2')
LAYOUT: dict[str, Any] = {
    'template': 'simple_white',
    'margin': {'l': 48, 'r': 12, 't': 40, 'b': 100},
    'height': 360,
    'legend': {'orientation': 'h', 'yref': 'container', 'y': 0, 'yanchor': 'bottom', 'font': {'size': 11}},
    'font': {'family': 'system-ui, sans-serif', 'size': 12},
    'hovermode': 'x unified',
}


def save_report(
    result: OcclusionResult | OcclusionComparison, path: str | Path, image_dir: str | Path | None = None
) -> Path:
    """Write the report.

    Args:
        result: What :func:`evaluate_occlusion` or :func:`compare_occlusion` returned.
        path: HTML file to write.
        image_dir: Folder of the ground truth's ``file_name``, for the gallery. Defaults to None: no gallery.

    Returns:
        The path.

    Raises:
        InputError: If an image is not in the folder or cannot be read; nothing is written then.
    """
    results = result.models
    figures = [curve_figure(results, score) for score in SHOWN]
    if isinstance(result, OcclusionComparison):
        figures += [difference_figure(result.differences, score) for score in SHOWN]
    if results[0].settings.sizes:
        figures += [size_figure(one, score, len(results) > 1) for one in results for score in SHOWN]
    figures.append(ratio_figure(results[0]))
    orders, cards = make_cards(results, image_dir) if image_dir else ([], [])
    page = fill_template(
        TEMPLATE,
        results=results,
        names=listed([one.name for one in results]),
        settings=results[0].settings,
        gate=result.gate if isinstance(result, OcclusionComparison) else None,
        remarks=result.remarks(),
        plotly=get_plotlyjs(),
        figures=[figure_html(figure) for figure in figures],
        comparisons=result.comparisons(),
        orders=orders,
        cards=cards,
        colours=COLOURS,
    )
    return write_text(path, page)


def as_shown(text: str) -> str:
    """Return a text of the data as plotly shows it unchanged; of html it knows tags, and no entity for quotes."""
    return escape(text, quote=False)


def figure_html(figure: go.Figure) -> str:
    """Return a figure as HTML that the page's own copy of plotly draws; plotly escapes what would end the script."""
    config = {'displaylogo': False, 'responsive': True, 'displayModeBar': False}
    return figure.to_html(full_html=False, include_plotlyjs=False, config=config)


def curve_figure(results: Sequence[OcclusionResult], score: str) -> go.Figure:
    """Return the curve of a score over the bins, with the intervals and the band of random subsets."""
    figure = go.Figure(layout=LAYOUT)
    labels = [as_shown(row.label) for row in results[0].bins]
    bands = [row.random.get(score, (np.nan,) * 3) for row in results[0].bins]
    if any(band[1] == band[1] for band in bands):
        low, mean, high = 100 * np.array(bands).T
        figure.add_traces(area(labels, low, high=high, colour=BAND, group='random'))
        line = {'color': BAND, 'dash': 'dash'}
        figure.add_scatter(x=labels, y=mean, mode='lines', line=line, name='random subsets', legendgroup='random')
    for result, colour, symbol in zip(results, COLOURS, SYMBOLS):
        name = as_shown(result.name)
        values = np.array([100 * row.scores[score] for row in result.bins])
        look: dict[str, Any] = {'line': {'color': colour}, 'marker': {'symbol': symbol, 'size': 7}}
        low, high = 100 * np.array([row.interval.get(score, (np.nan,) * 2) for row in result.bins]).T
        if len(results) > AREAS:
            look |= {'error_y': error_bars(values, low, high) | {'thickness': 1, 'width': 2}, 'offsetgroup': name}
        elif not np.isnan(low).all():
            figure.add_traces(area(labels, low, high=high, colour=colour, group=name))
        figure.add_scatter(x=labels, y=values, mode='lines+markers', name=name, legendgroup=name, **look)
    figure.update_xaxes(title=as_shown(results[0].settings.quantity), type='category')
    figure.update_yaxes(tickformat='.1f', hoverformat='.1f', showgrid=True)
    scattermode = 'group' if len(results) > AREAS else 'overlay'  # beside each other, as the bars of a group
    figure.update_layout(title=f'{results[0].settings.iou_type} {score}, %', scattermode=scattermode, scattergap=0.5)
    return with_room(figure)


def area(labels: Sequence[str], low: np.ndarray, high: np.ndarray, colour: str, group: str) -> list[go.Scatter]:
    """Return the two borders of an area and its filling; a click on the group's name in the legend hides them too."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    border: dict[str, Any] = {'x': labels, 'mode': 'lines', 'line': {'width': 0}, 'hoverinfo': 'skip'}
    border |= {'legendgroup': group, 'showlegend': False}
    filling = {'fill': 'tonexty', 'fillcolor': f'rgba({red}, {green}, {blue}, .2)'}
    return [go.Scatter(y=low, **border), go.Scatter(y=high, **filling, **border)]


def difference_figure(differences: Sequence[Differences], score: str) -> go.Figure:
    """Return how far a score of each detector is from that of the first in each bin, with intervals."""
    figure = go.Figure(layout=LAYOUT)
    for one, colour in zip(differences, COLOURS[1:]):
        values = np.array([100 * row.scores[score] for row in one.bins])
        low, high = 100 * np.array([row.interval.get(score, (np.nan,) * 2) for row in one.bins]).T
        bars = {'error_y': error_bars(values, low, high), 'marker_color': colour, 'name': as_shown(one.name)}
        figure.add_bar(x=[as_shown(row.label) for row in one.bins], y=values, **bars)
    figure.update_xaxes(type='category')
    figure.update_yaxes(tickformat='+.1f', hoverformat='+.1f', zeroline=True, zerolinecolor='#888')
    if len(differences) == 1:
        return figure.update_layout(title=f'difference of {score}, points', showlegend=False, margin_b=44)
    figure.update_layout(title=f'difference of {score} from the first, points')
    return with_room(figure)


def with_room(figure: go.Figure) -> go.Figure:
    """Return a figure that is higher by what its legend needs beyond two lines, on the narrowest screen."""
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    in_line = max(1, 300 // (50 + 6 * max(map(len, names))))  # pixels; plotly makes all entries as wide as the longest
    beyond = 20 * max(0, ceil(len(names) / in_line) - 2)
    return figure.update_layout(height=LAYOUT['height'] + beyond, margin_b=LAYOUT['margin']['b'] + beyond)


def error_bars(values: np.ndarray, low: np.ndarray, high: np.ndarray) -> dict[str, Any]:
    """Return the ends of intervals about values, as plotly takes them; NaN draws none."""
    return {'type': 'data', 'symmetric': False, 'array': high - values, 'arrayminus': values - low}


def size_figure(result: OcclusionResult, score: str, named: bool) -> go.Figure:
    """Return a score of each size in each bin as a heat map with counts; cells of few instances are grey.

    Args:
        result: Of one detector.
        score: 'AP' or another.
        named: Whether the detector's name stands above it.
    """
    sizes = ranges(result.settings.sizes or ())
    cells = [[row.sizes[i] for row in result.bins] for i in range(len(sizes))]
    shares = 100 * np.array([[cell.scores[score] for cell in line] for line in cells])
    counts = np.array([[cell.instances for cell in line] for line in cells])
    few = counts < FEW_INSTANCES
    place = {'x': [as_shown(row.label) for row in result.bins], 'y': [size.label for size in sizes]}
    look = {'texttemplate': '%{text}', 'hoverinfo': 'skip', 'xgap': 2, 'ygap': 2}
    figure = go.Figure(layout=LAYOUT)
    scale = {'colorscale': 'Blues', 'zmin': 0, 'zmax': 100, 'colorbar': {'thickness': 10, 'ticksuffix': ' %'}}
    grey = {'colorscale': [[0, GREY], [1, GREY]], 'showscale': False}
    for shown, colours in ((~few, scale), (few & (counts > 0), grey)):
        text = np.where(shown, [[_in_cell(cell, score) for cell in line] for line in cells], '')
        figure.add_heatmap(z=np.where(shown, shares, np.nan), text=text, **place, **look, **colours)
    note = f'<br><span style="font-size: 11px">grey: fewer than {FEW_INSTANCES} instances</span>' * bool(few.any())
    figure.update_xaxes(title=as_shown(result.settings.quantity) + note, type='category', showgrid=False)
    figure.update_yaxes(title='size, pixels', type='category')
    title = {'text': f'{score} by size and occlusion, %', 'subtitle': {'text': as_shown(result.name) if named else ''}}
    return figure.update_layout(title=title, hovermode=False, margin_b=70, margin_t=64 if named else 40)


def _in_cell(cell: BinScores, score: str) -> str:
    return f'{percent(cell.scores[score])}<br>n = {cell.instances}' if cell.instances else ''


def ratio_figure(result: OcclusionResult) -> go.Figure:
    """Return the histogram of the occlusion ratio, 0 apart; of words how many have each."""
    settings = result.settings
    what = 'instances' if settings.per_instance else 'images'
    figure = go.Figure(layout=LAYOUT)
    title, their = as_shown(settings.quantity), '' if settings.keyed else 'their '
    figure.update_xaxes(title=title).update_layout(title=f'{what} by {their}{title.partition(" of the ")[0]}', bargap=0)
    values = result.ground_truth.values
    ratios = result.binned_ratios
    if values is not None and values.words:
        labels = [as_shown(word) for word in values.words]
        held = np.bincount(ratios.astype(int), minlength=len(labels))
        figure.add_bar(x=labels, y=held, marker_color=COLOURS[0], name=what)
        return figure.update_xaxes(type='category').update_layout(bargap=0.2, margin_b=60)
    # Fifty bars up to the last edge, not many more where a ratio lies far beyond.
    width = max(0.02 * settings.bins.edges[-1], ratios.max(initial=1.0) / 200)
    count = max(1, int(np.ceil(ratios.max(initial=1.0) / width - 1e-9)))
    held, edges = np.histogram(ratios[ratios > 0], bins=count, range=(0, count * width))
    figure.add_bar(x=[-width / 2], y=[int((ratios == 0).sum())], width=width, marker_color=BAND, name='exactly 0')
    figure.add_bar(x=edges[:-1] + width / 2, y=held, width=width, marker_color=COLOURS[0], name='above 0')
    for edge in result.settings.bins.edges[1:-1]:
        figure.add_vline(x=edge, line={'color': '#888', 'width': 1, 'dash': 'dot'})
    return figure
