"""Tables as others read them: Markdown by a parser of it, LaTeX by its rules, written out."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmtied.evaluation.table import Table

TEXT = st.text(st.characters(codec='utf-8', exclude_categories=['Cc', 'Cf', 'Zl', 'Zp']), min_size=1, max_size=12)
MARKUP = st.text(st.sampled_from(r'\`*_~|<>[]()&!#$%{}^-+:a1 .;/='), min_size=1, max_size=16)
CELLS = (TEXT | MARKUP | st.just('&amp;[a](b)<i>_x_')).map(lambda text: ' '.join(text.split())).filter(bool)


def tables(cells) -> st.SearchStrategy[Table]:
    rows = st.lists(st.tuples(cells, cells, cells), min_size=1, max_size=3)
    names = st.lists(cells, min_size=3, max_size=3, unique=True)
    make = st.builds(lambda names, rows: Table('title', dict(zip(names, map(list, zip(*rows))))), names, rows)
    return make


@given(tables(CELLS))
def test_markdown_says_what_the_table_says(table):
    markdown_it = pytest.importorskip('markdown_it')
    parser = markdown_it.MarkdownIt('commonmark').enable(['table', 'strikethrough'])
    cells, inside = [], False
    for token in parser.parse(table.to_markdown()):
        if token.type in ('th_open', 'td_open'):
            inside = True
        elif inside and token.type == 'inline':
            assert {child.type for child in token.children} <= {'text', 'text_special'}, token.content
            cells.append(''.join(child.content for child in token.children))
            inside = False
    assert cells == [*table.columns, *(cell for row in table.rows() for cell in row)]


SPELLED = {r'\textbackslash{}': '\\', r'\textasciitilde{}': '~', r'\textasciicircum{}': '^', r'\textbar{}': '|'}
SPELLED |= {r'$<$': '<', r'$>$': '>', r'$\geq$': '≥', '{[}': '[', '--': '-'}
SPELLED |= {f'\\{character}': character for character in '&%$#_{}'}


def as_printed(cell: str) -> str:
    """What LaTeX prints of a cell, where nothing has a meaning but what is spelled above and signed numbers."""
    words = re.compile('|'.join(map(re.escape, sorted(SPELLED, key=len, reverse=True))) + r'|\$([+-][\d.]+)\$|(.)')
    printed = []
    for match in words.finditer(cell):
        number, other = match.groups()
        assert other is None or other not in '&%$#_{}\\~^<>', cell
        printed.append(number or other or SPELLED[match.group()])
    return ''.join(printed)


@given(tables(CELLS.filter(lambda cell: '--' not in cell)))
def test_latex_says_what_the_table_says(table):
    title, begin, top, head, middle, *body, bottom, end = table.to_latex().splitlines()
    assert (title, begin, end) == ('% title', r'\begin{tabular}{lrr}', r'\end{tabular}')
    assert (top, middle, bottom) == (r'\toprule', r'\midrule', r'\bottomrule')
    for line, wanted in zip([head, *body], [tuple(table.columns), *table.rows()], strict=True):
        assert line.endswith(r' \\') and not line.startswith('[')
        cells = re.split(r'(?<!\\) ?(?<!\\)& ', line.removesuffix(r' \\'))
        assert tuple(as_printed(cell) for cell in cells) == wanted


def test_a_table_as_papers_have_it():
    columns = {'occlusion': ['all', '[.2, .4)', '≥ .2'], '   AP': ['-7.5', '-', '12.0'], 'AP 95%': ['-6.1 to +4.3'] * 3}
    table = Table('b less a_1, on the\nsame images', columns)
    assert table.to_latex() == (
        '% b less a_1, on the same images\n'
        '\\begin{tabular}{lrr}\n'
        '\\toprule\n'
        'occlusion & AP & AP 95\\% \\\\\n'
        '\\midrule\n'
        'all & $-7.5$ & $-6.1$ to $+4.3$ \\\\\n'
        '{[}.2, .4) & -- & $-6.1$ to $+4.3$ \\\\\n'
        '$\\geq$ .2 & 12.0 & $-6.1$ to $+4.3$ \\\\\n'
        '\\bottomrule\n'
        '\\end{tabular}\n'
    )
    assert table.to_markdown() == (
        '| occlusion | AP | AP 95% |\n'
        '| :-- | --: | --: |\n'
        '| all | -7.5 | -6.1 to +4.3 |\n'
        '| [.2, .4) | - | -6.1 to +4.3 |\n'
        '| ≥ .2 | 12.0 | -6.1 to +4.3 |\n'
    )
