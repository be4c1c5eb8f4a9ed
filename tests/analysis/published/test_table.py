"""The published sizes beside ours: the page in the docs is what the code counts, and differences are explained."""

import csv
import io
from pathlib import Path

import pytest

from mmtied.analysis.published.table import TABLES, Comparison, complexity_rows, to_csv, to_markdown, variants_markdown

DOCS = Path(__file__).parents[3] / 'docs'


@pytest.fixture(scope='module')
def rows(uninitialised):
    return complexity_rows()


@pytest.mark.slow
def test_the_page_in_the_docs_is_made_by_the_code(rows):
    page = (DOCS / 'complexity.md').read_text(encoding='utf-8')
    assert to_markdown(rows) in page
    assert page.endswith(variants_markdown())
    assert (DOCS / 'complexity.csv').read_text(encoding='utf-8') == to_csv(rows)


@pytest.mark.slow
def test_differences_have_a_remark(rows):
    for row in rows:
        if row.parameters.differs or row.gmacs.differs:
            assert row.row.remark, row.cells()


@pytest.mark.slow
def test_all_but_the_known_rows_are_within_three_percent(rows):
    assert {row.row.label for row in rows if row.parameters.differs or row.gmacs.differs} == {
        'TiedGCB B=4',
        'TiedResNet-50 2s x 48w',
        'mixer: concatenate',
        'TiedSENet-101-S',
    }


@pytest.mark.slow
def test_tables_and_formats(rows):
    assert TABLES == ('1', '2', '3', '4', '5', '6', 'A.1', 'A.2')
    assert to_markdown(rows).count('## Table') == len(TABLES)
    cells = list(csv.reader(io.StringIO(to_csv(rows))))
    assert len(cells) == 1 + len(rows)
    assert {len(line) for line in cells} == {9}
    assert [row.row.table for row in complexity_rows(['6'])] == ['6', '6']
    with pytest.raises(ValueError, match="no table '7': there are 1, 2, 3"):
        complexity_rows(['7'])


@pytest.mark.parametrize(
    'published, ours, cells, differs',
    [
        ('22.0', 22.03, ('22.0', '22.03', '+0.1'), False),
        ('0.04', 0.0449, ('0.04', '0.04', '+12.3'), False),
        ('0.04', 0.0452, ('0.04', '0.05', '+13.0'), True),
        ('10', 10.4, ('10', '10.40', '+4.0'), False),
        ('16.5', 16.4999, ('16.5', '16.50', '+0.0'), False),
        ('26.7', 24.15, ('26.7', '24.15', '-9.6'), True),
        (None, 5.0, ('-', '5.00', '-'), False),
        ('14.2', None, ('14.2', '-', '-'), False),
    ],
)
def test_comparison(published, ours, cells, differs):
    one = Comparison(published, ours)
    assert one.cells() == cells
    assert one.differs == differs
