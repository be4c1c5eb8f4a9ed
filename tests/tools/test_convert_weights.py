"""Warm starts from the command line, up to a detector and a classifier that load them."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from mmengine.runner import load_checkpoint
from mmpretrain.models.backbones import SEResNet
from mmpretrain.registry import MODELS as PRETRAIN_MODELS
from torchvision.models import wide_resnet50_2
from warm_python import run_script

from mmtied.commands import convert_weights
from mmtied.commands.command import make_parser

ROOT = Path(__file__).parents[2]


def run(*arguments) -> subprocess.CompletedProcess:
    return run_script(ROOT / 'tools/convert_weights.py', *arguments)


@pytest.fixture(scope='module')
def warm(tmp_path_factory):
    folder = tmp_path_factory.mktemp('warm')
    torch.manual_seed(0)
    source = wide_resnet50_2(num_classes=7)
    torch.save(source.state_dict(), folder / 'wide.pth')
    done = run('tiedresnet50', folder / 'wide.pth', folder / 'new' / 'warm.pth')
    assert done.returncode == 0, done.stderr
    return source, folder / 'new' / 'warm.pth', done.stdout


@pytest.mark.slow
def test_reports_what_was_taken(warm):
    _, path, output = warm
    lines = output.splitlines()
    assert lines[0] == 'tensors of  matched  projected  initialised'
    assert lines[7].split() == ['all', '506', '100', '96']
    assert lines[8:10] == ['carried over: head.fc.weight, head.fc.bias', f'wrote {path}; a config loads it by']
    assert len(lines) == 11
    content = torch.load(path, weights_only=True)
    assert content['meta']['source'] == 'wide.pth'
    assert content['meta']['tensors']['layer1.0.mixer.conv.weight'] == 'initialised'
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.slow
def test_it_is_not_started_from_with_frozen_norms(warm, tmp_path):
    config = ROOT / 'configs/retinanet/retinanet_tiedr50-4s32w_fpn_1x_coco.py'
    environment = os.environ | {'PYTHONPATH': str(ROOT)}
    done = run_script(ROOT / 'tools/train.py', config, '--backbone-checkpoint', warm[1], cwd=tmp_path, env=environment)
    assert done.returncode == 2
    assert f'{warm[1]} is a warm start of convert_weights.py' in done.stderr


@pytest.mark.slow
def test_a_detector_loads_it(warm):
    source, path, _ = warm
    init_default_scope('mmdet')
    init_cfg = dict(type='Pretrained', checkpoint=str(path), prefix='backbone.')
    backbone = MODELS.build(dict(type='mmtied.TiedResNet', depth=50, init_cfg=init_cfg))
    backbone.init_weights()
    assert torch.equal(backbone.stem[0].conv.weight, source.conv1.weight)
    assert torch.equal(backbone.layer1[0].exit.conv.weight[:, :128], source.layer1[0].conv3.weight)


@pytest.mark.slow
def test_a_classifier_loads_it_whole(warm):
    source, path, _ = warm
    init_default_scope('mmpretrain')
    head = dict(type='LinearClsHead', num_classes=7, in_channels=2048)
    classifier = PRETRAIN_MODELS.build(
        dict(type='ImageClassifier', backbone=dict(type='TiedResNet', depth=50), neck=None, head=head)
    )
    load_checkpoint(classifier, str(path), strict=True)
    assert torch.equal(classifier.head.fc.weight, source.fc.weight)


@pytest.mark.slow
def test_a_config_with_a_wrapped_backbone(tmp_path):
    (tmp_path / 'config.py').write_text(
        "default_scope = 'mmpretrain'\n"
        "custom_imports = dict(imports=['mmtied.models'])\n"
        "init_cfg = dict(type='Pretrained', checkpoint='nowhere.pth')\n"
        "model = dict(type='ImageClassifier', backbone=dict(type='TiedBackbone', network='SEResNet', depth=50, "
        'base_channels=16, stem_channels=16, se_blocks=2, init_cfg=init_cfg))\n'
    )
    network = SEResNet(50, base_channels=16, stem_channels=16)
    state = {f'backbone.{name}': value for name, value in network.state_dict().items()}
    torch.save(dict(state_dict=state | {'head.fc.bias': torch.zeros(3)}), tmp_path / 'se.pth')
    done = run(tmp_path / 'config.py', tmp_path / 'se.pth', tmp_path / 'out.pth', '--list')
    assert done.returncode == 0, done.stderr
    assert '  projected  layer1.0.se_layer.squeeze.weight' in done.stdout
    # What the tool advises works.
    init_default_scope('mmpretrain')
    cfg = dict(type='TiedBackbone', network='SEResNet', depth=50, base_channels=16, stem_channels=16, se_blocks=2)
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'out.pth'), prefix='backbone.')
    backbone = PRETRAIN_MODELS.build(dict(cfg, init_cfg=init_cfg))
    backbone.init_weights()
    assert torch.equal(backbone.conv1.weight, network.conv1.weight)
    assert 'carried over: head.fc.bias' in done.stdout
    assert 'backbone.conv1.weight' in torch.load(tmp_path / 'out.pth', weights_only=True)['state_dict']


@pytest.fixture(scope='module')
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp('inputs')
    torch.save(ResNet(18).state_dict(), folder / 'good.pth')
    torch.save({'a.weight': torch.zeros(3)}, folder / 'other.pth')
    torch.save(ResNet(18), folder / 'code.pth')
    (folder / 'text.pth').write_text('not a checkpoint')
    (folder / 'empty.pth').write_bytes(b'')
    torch.save({'epoch': 3}, folder / 'numbers.pth')
    (folder / 'config.py').write_text('model = dict()\n')
    (folder / 'ordinary.py').write_text("model = dict(backbone=dict(type='ResNet', depth=50))\n")
    (folder / 'misspelt.py').write_text("model = dict(backbone=dict(type='mmtied.TiedResNet', deepth=50))\n")
    (folder / 'unknown.py').write_text("model = dict(backbone=dict(type='mmtied.TidResNet', depth=50))\n")
    (folder / 'broken.py').write_text('model = dict(\n')
    return folder


@pytest.mark.parametrize(
    'config, source, message',
    [
        ('tiedresnet51', 'good.pth', 'tiedresnet51: no such config file, and not one of tiedresnet50'),
        ('config.py', 'good.pth', 'config.py: has no model.backbone'),
        ('ordinary.py', 'good.pth', 'ResNet is not a tied backbone'),
        ('misspelt.py', 'good.pth', "misspelt.py: its backbone cannot be built: .*'deepth'"),
        ('unknown.py', 'good.pth', 'unknown.py: its backbone cannot be built: .*TidResNet'),
        ('broken.py', 'good.pth', 'broken.py: not a config: SyntaxError'),
        ('tiedresnet50', 'absent.pth', 'absent.pth: no such checkpoint'),
        ('tiedresnet50', '.', '.: no such checkpoint'),
        ('tiedresnet50', 'other.pth', 'none of the 1 tensors'),
        ('tiedresnet50', 'code.pth', 'code.pth: not a checkpoint, or one that holds more'),
        ('tiedresnet50', 'text.pth', 'text.pth: not a checkpoint'),
        ('tiedresnet50', 'empty.pth', 'empty.pth: not a checkpoint: '),
        ('tiedresnet50', 'numbers.pth', 'the checkpoint holds no tensors'),
    ],
)
def test_bad_input_is_named_and_nothing_written(inputs, monkeypatch, config, source, message):
    monkeypatch.chdir(inputs)
    args = make_parser(convert_weights).parse_args([config, source, 'out.pth'])
    before = sorted(inputs.iterdir())
    with pytest.raises(ValueError, match=message):
        convert_weights.main(args)
    assert sorted(inputs.iterdir()) == before


def test_the_source_is_not_overwritten(inputs):
    done = run('tiedresnet50', inputs / 'good.pth', inputs / 'good.pth')
    assert done.returncode == 2
    assert 'good.pth: is the source' in done.stderr


def test_an_error_is_one_sentence(tmp_path):
    done = run('tiedresnet51', 'good.pth', tmp_path / 'out.pth')
    assert done.returncode == 2
    assert done.stderr.startswith('error: tiedresnet51: no such config file')
    assert len(done.stderr.splitlines()) == 1
