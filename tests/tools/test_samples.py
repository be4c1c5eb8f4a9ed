"""The command that draws the most occluded images, on real detections where they are at hand."""

import json

import cv2
import pytest

from mmtied.datasets import write_scenes

TOOL = 'samples.py'


@pytest.fixture
def scenes(tmp_path):
    truth = write_scenes(tmp_path, 'val', 8, size=64)
    found = [entry | {'score': 0.9} for entry in json.loads(truth.read_text())['annotations']]
    (tmp_path / 'a.json').write_text(json.dumps(found))
    (tmp_path / 'b.json').write_text(json.dumps(found[::2]))
    (tmp_path / 'c.json').write_text(json.dumps(found[1::2]))
    return tmp_path


@pytest.mark.parametrize('detectors', ['ab', 'abc'])
def test_several_detectors(run_tool, scenes, detectors):
    files = scenes / 'instances_val.json', *(scenes / f'{name}.json' for name in detectors)
    status, output, errors = run_tool(
        TOOL, *files, '--image-dir', scenes / 'val', '--out', scenes / 'new/samples.png', '--images', 2
    )
    assert status == 0, errors
    lines = output.splitlines()
    assert all(f'{name}: detections' in lines[0] for name in detectors)
    assert len(lines) == 1 + 2 + 1 + 1
    picture = cv2.imread(str(scenes / 'new/samples.png'))
    assert picture.shape[1] == 600 * (1 + len(detectors)) and picture.std() > 20


def test_real_detections(run_tool, real_data, tmp_path):
    folder = real_data('voc100_pair')
    status, output, errors = run_tool(
        TOOL,
        folder / 'gt.json',
        folder / 'results.json',
        '--image-dir',
        folder / 'images',
        '--out',
        tmp_path / 'samples.png',
        '--images',
        3,
    )
    assert status == 0, errors
    assert output.splitlines()[-2].split()[-2:] == ['452', '23']


def test_bad_input_is_one_sentence(run_tool, scenes):
    truth, found = scenes / 'instances_val.json', scenes / 'a.json'
    picture, images = ('--out', scenes / 'out.png'), ('--image-dir', scenes / 'val')
    for arguments, message in (
        ((truth, found, *images, '--out', 'out.txt'), 'must end in .png or .pdf'),
        ((truth, found, *picture, '--image-dir', scenes), '.jpg: no such image'),
        ((truth, scenes / 'absent.json', *picture, *images), 'absent.json: cannot be read'),
        ((truth, found, found, *picture, *images), 'given twice'),
        ((truth, *'abcdefghi', *picture, *images), 'found 9'),
        ((truth, found, *picture, *images, '--names', 'a', 'b'), '--names: 2 names for 1 files'),
        ((truth, found, *picture, *images, '--images', '0'), '--images: 0 must be a whole number'),
        ((truth, found, *picture, *images, '--score-thr', '2'), 'score_thr'),
    ):
        status, _, errors = run_tool(TOOL, *arguments)
        assert status == 2
        assert message in errors and 'Traceback' not in errors
    assert not (scenes / 'out.png').exists()
