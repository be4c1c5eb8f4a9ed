"""Legends that are whole, and characters that some font has."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont
from matplotlib.patches import Patch

from mmtied.utils import figures
from mmtied.utils.figures import add_legend, characters, fit_fonts, fonts_with, save_figure


@pytest.mark.parametrize('count, length', [(1, 3), (80, 12), (80, 40), (7, 200), (300, 5)])
def test_the_whole_legend_is_in_the_picture(count, length):
    figure = Figure(figsize=(4.4, 5), layout='constrained')
    axes = figure.subplots()
    add_legend(figure, [Patch(label=f'{i}'.rjust(length, 'm')) for i in range(count)])
    FigureCanvasAgg(figure).draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert box.x0 >= 0 and box.y0 >= 0
    assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    assert not box.overlaps(axes.get_window_extent())
    # What was drawn keeps its height.
    assert axes.get_window_extent().height > 0.75 * 5 * figure.dpi
    assert ''.join(text.get_text() for text in legend.get_texts()).count('m') == sum(
        max(length - len(f'{i}'), 0) for i in range(count)
    )


def test_another_font_helps_out():
    """Some character that the default font lacks and another of matplotlib's own has, as for Chinese elsewhere."""
    own = characters(findfont(FontProperties()))
    other = characters(findfont('STIXGeneral'))
    character = chr(min(other - own))
    figure = Figure()
    text = figure.text(0.5, 0.5, f'a{character}')
    plain = figure.text(0.5, 0.2, 'plain')
    before = plain.get_fontfamily()
    fit_fonts(figure)
    fonts = text.get_fontfamily()[1:]
    assert any(ord(character) in characters(findfont(font)) for font in fonts)
    assert plain.get_fontfamily() == before


def test_what_no_font_has_is_said_once(tmp_path, capsys, recwarn, monkeypatch):
    monkeypatch.setattr(figures, '_said', set())
    wanted = '\U000ffffd'  # for private use
    assert fonts_with(frozenset([ord(wanted)])) == ()
    for name in ('one', 'two'):
        figure = Figure()
        figure.text(0.5, 0.5, wanted * 3)
        save_figure(figure, tmp_path / f'{name}.png')
    said = capsys.readouterr().err
    assert said.count('no font of this system can draw 1 of the characters') == 1
    assert not [warning for warning in recwarn if 'Glyph' in str(warning.message)]


def test_a_figure_of_any_ending(tmp_path):
    figure = Figure()
    figure.subplots().plot(np.arange(3))
    for suffix in ('png', 'pdf', 'svg'):
        assert save_figure(figure, tmp_path / 'folder' / f'a.{suffix}').stat().st_size > 1000
