"""ONNX files: eager's numbers in ONNX Runtime and OpenVINO, of any size, by every opset, without a computed filter."""

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from small_networks import BACKBONES, outputs, trained

from mmtied.deploy.onnx import export_onnx

onnx = pytest.importorskip('onnx', reason='needs the extra `deploy`')
onnxruntime = pytest.importorskip('onnxruntime', reason='needs the extra `deploy`')


def run(path, images: torch.Tensor) -> list[torch.Tensor]:
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    return [torch.from_numpy(output) for output in session.run(None, {'images': images.numpy()})]


@pytest.mark.parametrize('name, opset', [*((name, 11) for name in BACKBONES), ('tiedresnest', 17), ('tiedresnet', 20)])
def test_backbones(tmp_path, name, opset):
    network = trained(BACKBONES[name]())
    off = export_onnx(network, tmp_path / 'net.onnx', size=(64, 96), opset=opset)
    assert off < 1e-5
    images = torch.randn(1, 3, 64, 96)
    for found, wanted in zip(run(tmp_path / 'net.onnx', images), outputs(network, images)):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)
    graph = onnx.load(str(tmp_path / 'net.onnx')).graph
    weights = {one.name for one in graph.initializer}
    # Of equal weights, such as zeros, one is kept.
    weights |= {node.output[0] for node in graph.node if node.op_type == 'Identity' and node.input[0] in weights}
    for node in graph.node:
        if node.op_type == 'Conv':
            assert node.input[1] in weights


@pytest.mark.parametrize('name', BACKBONES)
def test_any_size(tmp_path, name):
    network = trained(BACKBONES[name]())
    export_onnx(network, tmp_path / 'net.onnx', size=(64, 64), opset=11, dynamic=True)
    for shape in ((2, 3, 64, 64), (1, 3, 96, 130), (3, 3, 75, 64)):
        images = torch.randn(*shape)
        for found, wanted in zip(run(tmp_path / 'net.onnx', images), outputs(network, images)):
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_openvino(tmp_path):
    openvino = pytest.importorskip('openvino', reason='needs the extra `deploy`')
    network = trained(BACKBONES['tiedresnest']())
    export_onnx(network, tmp_path / 'net.onnx', size=(64, 64), dynamic=True)
    compiled = openvino.Core().compile_model(str(tmp_path / 'net.onnx'), 'CPU', {'INFERENCE_PRECISION_HINT': 'f32'})
    images = torch.randn(2, 3, 96, 64)
    for found, wanted in zip(compiled(images.numpy()).values(), outputs(network, images)):
        torch.testing.assert_close(torch.from_numpy(found), wanted, rtol=1e-4, atol=1e-4)


def test_bad_arguments(tmp_path):
    network = BACKBONES['tiedresnet']()
    with pytest.raises(ValueError, match='opset=10 must be from 11 to 20'):
        export_onnx(network, tmp_path / 'net.onnx', opset=10)
    with pytest.raises(ValueError, match=r'does not run on an image of \(0, 64\)'):
        export_onnx(network, tmp_path / 'net.onnx', size=(0, 64))
    assert not list(tmp_path.iterdir())


def test_the_network_itself_stays(tmp_path):
    network = trained(BACKBONES['tiedresnet']())
    before = {key: value.clone() for key, value in network.state_dict().items()}
    export_onnx(network, tmp_path / 'net.onnx', size=(64, 64))
    assert before.keys() == network.state_dict().keys()
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_dense_part_of_a_detector(tmp_path):
    init_default_scope('mmdet')
    cfg = dict(
        type='RetinaNet',
        data_preprocessor=dict(type='DetDataPreprocessor'),
        backbone=dict(type='mmtied.TiedResNet', depth=26, base_channels=16),
        neck=dict(type='FPN', in_channels=[64, 128, 256, 512], out_channels=32, num_outs=5),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=3,
            in_channels=32,
            feat_channels=32,
            stacked_convs=1,
            anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], scales=[4], strides=[4, 8, 16, 32, 64]),
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        ),
    )
    network = trained(MODELS.build(cfg))
    assert export_onnx(network, tmp_path / 'net.onnx', kind='detector', size=(64, 64), dynamic=True) < 1e-5
    names = [output.name for output in onnx.load(str(tmp_path / 'net.onnx')).graph.output]
    assert names == [f'{what}_{i}' for what in ('cls_score', 'bbox_pred') for i in range(5)]
    images = torch.randn(2, 3, 128, 96)
    with torch.no_grad():
        scores, boxes = network(images, mode='tensor')
    for found, wanted in zip(run(tmp_path / 'net.onnx', images), [*scores, *boxes]):
        torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_backbone_of_mmdet(tmp_path):
    """Its `eval` returns nothing."""
    network = MODELS.build(
        dict(
            type='mmdet.ResNet',
            depth=18,
            base_channels=8,
            num_stages=2,
            strides=(1, 2),
            dilations=(1, 1),
            out_indices=(0, 1),
        )
    )
    network.eval()
    assert export_onnx(network, tmp_path / 'net.onnx', size=(64, 64)) < 1e-5
