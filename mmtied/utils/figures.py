"""Figures as files, and data's strings as matplotlib shows them unchanged."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.legend import Legend
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from .files import written_aside

LONGEST_LINE = 48  # characters of a label
MARGIN = 8  # pixels beside a legend
MISSING = 'Glyph .* missing from'  # what matplotlib says of each character, and we once


def readable(text: str) -> str:
    """Return a text with question marks for what no character is, as in file names of another encoding."""
    return text.encode('utf-8', 'replace').decode()


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is: no formula between dollars, no underscore that hides it."""
    text = readable(text).replace('$', r'\$')
    return f' {text}' if text.startswith('_') else text


_said: set[int] = set()  # characters that no font has, once this was said


@cache
def characters(path: str) -> frozenset[int]:
    """Return the characters that a font file can draw."""
    return frozenset(FT2Font(path).get_charmap())


def fit_fonts(figure: Figure) -> None:
    """Let every text of a figure be drawn by a font of this system that has its characters.

    What no font has becomes a box; that is said once, with the characters.
    """
    own = characters(findfont(FontProperties()))
    texts = [text for text in figure.findobj(Text) if set(map(ord, text.get_text())) - own - {ord('\n')}]
    missing = set()
    for text in texts:
        wanted = set(map(ord, text.get_text())) - {ord('\n')}
        families = [*text.get_fontfamily()]
        for font in fonts_with(frozenset(wanted - own)):
            families.append(font)
        text.set_fontfamily(families)
        drawn = own.union(*(characters(findfont(family)) for family in families[1:]))
        missing |= wanted - drawn
    missing -= _said
    if missing:
        _said.update(missing)
        some = ''.join(map(chr, sorted(missing)[:8]))
        print(
            f'no font of this system can draw {len(missing)} of the characters, such as {some}: they are boxes in the '
            'picture; installing one, such as Noto Sans CJK, mends it',
            file=sys.stderr,
        )


@cache
def fonts_with(wanted: frozenset[int]) -> tuple[str, ...]:
    """Return families of this system that together have as many of the characters as any have, the best first."""
    chosen: list[str] = []
    fonts = {entry.name: entry.fname for entry in fontManager.ttflist if entry.style == 'normal'}
    while wanted:
        name = max(fonts, key=lambda name: len(wanted & characters(fonts[name])), default='')
        if not name or not wanted & characters(fonts[name]):
            break
        chosen.append(name)
        wanted -= characters(fonts[name])
    return tuple(chosen)


def add_legend(figure: Figure, handles: Sequence[Artist]) -> None:
    """Put a legend below a figure: in as many columns as fit into its width, and the figure as much higher.

    Args:
        figure: With a constrained layout.
        handles: What is explained, patches or lines; long labels are broken into lines.
    """
    for handle in handles:
        handle.set_label('\n'.join(wrap(str(handle.get_label()), LONGEST_LINE, drop_whitespace=False)))
    renderer = FigureCanvasAgg(figure).get_renderer()

    def put(columns: int) -> tuple[Legend, Bbox]:
        legend = figure.legend(handles=handles, loc='outside lower center', ncols=columns, frameon=False, fontsize=9)
        fit_fonts(figure)
        with warnings.catch_warnings():
            warnings.filterwarnings('ignore', MISSING)
            return legend, legend.get_window_extent(renderer)

    fits, too_many = 1, len(handles) + 1
    while too_many - fits > 1:
        columns = (fits + too_many) // 2
        legend, box = put(columns)
        legend.remove()
        if box.width <= figure.bbox.width - 2 * MARGIN:
            fits = columns
        else:
            too_many = columns
    _, box = put(fits)
    figure.set_figheight(figure.get_figheight() + box.height / figure.dpi)
    width = (box.width + 2 * MARGIN) / figure.dpi
    figure.set_figwidth(max(figure.get_figwidth(), width))


def pixels(figure: Figure) -> np.ndarray:
    """Return a figure as a picture, (height, width, 3) uint8, RGB."""
    fit_fonts(figure)
    canvas = FigureCanvasAgg(figure)
    with warnings.catch_warnings():
        warnings.filterwarnings('ignore', MISSING)
        canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure aside and rename it, so that no half-written picture is left.

    Args:
        figure: What is drawn.
        path: File to write, in a folder that is made if it is missing; its ending chooses the format: png, pdf, ...

    Returns:
        The path.
    """
    path = Path(path)
    fit_fonts(figure)
    with written_aside(path) as part, warnings.catch_warnings():
        warnings.filterwarnings('ignore', MISSING)
        figure.savefig(part, dpi=150, format=path.suffix[1:])
    return path
