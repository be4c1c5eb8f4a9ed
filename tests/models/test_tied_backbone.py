"""TiedBackbone: two lines in a config tie its backbone, and the weights come from the ordinary network."""

import copy
import io
import pickle

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS as PRETRAIN_MODELS
from torch import nn
from torch.testing import assert_close

from mmtied.layers import TiedConv2d, TiedSE
from mmtied.models import TiedBackbone
from mmtied.tying import tie_model
from mmtied.tying.projection import project

POLICY = {'layer[34].*.conv2': 4}


@pytest.fixture(autouse=True)
def default_scope():
    init_default_scope('mmdet')


def test_two_lines_in_a_config(tmp_path, caplog):
    (tmp_path / 'tied.py').write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'\n"
        "model = dict(backbone=dict(type='mmtied.TiedBackbone', network='ResNet', policy={'layer[34].*.conv2': 4}))\n"
    )
    config = Config.fromfile(tmp_path / 'tied.py')
    assert config.model.backbone.depth == 50
    detector = MODELS.build(config.model)
    tied = [module for module in detector.backbone.modules() if isinstance(module, TiedConv2d)]
    assert len(tied) == 6 + 3
    assert {conv.blocks for conv in tied} == {4}
    # The base's frozen stages and norms hold.
    detector.train()
    assert not any(p.requires_grad for p in detector.backbone.layer1.parameters())
    assert not detector.backbone.layer4[0].bn1.training


def test_weights_are_those_of_the_ordinary_network_projected(tmp_path):
    trained = ResNet(50, base_channels=16)
    trained.init_weights()
    torch.save(trained.state_dict(), tmp_path / 'trained.pth')
    backbone = MODELS.build(
        dict(
            type='TiedBackbone',
            network='ResNet',
            policy=POLICY,
            depth=50,
            base_channels=16,
            init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'trained.pth')),
        )
    )
    parameters = list(backbone.parameters())
    backbone.init_weights()
    wanted = copy.deepcopy(trained)
    tie_model(wanted, POLICY)
    for name, value in wanted.state_dict().items():
        assert_close(backbone.state_dict()[name], value)
    # The optimizer, built before, keeps its parameters.
    assert all(a is b for a, b in zip(parameters, backbone.parameters()))
    assert backbone.is_init
    # The names are those of the ordinary network.
    assert list(backbone.state_dict()) == list(trained.state_dict())
    backbone.eval()
    wanted.eval()
    x = torch.randn(1, 3, 64, 64)
    for a, b in zip(backbone(x), wanted(x)):
        assert_close(a, b)


def test_a_detectors_init_keeps_its_weights():
    detector = MODELS.build(
        dict(
            type='RetinaNet',
            backbone=dict(type='TiedBackbone', network='ResNet', policy=POLICY, depth=50, base_channels=16),
            neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=16, num_outs=5),
            bbox_head=dict(
                type='RetinaHead',
                num_classes=3,
                in_channels=16,
                feat_channels=16,
                stacked_convs=1,
                anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], scales=[8], strides=[8, 16, 32, 64, 128]),
            ),
        )
    )
    detector.init_weights()
    norms = [m.weight for n, m in detector.backbone.named_modules() if n.endswith('bn3')]
    assert not any(weight.any() for weight in norms)  # ResNet's own zero_init_residual
    assert len(detector(torch.randn(1, 3, 64, 64))[0]) == 5


def test_its_own_checkpoint_loads_as_it_is(tmp_path):
    cfg = dict(type='TiedBackbone', network='ResNet', policy=POLICY, depth=50, base_channels=16)
    trained = MODELS.build(cfg)
    for parameter in trained.parameters():
        nn.init.normal_(parameter)
    state = {f'backbone.{name}': value for name, value in trained.state_dict().items()}
    torch.save(dict(state_dict=state), tmp_path / 'tied.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'tied.pth'), prefix='backbone.')
    backbone = MODELS.build(dict(cfg, init_cfg=init_cfg))
    backbone.init_weights()
    for name, value in trained.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value), name


def test_a_checkpoint_that_the_network_renames(tmp_path):
    """mmdet's Swin loads the official names, which are not its own."""
    cfg = dict(
        type='SwinTransformer', embed_dims=24, depths=(1, 1), num_heads=(1, 2), strides=(4, 2), out_indices=(0, 1)
    )
    ordinary = MODELS.build(cfg)
    ordinary.init_weights()
    official = {
        name.replace('stages.', 'layers.').replace('attn.w_msa.', 'attn.').replace('ffn.layers.0.0', 'mlp.fc1'): value
        for name, value in ordinary.state_dict().items()
        if 'attn' in name or 'ffn.layers.0.0' in name
    }
    torch.save({'model': official}, tmp_path / 'swin.pth')
    init_cfg = ConfigDict(type='Pretrained', checkpoint=str(tmp_path / 'swin.pth'))
    tied = dict(cfg, type='TiedBackbone', network='SwinTransformer', policy={'*.ffn.*': 2}, convert_weights=True)
    backbone = MODELS.build(dict(tied, init_cfg=init_cfg))
    backbone.init_weights()
    loaded = backbone.stages[0].blocks[0].attn.w_msa.qkv.weight
    assert torch.equal(loaded, ordinary.stages[0].blocks[0].attn.w_msa.qkv.weight)
    tied_weight = backbone.stages[0].blocks[0].ffn.layers[0][0].weight
    assert_close(tied_weight, project(ordinary.stages[0].blocks[0].ffn.layers[0][0].weight, 2))


def saved_whole(module: nn.Module) -> nn.Module:
    file = io.BytesIO()
    torch.save(module, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module)), saved_whole])
@pytest.mark.parametrize('nested', [False, True])
def test_a_copy_initialises_itself_as_the_first_does(tmp_path, copied, nested):
    """From the checkpoint of an ordinary network, which only TiedBackbone's initialisation projects."""
    ordinary = ResNet(50, base_channels=16)
    torch.save(ordinary.state_dict(), tmp_path / 'ordinary.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'ordinary.pth'))
    backbone = TiedBackbone('ResNet', POLICY, depth=50, base_channels=16, init_cfg=init_cfg)
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    other = copied(nn.Sequential(backbone))[0] if nested else copied(copied(backbone))
    assert other.tying == backbone.tying
    other.init_weights()
    assert_close(other.layer3[0].conv2.weight, project(ordinary.layer3[0].conv2.weight, 4))
    assert torch.equal(other.layer1[0].conv1.weight, ordinary.layer1[0].conv1.weight)
    assert (other.is_init, backbone.is_init) == (True, False)
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    torch.save({'other.weight': torch.zeros(3)}, tmp_path / 'other.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'other.pth'))
    backbone = TiedBackbone('ResNet', POLICY, depth=50, base_channels=16, init_cfg=init_cfg)
    with pytest.raises(ValueError, match=r'other\.pth holds none of its tensors'):
        backbone.init_weights()


def test_tied_se_in_a_classifier():
    init_default_scope('mmpretrain')
    classifier = PRETRAIN_MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='mmtied.TiedBackbone', network='EfficientNet', arch='b0', se_blocks=4),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=1280),
        )
    )
    classifier.init_weights()
    assert sum(isinstance(module, TiedSE) for module in classifier.modules()) == 16
    assert classifier(torch.randn(2, 3, 64, 64)).shape == (2, 5)


def test_arguments():
    with pytest.raises(ValueError, match='needs policy'):
        TiedBackbone('ResNet', depth=50)
    with pytest.raises(
        ValueError, match=r"no layer fits the pattern 'layer9'; .* there are conv1, layer1\.0\.conv1, .*, …$"
    ):
        TiedBackbone('ResNet', {'layer9': 2}, depth=50)
    with pytest.raises(ValueError, match='not a network with an SELayer'):
        TiedBackbone('ResNet', se_blocks=2, depth=50)
