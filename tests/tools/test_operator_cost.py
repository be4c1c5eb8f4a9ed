"""The command that times the operators: csv, picture, and what it says of bad input."""

import csv

import cv2
import torch

TOOL = 'operator_cost.py'


def test_csv_and_picture(run_tool, tmp_path):
    arguments = '--scale', 1 / 32, '--size', 8, '--blocks', 1, 2, 4, '--repeats', 2, '--device', 'cpu'
    status, output, errors = run_tool(TOOL, *arguments, '--out-dir', tmp_path / 'out')
    assert status == 0, errors
    rows = list(csv.DictReader((tmp_path / 'out/operator_cost.csv').open()))
    assert all(row['setting'].endswith(f'torch {torch.__version__}, 1 x 8x8x64, kernel 3') for row in rows)
    assert len(rows) == 14
    assert {row['gmacs'] for row in rows} == {f'{8 * 8 * 64 * 2 * 9 / 1e9:.4g}'}
    assert all(float(row['ms']) > 0 for row in rows)
    assert len(output.splitlines()) == 2 + 14 + 1
    picture = cv2.imread(str(tmp_path / 'out/operator_cost.png'))
    assert picture.shape[1] == 1200 and picture.std() > 10


def test_bad_input_is_one_sentence(run_tool, tmp_path):
    for arguments, message in (
        (['--scale', '0'], 'error: --scale: 0 must be above 0'),
        (['--scale', 'inf'], 'error: --scale: inf'),
        (['--scale', '.01'], 'error: blocks=[1, 2, 4, 8, 16, 32] must have 1, and divide the 20 channels'),
        (['--device', 'gpu'], "error: device='gpu' is none that torch knows"),
    ):
        status, _, errors = run_tool(TOOL, *arguments, '--out-dir', tmp_path / 'out')
        assert status == 2
        assert message in errors and 'Traceback' not in errors
    assert not (tmp_path / 'out').exists()
