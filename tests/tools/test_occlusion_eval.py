"""The command: one sentence and exit code 2 for bad input, no half-written output."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / 'tools' / 'occlusion_eval.py'
TRUTH = {
    'images': [{'id': 1, 'width': 9, 'height': 9}],
    'categories': [{'id': 1, 'name': 'thing'}],
    'annotations': [{'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 4, 4]}],
}
FOUND = [{'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 4, 4], 'score': 0.9}]


@pytest.fixture
def files(tmp_path):
    truth, found = tmp_path / 'gt.json', tmp_path / 'results.json'
    truth.write_text(json.dumps(TRUTH))
    found.write_text(json.dumps(FOUND))
    return truth, found


def run(*arguments) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, TOOL, *map(str, arguments)], capture_output=True, text=True)


def test_table_and_files(files, tmp_path):
    done = run(*files, '--out-dir', tmp_path / 'out', '--edges', 0, 0.5, 1)
    assert done.returncode == 0, done.stderr
    assert 'all             1          1        1  100.0  100.0  100.0  100.0' in done.stdout
    content = json.loads((tmp_path / 'out' / 'occlusion.json').read_text())
    assert content['settings']['edges'] == [0, 0.5, 1]
    assert [(row['lower'], row['upper'], row['images']) for row in content['bins']] == [
        (0, 0, 1),
        (0, 0.5, 0),
        (0.5, 1, 0),
    ]
    assert content['bins'][1]['AP'] is None
    assert (tmp_path / 'out' / 'manifest.csv').read_text().splitlines() == ['image_id,ratio,bin', '1,0.0,0']
    names = ['curve.png', 'manifest.csv', 'occlusion.json']
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == names


@pytest.mark.parametrize('spoil, sentence', [
    (lambda truth, found: found.write_text('{"a":'), 'results.json: not valid json'),
    (lambda truth, found: found.unlink(), 'results.json: cannot be read: No such file'),
    (lambda truth, found: truth.write_text('[]'), 'gt.json: a ground truth is a json object, found list'),
    (lambda truth, found: found.write_text(json.dumps([FOUND[0] | {'image_id': 2}])), '[0]: image_id=2 is not among'),
])  # fmt: skip
def test_bad_input(files, tmp_path, spoil, sentence):
    spoil(*files)
    done = run(*files, '--out-dir', tmp_path / 'out')
    assert done.returncode == 2
    assert sentence in done.stderr
    assert 'Traceback' not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / 'out').exists()


def test_bad_edges(files):
    done = run(*files, '--edges', 0, 0.5)
    assert done.returncode == 2
    assert '--edges: edges=(0.0, 0.5) must ascend from 0 to 1' in done.stderr
