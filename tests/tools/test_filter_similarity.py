"""The command that compares filters: its files, its table, and what it says of bad input."""

import csv
import json

import cv2
import pytest
import torch

TOOL = 'filter_similarity.py'


@pytest.mark.slow
def test_two_networks(run_tool, images, tmp_path):
    from torchvision.models import resnet18

    torch.save(resnet18().state_dict(), tmp_path / 'trained.pth')
    options = '--filters', 4, '--size', 32, '--images', 2, '--layers', 'layer?.0.conv?', 'layer4'
    status, output, errors = run_tool(
        TOOL,
        'torchvision:resnet18',
        'timm:resnet18',
        '--image-dir',
        images,
        '--out-dir',
        tmp_path / 'out',
        *options,
        '--checkpoints',
        tmp_path / 'trained.pth',
        'none',
        '--names',
        'trained',
        'other',
    )
    assert status == 0, errors
    files = {path.name for path in (tmp_path / 'out').iterdir()}
    assert files == {'histograms.png', 'matrices.png', 'layers.png', 'similarity.csv', 'similarity.json'}
    for name in ('histograms.png', 'matrices.png', 'layers.png'):
        picture = cv2.imread(str(tmp_path / 'out' / name))
        assert min(picture.shape[:2]) > 300 and (picture < 128).mean() > 0.003
    rows = list(csv.DictReader((tmp_path / 'out/similarity.csv').open()))
    assert len(rows) == 2 * (9 + 8)
    assert {row['network'] for row in rows} == {'trained', 'other (random weights)'}
    assert {row['compared'] for row in rows} == {'4'}
    content = json.loads((tmp_path / 'out/similarity.json').read_text())
    assert content['settings'] == {'images': 2, 'size': 32, 'filters': 4, 'seed': 0}
    assert f'{float(rows[0]["mean"]):.3f}' in output.splitlines()[1]


def test_weights_alone_need_no_images(run_tool, tmp_path):
    status, output, errors = run_tool(TOOL, 'tiedresnet50-s', '--out-dir', tmp_path)
    assert status == 0, errors
    assert 'patterns' not in output
    assert 'layer4.2.exit.conv' in output


BAD = [
    (
        ['--layers', 'layer9'],
        "resnet18: no convolution is named 'layer9'",
    ),
    (['--image-dir', 'absent'], 'error: absent: no such folder of images'),
    (['--image-dir', 'empty'], 'error: empty: holds no image'),
    (['--image-dir', 'broken'], 'error: broken/a.jpg: not a readable image'),
    (['--checkpoints', 'a', 'b'], 'error: --checkpoints: 2 for 1 networks: torchvision:resnet18'),
    (['--out-dir', 'images/0.png'], 'images/0.png is not a folder that can be written to'),
    (['--names', 'a', 'b'], 'error: --names: 2 for 1 networks'),
    (['--checkpoints', 'absent.pth'], 'error: absent.pth: no such checkpoint'),
    (['--filters', '1'], '--filters: 1 must be a whole number of at least 2'),
    (['--batch-size', '0'], '--batch-size: 0 must be a whole number of at least 1'),
    (
        ['--layers', 'fc', '--image-dir', 'images'],
        "resnet18: no convolution is named 'fc', and no module that holds some; its convolutions are conv1, ",
    ),
]


@pytest.mark.parametrize(('arguments', 'message'), BAD, ids=[message for _, message in BAD])
def test_bad_input_is_one_sentence(run_tool, folders, arguments, message):
    folder = [] if '--out-dir' in arguments else ['--out-dir', 'out']
    status, _, errors = run_tool(TOOL, 'torchvision:resnet18', '--size', 32, *folder, *arguments)
    assert status == 2
    assert message in errors
    assert 'Traceback' not in errors
    assert not (folders / 'out').exists()


def test_networks_need_names_that_differ(run_tool, tmp_path):
    networks = 'torchvision:resnet18', 'torchvision:resnet18'
    status, _, errors = run_tool(TOOL, *networks, '--out-dir', tmp_path / 'out')
    assert status == 2
    assert "error: --names: several networks are called 'torchvision:resnet18 (random weights)'" in errors
    status, output, _ = run_tool(TOOL, *networks, '--names', 'a', 'b', '--out-dir', tmp_path / 'out')
    assert status == 0 and 'b (random weights)' in output
