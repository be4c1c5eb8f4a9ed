"""Networks by name, their weights, their input, and the layers that patterns choose."""

import argparse
import sys

import numpy as np
import pytest
import timm
import torch
import torchvision
from mmdet.models.data_preprocessors import DetDataPreprocessor
from mmpretrain.models.utils import ClsDataPreprocessor
from safetensors.torch import save_file

from mmtied.analysis.network.layers import choose_layers, convolutions, depth
from mmtied.analysis.network.loader import load_network

SOURCES = {
    'torchvision:vgg16': ('classifier', 13),
    'torchvision:resnet50': ('classifier', 53),
    'timm:resnet26': ('classifier', 29),
    'tiedresnet50-s': ('backbone', None),
    'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py': ('detector', 53),
    'mmpretrain::resnet/resnet50_8xb32_in1k.py': ('classifier', 53),
    'tiedresnet50-4s32w_8xb32_in1k': ('classifier', None),
    'configs/occluded_shapes/mask-rcnn_tiedr26-mini_fpn_8e_shapes.py': ('detector', None),
}


@pytest.mark.parametrize('source', SOURCES)
def test_sources(source, monkeypatch, request):
    monkeypatch.chdir(request.config.rootpath)
    network = load_network(source)
    kind, count = SOURCES[source]
    assert network.kind == kind
    names = convolutions(network)
    if count is not None:
        assert len(names) == count
    assert not network.model.training
    assert not any(parameter.requires_grad for parameter in network.model.parameters())
    assert network.title == f'{network.name} (random weights)'
    network.backbone(network.normalise(torch.zeros(1, 3, 64, 64).byte()))
    if kind == 'classifier':
        assert len(network.classes) == 1000
    elif kind == 'detector':
        assert len(network.classes) == (5 if 'shapes' in source else 80)


def test_unknown_networks_are_named(monkeypatch):
    with pytest.raises(ValueError, match=r"torchvision has no classifier 'resnet51'; there are .*resnet50"):
        load_network('torchvision:resnet51')
    with pytest.raises(ValueError, match=r"timm has no network 'resnet51'"):
        load_network('timm:resnet51')
    with pytest.raises(ValueError, match=r'nonsense: no such config file, and not one of tiedresnet50'):
        load_network('nonsense')
    monkeypatch.setitem(sys.modules, 'timm', None)
    with pytest.raises(ValueError, match='pip install timm'):
        load_network('timm:resnet18')


def test_configs_that_are_none(tmp_path):
    (tmp_path / 'bare.py').write_text('a = 1')
    with pytest.raises(ValueError, match=r'bare\.py: has no model\.backbone'):
        load_network(str(tmp_path / 'bare.py'))
    (tmp_path / 'wrong.py').write_text("model = dict(type='RetinaNet', backbone=dict(type='NoNet'))")
    with pytest.raises(ValueError, match=r'wrong\.py: cannot be built'):
        load_network(str(tmp_path / 'wrong.py'))


def test_weights_of_the_whole_or_of_the_backbone(tmp_path):
    config = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'
    source = load_network(config)
    whole = source.model.state_dict()
    torch.save({'state_dict': whole, 'meta': {'dataset_meta': {'classes': ['a', 'b']}}}, tmp_path / 'whole.pth')
    torch.save(source.backbone.state_dict(), tmp_path / 'backbone.pth')
    network = load_network(config, tmp_path / 'whole.pth', 'mine')
    assert (network.name, network.title, network.classes) == ('mine', 'mine', ('a', 'b'))
    for name, value in network.model.state_dict().items():
        assert torch.equal(value, whole[name])
    for other in (load_network(config, tmp_path / 'backbone.pth'),):
        assert torch.equal(other.backbone.conv1.weight, source.backbone.conv1.weight)
        assert not torch.equal(other.model.head.fc.weight, source.model.head.fc.weight)
    # A classifier's checkpoint in a bare backbone.
    tied = load_network('tiedresnet50-s')
    torch.save({f'backbone.{k}': v for k, v in tied.model.state_dict().items()}, tmp_path / 'tied.pth')
    loaded = load_network('tiedresnet50-s', tmp_path / 'tied.pth')
    assert torch.equal(loaded.model.stem[0].conv.weight, tied.model.stem[0].conv.weight)
    squeeze = torchvision.models.squeezenet1_1()
    torch.save({'model': squeeze.state_dict(), 'args': argparse.Namespace(lr=1)}, tmp_path / 'squeeze.pth')
    loaded = load_network('torchvision:squeezenet1_1', tmp_path / 'squeeze.pth')
    assert torch.equal(loaded.model.classifier[1].weight, squeeze.classifier[1].weight)
    with pytest.raises(ValueError, match='no such checkpoint'):
        load_network(config, tmp_path / 'absent.pth')
    for text in ('no', 'hello world'):
        (tmp_path / 'text.pth').write_text(text)
        with pytest.raises(ValueError, match='not a checkpoint'):
            load_network(config, tmp_path / 'text.pth')


def test_heads_that_do_not_fit(tmp_path):
    config = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'
    torch.save(load_network(config).backbone.state_dict(), tmp_path / 'backbone.pth')
    assert load_network(config, tmp_path / 'backbone.pth', 'mine').title == 'mine (random head)'
    # A classifier of torchvision or timm gets as many classes as the checkpoint has.
    for source, build in (
        ('torchvision:resnet18', torchvision.models.resnet18),
        ('timm:resnet18', lambda **count: timm.create_model('resnet18', **count)),
    ):
        save_file(build(num_classes=7).state_dict(), tmp_path / 'seven.safetensors')
        network = load_network(source, tmp_path / 'seven.safetensors')
        assert (network.random, network.classes, network.model.fc.out_features) == (None, None, 7)


@pytest.mark.parametrize(
    ('source', 'name', 'message'),
    [
        ('torchvision:resnet18', 'resnet50', r'lacks \d+ of the 62 parameters of ResNet, such as layer1\.0\.conv1'),
        ('mmpretrain::resnet/resnet18_8xb32_in1k.py', 'squeezenet1_1', 'lacks 60 of the 60 parameters of ResNet'),
        ('tiedresnet50-s', 'resnet50', r'lacks 351 of the 351 parameters of TiedResNet'),
    ],
)
def test_weights_of_another_network_are_refused(tmp_path, source, name, message):
    torch.save(torchvision.models.get_model(name).state_dict(), tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=rf'other\.pth: {message}'):
        load_network(source, tmp_path / 'other.pth')


def test_facts_of_configs(tmp_path):
    (tmp_path / 'three.py').write_text(
        "_base_ = 'mmpretrain::resnet/resnet18_8xb32_in1k.py'\n"
        "test_dataloader = dict(dataset=dict(classes=['a', 'b', 'c']))\n"
        'model = dict(backbone=dict(with_cp=True), head=dict(num_classes=3))\n'
    )
    network = load_network(str(tmp_path / 'three.py'))
    assert (network.classes, network.size) == (('a', 'b', 'c'), 224)
    assert not network.backbone.with_cp
    assert load_network('torchvision:inception_v3').size == 299
    assert load_network('timm:vit_tiny_patch16_384').size == 384
    assert load_network('timm:resnet50.a1_in1k').model.pretrained_cfg['tag'] == 'a1_in1k'
    # No image passes auxiliary heads in a test.
    google = load_network('torchvision:googlenet')
    assert not any(name.startswith('aux') for name in convolutions(google))


@pytest.mark.parametrize(
    ('source', 'preprocessor'),
    [
        ('mmdet::retinanet/retinanet_r50_fpn_1x_coco.py', DetDataPreprocessor),
        ('mmdet::retinanet/retinanet_r50-caffe_fpn_1x_coco.py', DetDataPreprocessor),
        ('mmpretrain::resnet/resnet18_8xb32_in1k.py', ClsDataPreprocessor),
    ],
)
def test_input_is_that_of_the_model(source, preprocessor):
    """OpenMMLab reads images in blue, green, red."""
    network = load_network(source)
    assert network.bgr == ('caffe' in source)
    rgb = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    if preprocessor is DetDataPreprocessor:
        data = dict(inputs=[rgb[0].flip(0)], data_samples=None)
        theirs = network.model.data_preprocessor(data)['inputs']
    else:
        settings = dict(network.config.data_preprocessor)
        settings.pop('num_classes')
        theirs = preprocessor(**settings)(dict(inputs=rgb.flip(1), data_samples=None))['inputs']
    torch.testing.assert_close(network.normalise(rgb), theirs)


def test_layers():
    network = load_network('torchvision:resnet18')
    every = convolutions(network)
    chosen = choose_layers(network)
    assert (len(chosen), chosen[0], chosen[-1]) == (8, every[0], every[-1])
    assert choose_layers(network, ['layer[12].0.conv?']) == [f'layer{i}.0.conv{k}' for i in (1, 2) for k in (1, 2)]
    assert choose_layers(network, ['*']) == every
    assert choose_layers(network, ['layer4', 'layer?.0', 'conv1']) == [
        'conv1',
        'layer1.0',
        'layer2.0',
        'layer3.0',
        'layer4.0',
        'layer4',
    ]
    with pytest.raises(ValueError, match=r"resnet18: no convolution is named 'layer9', .* its convolutions are conv1,"):
        choose_layers(network, ['conv1', 'layer9'])


def test_depth():
    order = ['a', 'b.c', 'b.d', 'e']
    np.testing.assert_allclose([depth(name, order) for name in ('a', 'b', 'b.c', 'e')], [0, 2 / 3, 1 / 3, 1])
    assert depth('a', ['a']) == 0
