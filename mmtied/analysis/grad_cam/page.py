"""The panels of Grad-CAM as a picture, and as one page that opens offline. It imports matplotlib and jinja2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import wrap

from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image, ImageDraw

from ...utils.figures import plain, readable
from ...utils.pages import fill_template
from ...utils.pictures import data_uri
from .panel import Panel

TEMPLATE = Path(__file__).with_name('page.html.j2')
LONGEST = 480  # pixels of an embedded picture's longer side
COLOUR = '#00e5ff'  # of the box that is explained


def draw_panels(names: Sequence[str], files: Sequence[Path], rows: Sequence[Sequence[Panel]]) -> Figure:
    """Draw a row for each picture: the picture, then each network's panel.

    Args:
        names: Of the networks.
        files: Of the pictures.
        rows: Panels of each picture, in the order of the networks.
    """
    heights = [max(2.6 * panel.picture.height / panel.picture.width for panel in row) + 0.3 for row in rows]
    figure = Figure(figsize=(2.7 * (1 + len(names)), sum(heights) + 0.4), layout='constrained')
    grid = figure.subplots(len(rows), 1 + len(names), squeeze=False, height_ratios=heights)
    for line, file, row in zip(grid, files, rows):
        line[0].imshow(row[0].picture)
        line[0].set_xlabel(plain(file.name), fontsize=8)
        for axes, panel in zip(line[1:], row):
            axes.imshow(panel.drawn())
            axes.set_xlabel(plain(panel.caption), fontsize=8)
            if panel.box is not None:
                x1, y1, x2, y2 = panel.box
                axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=COLOUR, linewidth=1.5))
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
    for axes, name in zip(grid[0], ['image', *names]):
        axes.set_title('\n'.join(wrap(plain(name), 36)), fontsize=9)
    return figure


def to_page(names: Sequence[str], files: Sequence[Path], rows: Sequence[Sequence[Panel]], layer: str | None) -> str:
    """Return the page: the same rows in HTML, with the pictures inside. ``layer`` is the one that was asked for."""
    content = []
    for file, row in zip(files, rows):
        panels = [(panel.caption, data_uri(with_box(panel), LONGEST)) for panel in row]
        content.append((readable(file.name), data_uri(row[0].picture, LONGEST), panels))
    return fill_template(TEMPLATE, names=names, rows=content, layer=layer or 'the last convolutional output')


def with_box(panel: Panel) -> Image.Image:
    """Return a panel's picture with its box drawn in."""
    picture = Image.fromarray(panel.drawn())
    if panel.box is not None:
        ImageDraw.Draw(picture).rectangle(panel.box, outline=COLOUR, width=max(2, picture.width // 200))
    return picture
