"""The command that shows where networks look: its picture and page, and what it says of bad input."""

import cv2
import numpy as np
import pytest

TOOL = 'grad_cam.py'


def test_classifiers_and_a_detector(run_tool, images, tmp_path):
    networks = 'torchvision:resnet18', 'tiedresnet50-4s18w_8xb32_in1k', 'mask-rcnn_tiedr26-mini_fpn_8e_shapes'
    status, output, errors = run_tool(
        TOOL,
        *networks,
        '--image-dir',
        images,
        '--images',
        2,
        '--size',
        64,
        '--target',
        'box',
        '--out-dir',
        tmp_path / 'out',
    )
    assert status == 0, errors
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {'grad_cam.png', 'grad_cam.html'}
    picture = cv2.imread(str(tmp_path / 'out/grad_cam.png'))
    assert picture.shape[1] == round(2.7 * 4 * 150)
    # The images are grey: all colours are those of maps.
    colourful = [(np.ptp(part.astype(int), axis=2) > 60).mean() for part in np.array_split(picture, 4, axis=1)]
    assert colourful[0] < 0.01
    assert min(colourful[1:3]) > 0.1
    page = (tmp_path / 'out/grad_cam.html').read_text()
    assert page.count('data:image/jpeg') == 2 * 4
    assert 'tiedresnet50-4s18w_8xb32_in1k (random weights)' in page
    assert 'grad_cam.html' in output


def test_real_photos(run_tool, real_data, tmp_path):
    status, _, errors = run_tool(
        TOOL, 'torchvision:resnet18', '--image-dir', real_data('balloon/val'), '--images', 2, '--out-dir', tmp_path
    )
    assert status == 0, errors
    assert cv2.imread(str(tmp_path / 'grad_cam.png')).std() > 20


BAD = [
    (['--category', 'balloons'], "error: torchvision:resnet18: has no class 'balloons'; there are balloon;"),
    (['--layer', 'layer9'], "error: torchvision:resnet18: no layer is named 'layer9'; there are conv1"),
    (['--image-dir', 'empty'], 'error: empty: holds no image'),
    (['--image-dir', 'broken'], 'error: broken/a.jpg: not a readable image'),
    (['--images', '0'], '--images: 0 must be a whole number of at least 1'),
    (['tiedresnet50'], 'error: tiedresnet50: is a backbone alone'),
]


@pytest.mark.parametrize(('arguments', 'message'), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_sentence(run_tool, folders, arguments, message):
    options = ['--out-dir', 'out', '--size', 64, *(['--image-dir', 'images'] if '--image-dir' not in arguments else [])]
    status, _, errors = run_tool(TOOL, 'torchvision:resnet18', *arguments, *options)
    assert status == 2
    assert message in errors
    assert 'Traceback' not in errors
    assert not (folders / 'out').exists()
