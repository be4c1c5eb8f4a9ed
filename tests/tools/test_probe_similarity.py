"""The probe on digits: it learns them, and compares the filters of both networks."""

import csv

import pytest

TOOL = 'probe_similarity.py'


@pytest.mark.slow
def test_probe(run_tool, tmp_path):
    status, output, errors = run_tool(TOOL, '--epochs', 3, '--images', 10, '--filters', 8, '--out-dir', tmp_path)
    assert status == 0, errors
    accuracies = [float(line.partition('accuracy ')[2].partition('%')[0]) for line in output.splitlines()[:2]]
    assert min(accuracies) > 60
    assert [line.partition(':')[0] for line in output.splitlines()[:2]] == ['ResNet-26 mini', 'TiedResNet-26 mini']
    rows = list(csv.DictReader((tmp_path / 'similarity.csv').open()))
    assert len(rows) == 2 * 2 * 4
    assert (tmp_path / 'layers.png').stat().st_size > 10_000


def test_bad_input(run_tool, tmp_path):
    status, _, errors = run_tool(TOOL, '--epochs', 0, '--out-dir', tmp_path / 'out')
    assert status == 2 and '--epochs: 0 must be a whole number of at least 1' in errors
