"""What ``tools/train.py`` makes of a config before mmengine's runner gets it."""

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmengine.config import Config
from mmengine.registry import MODELS

from mmtied.commands import train
from mmtied.commands.command import make_parser
from mmtied.models import TiedResNet
from mmtied.utils.errors import InputError

SIZE = dict(base_channels=16, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
TIED = dict(network='mmdet.ResNet', policy={'layer2.*.conv2': 2}, depth=50, **SIZE)
CLASSES = """
from mmdet.models import ResNet
from mmengine.model import PretrainedInit
from mmtied.models import TiedBackbone, TiedResNet
"""
TEXT = 'default_scope = "mmdet"\n'
# One config in all the ways in which its type can be written.
OURS = {
    'text': f"{TEXT}model = dict(backbone=dict(type='TiedResNet', depth=26, **{SIZE}))",
    'scope': f"model = dict(backbone=dict(type='mmtied.TiedResNet', depth=26, **{SIZE}))",
    'path': f"model = dict(backbone=dict(type='mmtied.models.tied_resnet.TiedResNet', depth=26, **{SIZE}))",
    'class': f'{CLASSES}model = dict(backbone=dict(type=TiedResNet, depth=26, **{SIZE}))',
}
TIED_BACKBONES = {
    'text': f"{TEXT}model = dict(backbone=dict(type='TiedBackbone', **{TIED}))",
    'scope': f"model = dict(backbone=dict(type='mmtied.TiedBackbone', **{TIED}))",
    'path': f"model = dict(backbone=dict(type='mmtied.models.tied_backbone.TiedBackbone', **{TIED}))",
    'class': f'{CLASSES}model = dict(backbone=dict(type=TiedBackbone, **({TIED} | dict(network=ResNet))))',
}


@pytest.fixture
def checkpoints(tmp_path):
    """The tied and the ordinary networks as classifiers have them, and a function for the paths."""
    networks = dict(tiedresnet=TiedResNet(26, **SIZE), tied=MODELS.build(TIED | dict(type='TiedBackbone')))
    networks |= dict(resnet=ResNet(50, **SIZE), wider=TiedResNet(26, **SIZE, base_width=64))
    for name, network in networks.items():
        state = {f'backbone.{tensor}': value for tensor, value in network.state_dict().items()}
        torch.save(dict(state_dict=state), tmp_path / f'{name}.pth')
    torch.save(dict(state_dict=state, meta=dict(tensors=dict.fromkeys(state, 'projected'))), tmp_path / 'warm.pth')
    return lambda name: str(tmp_path / f'{name}.pth')


def config_of(tmp_path, code: str) -> Config:
    (tmp_path / 'config.py').write_text(code)
    return Config.fromfile(tmp_path / 'config.py')


@pytest.mark.parametrize('way', OURS)
@pytest.mark.parametrize('codes, checkpoint', [(OURS, 'tiedresnet'), (TIED_BACKBONES, 'tied')])
def test_a_backbone_starts_from_its_classifier(tmp_path, checkpoints, way, codes, checkpoint):
    config = config_of(tmp_path, codes[way])
    train.start_from(config, checkpoints(checkpoint))
    assert config.model.backbone.frozen_stages == 1
    with MODELS.switch_scope_and_registry(config.get('default_scope')) as models:
        backbone = models.build(config.model.backbone)
    backbone.init_weights()
    content = torch.load(checkpoints(checkpoint))['state_dict']
    assert all(torch.equal(value, content[f'backbone.{name}']) for name, value in backbone.state_dict().items())


@pytest.mark.parametrize('way', TIED_BACKBONES)
def test_ordinary_weights_are_not_started_from_with_frozen_norms(tmp_path, checkpoints, way):
    config = config_of(tmp_path, TIED_BACKBONES[way])
    with pytest.raises(InputError, match=r'resnet\.pth is of an ordinary ResNet, which is tied by projection, so its'):
        train.start_from(config, checkpoints('resnet'))
    with pytest.raises(InputError, match=r'warm\.pth is a warm start of convert_weights\.py, so its norms must learn'):
        train.start_from(config, checkpoints('warm'))
    assert 'init_cfg' not in config.model.backbone


@pytest.mark.parametrize(
    'code, checkpoint, message',
    [
        (OURS['text'], 'resnet', 'TiedResNet: init_cfg: .*resnet.pth.* holds none of its tensors'),
        (OURS['class'], 'wider', r'wider.pth lacks \d+ of the \d+ frozen tensors, such as layer1'),
        (OURS['class'], 'absent', 'absent.pth can not be found'),
        (
            f"{TEXT}model = dict(backbone=dict(type='ResNet', depth=50))",
            'resnet',
            'and this one is ResNet, which loads',
        ),
        (
            f'{CLASSES}model = dict(backbone=dict(type=ResNet, depth=50))',
            'resnet',
            'and this one is ResNet, which loads',
        ),
        (f"{TEXT}model = dict(backbone=dict(type='TiedRestNet'))", 'tied', 'TiedRestNet'),
        (f'{TEXT}model = dict(detector=dict())', 'tied', 'the config has no model.backbone'),
        ('x = 1', 'tied', 'the config has no model.backbone'),
    ],
)
def test_what_cannot_be_started_from_is_named(tmp_path, checkpoints, code, checkpoint, message):
    with pytest.raises(InputError, match=f'--backbone-checkpoint: .*{message}'):
        train.start_from(config_of(tmp_path, code), checkpoints(checkpoint))


@pytest.mark.parametrize('type_', ["'mmengine.model.PretrainedInit'", "'mmengine.Pretrained'", 'PretrainedInit'])
def test_checkpoints_anywhere_in_a_config_load_last(tmp_path, monkeypatch, type_):
    """mmengine takes other spellings of a detector's own checkpoint for an initialisation that children overwrite."""
    init_cfg = f"dict(type={type_}, checkpoint='x.pth')"
    code = (
        f'{CLASSES if "Init" in type_ else TEXT}\nmodel = dict(init_cfg={init_cfg}, neck=[dict(init_cfg=[{init_cfg}])])'
    )
    (tmp_path / 'config.py').write_text(code)
    got = []

    def build_runner(config, args, loop):
        got.append(config)
        return type('Runner', (), dict(train=lambda self: None))()

    monkeypatch.setattr(train, 'build_runner', build_runner)
    train.main(make_parser(train).parse_args([str(tmp_path / 'config.py'), '--work-dir', str(tmp_path)]))
    (config,) = got
    assert config.model.init_cfg == config.model.neck[0].init_cfg == dict(type='Pretrained', checkpoint='x.pth')
