"""What docs/elsewhere.md says of other packages, run as it stands there, where they are installed."""

from __future__ import annotations

import copy
import pickle
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData, PixelData
from torch import nn
from torch.testing import assert_close

import mmtied.models  # noqa: F401
from mmtied.layers import TiedConv2d
from mmtied.models import TiedResNet

PAGE = Path(__file__).parents[1] / 'docs' / 'elsewhere.md'


def code(section: str) -> list[str]:
    """The blocks of Python in a section of the page."""
    text = PAGE.read_text(encoding='utf-8').split(f'\n## {section}\n')[1].split('\n## ')[0]
    return re.findall(r'```python\n(.*?)```', text, re.DOTALL)


def tied_layers(network: nn.Module) -> int:
    return sum(isinstance(module, TiedConv2d) and module.blocks > 1 for module in network.modules())


def small(config: Config) -> Config:
    """Take out what needs a network or several processes."""
    text = config.pretty_text.replace("'SyncBN'", "'BN'")
    config = Config.fromstring(text, '.py')
    if 'pretrained' in config.model:
        config.model.pretrained = None
    return config


@pytest.mark.slow
@pytest.mark.parametrize('block', [0, 1], ids=['TiedResNet', 'TiedBackbone'])
def test_mmsegmentation(block):
    pytest.importorskip('mmseg.models', reason='mmsegmentation is not installed')
    from mmseg.structures import SegDataSample

    config = small(Config.fromstring(code('mmsegmentation')[block], '.py'))
    init_default_scope('mmseg')
    model = MODELS.build(config.model)
    model.init_weights()
    # In 16 bottlenecks the entry, three splits and the mixer, and four shortcuts.
    assert tied_layers(model.backbone) == (16 * 5 + 4 if block == 0 else 9)
    assert isinstance(model.backbone, TiedResNet) == (block == 0)
    # What its ResNetV1c has of the config: the stem, and dilations of which a stage's first is half.
    assert model.backbone.deep_stem and model.backbone.contract_dilation
    sample = SegDataSample(metainfo=dict(img_shape=(64, 64), ori_shape=(64, 64), pad_shape=(64, 64)))
    sample.gt_sem_seg = PixelData(data=torch.randint(0, 19, (1, 64, 64)))
    samples = [sample, copy.deepcopy(sample)]
    images = torch.randn(2, 3, 64, 64)
    losses = model.train().loss(images, samples)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert next(model.backbone.parameters()).grad.abs().sum() > 0
    with torch.no_grad():
        (found,) = model.eval().predict(images[:1], samples[:1])
    assert found.pred_sem_seg.data.shape == (1, 64, 64)
    assert [out.shape[-1] for out in model.backbone(images[:1])] == [16, 8, 8, 8]


def test_mmsegmentations_weights_of_an_ordinary_network_are_an_error(tmp_path):
    """What the page says happens without ``pretrained=None``."""
    torch.save({'conv1.weight': torch.zeros(1)}, tmp_path / 'resnet50_v1c.pth')
    backbone = TiedResNet(26, base_channels=16, base_width=64, pretrained=str(tmp_path / 'resnet50_v1c.pth'))
    with pytest.raises(ValueError, match=r'holds none of its tensors'):
        backbone.init_weights()


@pytest.mark.slow
def test_mmpose():
    pytest.importorskip('mmpose.models', reason='mmpose is not installed')
    from mmpose.structures import PoseDataSample

    config = small(Config.fromstring(code('mmpose')[0], '.py'))
    init_default_scope('mmpose')
    model = MODELS.build(config.model)
    model.init_weights()
    sample = PoseDataSample(metainfo=dict(img_shape=(256, 192)))
    sample.gt_fields = PixelData(heatmaps=torch.rand(17, 64, 48))
    sample.gt_instance_labels = InstanceData(keypoint_weights=torch.ones(1, 17))
    losses = model.loss(torch.randn(2, 3, 256, 192), [sample, copy.deepcopy(sample)])
    losses['loss_kpt'].backward()
    assert next(model.backbone.parameters()).grad.abs().sum() > 0


def test_timm():
    pytest.importorskip('timm')
    names: dict = {}
    made, registered, config = code('timm')
    exec(made, names)
    assert len(names['report'].tied) == tied_layers(names['model']) == 9

    module = ModuleType('networks_of_ones_own')  # timm asks for the module of a function
    sys.modules['networks_of_ones_own'] = module
    try:
        exec(registered, module.__dict__)
        import timm

        model = timm.create_model('resnet50_tied4', num_classes=5)
    finally:
        del sys.modules['networks_of_ones_own']
    assert tied_layers(model) == 9
    assert model.eval()(torch.zeros(1, 3, 64, 64)).shape == (1, 5)

    init_default_scope('mmdet')
    backbone = MODELS.build(Config.fromstring(config, '.py').model.backbone)
    assert tied_layers(backbone) == 9
    backbone.eval()  # Not chained: mmpretrain's return None.
    assert [out.shape[1] for out in backbone(torch.zeros(1, 3, 64, 64))] == [256, 512, 1024, 2048]


@pytest.fixture
def ultralytics_module(tmp_path, monkeypatch):
    """The page's classes in a module of their own, from which checkpoints are loaded again."""
    monkeypatch.setenv('YOLO_CONFIG_DIR', str(tmp_path))  # It writes settings there when it is imported.
    pytest.importorskip('ultralytics', reason='Ultralytics is not installed')
    (tmp_path / 'tied_yolo.py').write_text(code('Ultralytics')[0])
    monkeypatch.syspath_prepend(tmp_path)
    yield __import__('tied_yolo')
    del sys.modules['tied_yolo']


@pytest.mark.slow
def test_ultralytics(ultralytics_module):
    trainer = object.__new__(ultralytics_module.TiedTrainer)
    trainer.data = dict(nc=3, channels=3)
    model = trainer.get_model('yolov8n.yaml')
    assert tied_layers(model) == 10
    again = pickle.loads(pickle.dumps(model))
    assert type(again).__name__ == 'TiedModel' and tied_layers(again) == 10
    # Weights of a tied network are its own, those of an ordinary one are projected.
    resumed = trainer.get_model('yolov8n.yaml', weights=again)
    for name, value in model.state_dict().items():
        assert torch.equal(resumed.state_dict()[name], value), name
    ordinary = ultralytics_module.DetectionModel('yolov8n.yaml', nc=3, verbose=False)
    start = trainer.get_model('yolov8n.yaml', weights=ordinary).state_dict()['model.4.m.0.cv1.conv.weight']
    blocks = ordinary.state_dict()['model.4.m.0.cv1.conv.weight']
    assert_close(start, (blocks[:16, :16] + blocks[16:, 16:]) / 2)

    for norm in (module for module in model.modules() if isinstance(module, nn.BatchNorm2d)):
        nn.init.uniform_(norm.running_var, 0.5, 2)
        nn.init.uniform_(norm.weight, 0.5, 1)
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        wanted = model.eval()(images)[0]
        fused = model.fuse(verbose=False)
        assert_close(fused(images)[0], wanted, rtol=1e-4, atol=1e-3)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in fused.modules())
