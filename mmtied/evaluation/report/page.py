"""The report: one HTML page that opens offline, with curves, tables and a gallery. It imports plotly and jinja2."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from ...utils.files import write_text
from ...utils.pages import fill_template
from ..curve import BAND, COLOURS
from ..result import OcclusionComparison, OcclusionResult
from ..scores import SHOWN
from .cards import make_cards

TEMPLATE = Path(__file__).with_name('page.html.j2')
LAYOUT = {
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
        figures += [difference_figure(result, score) for score in SHOWN]
    figures.append(ratio_figure(results[0]))
    orders, cards = make_cards(results, image_dir) if image_dir else ([], [])
    page = fill_template(
        TEMPLATE,
        results=results,
        settings=results[0].settings,
        remarks=result.remarks(),
        plotly=get_plotlyjs(),
        figures=[figure_html(figure) for figure in figures],
        tables=result.tables(),
        orders=orders,
        cards=cards,
        colours=COLOURS,
    )
    return write_text(path, page)


def figure_html(figure: go.Figure) -> str:
    """Return a figure as HTML that the page's own copy of plotly draws; plotly escapes what would end the script."""
    config = {'displaylogo': False, 'responsive': True, 'displayModeBar': False}
    return figure.to_html(full_html=False, include_plotlyjs=False, config=config)


def curve_figure(results: Sequence[OcclusionResult], score: str) -> go.Figure:
    """Return the curve of a score over the bins, with the intervals and the band of random subsets."""
    figure = go.Figure(layout=LAYOUT)
    labels = [row.label for row in results[0].bins]
    bands = [row.random.get(score, (np.nan,) * 3) for row in results[0].bins]
    if any(band[1] == band[1] for band in bands):
        low, mean, high = 100 * np.array(bands).T
        figure.add_traces(area(labels, low, high=high, colour=BAND, group='random'))
        line = {'color': BAND, 'dash': 'dash'}
        figure.add_scatter(x=labels, y=mean, mode='lines', line=line, name='random subsets', legendgroup='random')
    for result, colour in zip(results, COLOURS):
        name = escape(result.name)
        low, high = 100 * np.array([row.interval.get(score, (np.nan,) * 2) for row in result.bins]).T
        if not np.isnan(low).all():
            figure.add_traces(area(labels, low, high=high, colour=colour, group=name))
        values = [100 * row.scores[score] for row in result.bins]
        line = {'color': colour}
        figure.add_scatter(x=labels, y=values, mode='lines+markers', line=line, name=name, legendgroup=name)
    what = 'instance' if results[0].settings.per_instance else 'image'
    figure.update_xaxes(title=f'occlusion ratio of the {what}', type='category')
    figure.update_yaxes(tickformat='.1f', hoverformat='.1f', showgrid=True)
    return figure.update_layout(title=f'{results[0].settings.iou_type} {score}, %')


def area(labels: Sequence[str], low: np.ndarray, high: np.ndarray, colour: str, group: str) -> list[go.Scatter]:
    """Return the two borders of an area and its filling; a click on the group's name in the legend hides them too."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    border = {'x': labels, 'mode': 'lines', 'line': {'width': 0}, 'hoverinfo': 'skip'}
    border |= {'legendgroup': group, 'showlegend': False}
    filling = {'fill': 'tonexty', 'fillcolor': f'rgba({red}, {green}, {blue}, .2)'}
    return [go.Scatter(y=low, **border), go.Scatter(y=high, **filling, **border)]


def difference_figure(comparison: OcclusionComparison, score: str) -> go.Figure:
    """Return the differences of a score per bin, with their intervals."""
    figure = go.Figure(layout=LAYOUT)
    rows = comparison.bins
    values = np.array([100 * row.scores[score] for row in rows])
    bars = {}
    if any(row.interval for row in rows):
        low, high = 100 * np.array([row.interval.get(score, (np.nan,) * 2) for row in rows]).T
        bars = {'error_y': {'type': 'data', 'symmetric': False, 'array': high - values, 'arrayminus': values - low}}
    figure.add_bar(x=[row.label for row in rows], y=values, marker_color='#5b7083', name='difference', **bars)
    figure.update_xaxes(type='category')
    figure.update_yaxes(tickformat='+.1f', hoverformat='+.1f', zeroline=True, zerolinecolor='#888')
    return figure.update_layout(title=f'difference of {score}, points', showlegend=False, margin_b=44)


def ratio_figure(result: OcclusionResult) -> go.Figure:
    """Return the histogram of the occlusion ratio, 0 apart."""
    per_instance = result.settings.per_instance
    ratios = result.instance_ratios if per_instance else result.ratios
    ratios = ratios[~np.isnan(ratios)]
    width = 0.02
    count = max(1, int(np.ceil(ratios.max(initial=1.0) / width - 1e-9)))
    held, edges = np.histogram(ratios[ratios > 0], bins=count, range=(0, count * width))
    figure = go.Figure(layout=LAYOUT)
    figure.add_bar(x=[-width / 2], y=[int((ratios == 0).sum())], width=width, marker_color=BAND, name='exactly 0')
    figure.add_bar(x=edges[:-1] + width / 2, y=held, width=width, marker_color=COLOURS[0], name='above 0')
    for edge in result.settings.bins.edges[1:-1]:
        figure.add_vline(x=edge, line={'color': '#888', 'width': 1, 'dash': 'dot'})
    what = 'instances' if per_instance else 'images'
    figure.update_xaxes(title=f'occlusion ratio of the {what[:-1]}')
    return figure.update_layout(title=f'{what} by their occlusion ratio', bargap=0)
