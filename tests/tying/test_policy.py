"""tie_model and untie on networks of timm, mmdet, mmpretrain and torchvision."""

import copy
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmcv.cnn import fuse_conv_bn
from mmdet.models.backbones import ResNet as DetResNet
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpretrain.models.backbones import VisionTransformer
from torch import nn
from torch.nn.utils import parametrizations, prune, spectral_norm
from torch.testing import assert_close
from torchvision.models import resnet18

from mmtied.analysis import complexity
from mmtied.layers import TiedConv2d, TiedLinear
from mmtied.models import TiedResNet
from mmtied.tying import tie_model, untie

MMDET_CONFIGS = Path(find_spec('mmdet').origin).parent / '.mim' / 'configs'


def shapes(model):
    return {name: value.shape for name, value in model.state_dict().items()}


def tied_names(report):
    return [layer.name for layer in report.tied]


@pytest.mark.parametrize(
    'make, policy',
    [
        (lambda: timm.create_model('resnet18'), {'layer*.conv?': 4}),
        (lambda: timm.create_model('convnext_atto'), {'*.mlp.fc?': 2}),
        (lambda: DetResNet(50, base_channels=16), {'layer[34].*.conv2': 2, 'layer[34].*.conv1': 4}),
        (resnet18, {'layer1.*': 1, '*': 2}),
        (lambda: VisionTransformer('deit-tiny', img_size=64), {'*.ffn.*': 2, '*.attn.*': 4}),
    ],
    ids=['timm resnet', 'timm convnext', 'mmdet', 'torchvision', 'mmpretrain vit'],
)
def test_ties_any_network(make, policy):
    model = make()
    model.eval()
    names = list(model.state_dict())
    before = complexity(model, (64, 64))
    untied = copy.deepcopy(model)
    report = tie_model(model, policy, (64, 64))
    after = complexity(model, (64, 64))
    assert list(model.state_dict()) == names
    assert report.parameters == (before.parameters, after.parameters)
    assert report.macs == (before.macs, after.macs)
    assert after.parameters < before.parameters
    assert len(report.tied) >= 8
    assert not report.left or set(policy) == {'layer1.*', '*'}  # of which the image and the classes are indivisible
    for layer in report.tied:
        old, new = untied.get_submodule(layer.name), model.get_submodule(layer.name)
        assert isinstance(new, TiedConv2d | TiedLinear)
        assert new.weight.numel() * layer.blocks**2 == old.weight.numel()
        assert layer.macs[0] == layer.macs[1] * layer.blocks > 0
    # Untied again, it is another ordinary network with the same outputs and names.
    x = torch.randn(1, 3, 64, 64)
    wanted = model(x)
    grouped = untie(copy.deepcopy(model))
    assert complexity(grouped, (64, 64)).macs == after.macs or any(layer.layer == 'Linear' for layer in report.tied)
    for a, b in zip(grouped(x), wanted):
        assert torch.equal(a, b) or any(layer.layer == 'Linear' for layer in report.tied)
        assert_close(a, b, rtol=1e-4, atol=1e-4)
    ordinary = untie(copy.deepcopy(model), dense=True)
    assert {k: v.shape for k, v in ordinary.state_dict().items()} == {
        k: v.shape for k, v in untied.state_dict().items()
    }
    got = ordinary(x)
    for a, b in zip(got, wanted):
        assert_close(a, b, rtol=1e-4, atol=1e-4)
    # And tied anew, it has the same weights.
    tie_model(ordinary, policy)
    for name, value in model.state_dict().items():
        assert_close(ordinary.state_dict()[name], value)


def test_layers_that_cannot_be_tied_are_left_and_listed():
    class Padded(nn.Conv2d):
        pass

    model = nn.Module()
    model.good = nn.Conv2d(8, 8, 3)
    model.image = nn.Conv2d(3, 8, 3)
    model.depthwise = nn.Conv2d(8, 8, 3, groups=8)
    model.odd = nn.Linear(8, 5)
    model.padded = Padded(8, 8, 3)
    model.hooked = nn.Linear(8, 8)
    model.hooked.register_forward_hook(lambda *_: None)
    model.watched = nn.Linear(8, 8)
    model.watched.register_full_backward_hook(lambda *_: None)
    model.one, model.other = nn.Linear(8, 8), nn.Linear(8, 8)
    model.other.bias = model.one.bias
    model.tied = TiedConv2d(8, 8, 3, blocks=4)
    report = tie_model(model, {'*': 2})
    assert tied_names(report) == ['good']
    reasons = {layer.name: layer.reason for layer in report.left}
    assert reasons == {
        'image': 'in_channels=3 cannot be cut into 2 equal blocks',
        'depthwise': 'in_channels=8 and out_channels=8 cannot be cut into 2 equal blocks in each of 8 groups',
        'odd': 'out_features=5 cannot be cut into 2 equal blocks',
        'padded': f'{__name__}.Padded is a subclass that may compute something of its own',
        'hooked': 'it has hooks',
        'watched': 'it has hooks',
        'one': 'it shares parameters with another layer',
        'other': 'it shares parameters with another layer',
        'tied': 'it is tied already, blocks=4',
    }
    for name in reasons:
        assert f'left as it is: {name} (' in str(report)


def test_policies():
    def names(policy):
        return {layer.name: layer.blocks for layer in tie_model(resnet18(), policy).tied}

    # The first pattern that fits decides, and 1 leaves a layer.
    assert names({'layer1.0.conv1': 1, 'layer1.0.conv2': 8, 'layer1.*': 2}) == {
        'layer1.0.conv2': 8,
        'layer1.1.conv1': 2,
        'layer1.1.conv2': 2,
    }
    assert names(lambda name, layer: 4 if isinstance(layer, nn.Linear) else None) == {'fc': 4}
    assert names({'layer1.*': 1}) == {}


def test_groups_keep_eq_4():
    model = nn.Sequential(nn.Conv2d(16, 24, 3, groups=2, padding=1))
    tie_model(model, {'0': 2})
    assert (model[0].groups, model[0].blocks) == (2, 2)
    assert model[0].weight.shape == (12, 4, 3, 3)
    x = torch.randn(1, 16, 5, 5)
    for dense in (False, True):
        assert_close(untie(copy.deepcopy(model), dense)(x), model(x))
    assert untie(model)[0].groups == 4


def test_a_module_in_several_places_stays_shared():
    conv = nn.Conv2d(4, 4, 1)
    model = nn.ModuleList([nn.Sequential(conv), nn.Sequential(conv)])
    report = tie_model(model, {'*': 2})
    assert tied_names(report) == ['0.0']
    assert isinstance(model[1][0], TiedConv2d)
    assert model[0][0] is model[1][0]


def test_mode_frozen_weights_and_dtype_stay():
    model = nn.Sequential(nn.Conv2d(4, 4, 1), nn.Linear(4, 4)).eval().requires_grad_(False).to(torch.bfloat16)
    tie_model(model, {'*': 2})
    for layer in model:
        assert not layer.training
        assert not layer.weight.requires_grad and not layer.bias.requires_grad
        assert layer.weight.dtype == layer.bias.dtype == torch.bfloat16


@pytest.mark.parametrize(
    'policy, named',
    [
        (
            {'layer9.*': 2},
            r"no layer fits the pattern 'layer9\.\*'; of nn\.Conv2d and nn\.Linear there are conv1, layer1\.0\.conv1",
        ),
        ({'layer1': 2}, "no layer fits the pattern 'layer1'"),
        ({'*': 2, 'layer4.*': 4}, r"'layer4\.\*' decides nothing: earlier ones fit layer4\.0\.conv1"),
        ('layer4.*', "policy='layer4.*' must map"),
        (lambda name, layer: True, 'blocks=True'),
        ({'fc': 0}, "'fc' gives blocks=0 for fc: a whole number"),
        ({'fc': 2.0}, 'blocks=2.0'),
        (lambda name, layer: 'two', "'policy' gives blocks='two' for conv1"),
    ],
)
def test_bad_policies_change_nothing(policy, named):
    model = resnet18()
    with pytest.raises(ValueError, match=named):
        tie_model(model, policy)
    assert not any(isinstance(module, TiedConv2d | TiedLinear) for module in model.modules())


def test_a_network_without_layers_to_tie():
    with pytest.raises(ValueError, match=r'of nn\.Conv2d and nn\.Linear there are none'):
        tie_model(nn.Sequential(nn.ReLU()), {'*': 2})


def test_blocks_may_be_numpys():
    model = nn.Sequential(nn.Conv2d(4, 4, 3), nn.Linear(4, 4))
    tie_model(model, lambda name, layer: np.int64(2))
    assert [type(layer.blocks) for layer in model] == [int, int]
    assert 'blocks=2' in repr(model[0])


def test_hooks_survive_untie():
    layer = TiedLinear(4, 4, blocks=2)
    model = nn.Sequential(layer)
    calls = []
    layer.register_forward_hook(lambda *_: calls.append(1))
    untie(model)(torch.zeros(1, 4))
    assert calls == [1]


def test_shared_parameters_stay_shared_when_untied():
    model = nn.Sequential(TiedLinear(4, 4, blocks=2), TiedLinear(4, 4, blocks=2))
    model[1].weight = model[0].weight
    untie(model)
    assert model[0].weight is model[1].weight
    assert model[0].bias is not model[1].bias


def test_macs_of_a_shared_layer_are_those_of_all_its_calls():
    conv = nn.Conv2d(3, 4, 1)
    shared = nn.Conv2d(4, 4, 1)
    model = nn.Sequential(conv, shared, nn.ReLU(), nn.Sequential(shared))
    report = tie_model(model, {'1': 2}, (5, 5))
    assert report.tied[0].macs == (2 * 16 * 25, 2 * 8 * 25)
    assert report.macs[0] - report.macs[1] == 2 * 8 * 25


def test_counts_of_a_detector_by_a_function():
    init_default_scope('mmdet')
    config = Config.fromfile(MMDET_CONFIGS / 'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
    config.model.backbone.init_cfg = None
    detector = MODELS.build(config.model)

    def run(detector):
        meta = dict(img_shape=(64, 64), ori_shape=(64, 64), scale_factor=(1, 1))
        return detector.predict(torch.zeros(1, 3, 64, 64), [DetDataSample(metainfo=meta)])

    with pytest.raises(ValueError, match=r'MaskRCNN does not run on one image of zeros of \(64, 64\).*a function'):
        tie_model(detector, {'backbone.layer4.*.conv2': 4}, (64, 64))
    assert not any(isinstance(module, TiedConv2d) for module in detector.modules())
    report = tie_model(detector, {'backbone.layer4.*.conv2': 4, 'roi_head.bbox_head.shared_fcs.1': 2}, run)
    assert len(report.tied) == 4
    # The head's depend on the number of proposals, and that on the weights.
    assert all(layer.macs[0] == 4 * layer.macs[1] > 0 for layer in report.tied if 'backbone' in layer.name)
    assert all(layer.macs[1] > 0 for layer in report.tied)


def test_a_network_that_reads_weights_itself_is_restored():
    class Reads(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 9)

        def forward(self, x):
            return nn.functional.linear(x.mean((2, 3)), self.layer.weight)

    model = Reads()
    before = model.layer
    with pytest.raises(ValueError, match='undone, for with these layers tied Reads does not run'):
        tie_model(model, {'layer': 3}, (4, 4))
    assert model.layer is before


def test_half_precision_is_counted():
    report = tie_model(nn.Sequential(nn.Conv2d(3, 6, 1)).to(torch.bfloat16), {'0': 3}, (4, 4))
    assert report.macs == (18 * 16, 6 * 16)


def test_a_layer_alone_is_refused():
    with pytest.raises(ValueError, match='itself a Linear'):
        tie_model(nn.Linear(4, 4), {'*': 2})


def test_untied_network_fuses_with_its_norms():
    backbone = TiedResNet(26, base_channels=16, base_width=64)
    for module in backbone.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight)
            nn.init.uniform_(module.running_mean)
    backbone.eval()
    x = torch.randn(1, 3, 64, 64)
    wanted = backbone(x)
    for a, b in zip(fuse_conv_bn(untie(copy.deepcopy(backbone)))(x), wanted):
        assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('compute', [prune.identity, parametrizations.weight_norm, spectral_norm])
def test_computed_weights_are_not_untied(compute):
    model = nn.Sequential(nn.Sequential(TiedLinear(4, 4, blocks=2)), TiedConv2d(4, 4, 1, blocks=2))
    compute(model[0][0], 'weight')
    with pytest.raises(ValueError, match=r'0\.0: its weight is computed from others, by pruning or a norm'):
        untie(model)
    assert isinstance(model[1], TiedConv2d)  # Nothing is done by halves.


def test_untie_of_a_layer_returns_it():
    assert type(untie(TiedLinear(4, 4, blocks=2))) is nn.Linear


@pytest.mark.parametrize('bias', [True, False])
def test_tied_network_trains(bias):
    model = nn.Sequential(nn.Conv2d(4, 4, 3, bias=bias), nn.Flatten(), nn.Linear(16, 4, bias=bias))
    tie_model(model, {'*': 2})
    model(torch.randn(2, 4, 4, 4)).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in model.parameters())
