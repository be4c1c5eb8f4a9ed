"""Grad-CAM: the maps against the definition written out, the detections against mmdet's own, the page in a browser."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmdet.apis import inference_detector
from mmengine.registry import init_default_scope
from pages import opened
from PIL import Image

from mmtied.analysis.grad_cam.page import draw_panels, to_page
from mmtied.analysis.grad_cam.panel import DetectorOutputs, Panel, class_index, detector_input, explain
from mmtied.analysis.images import crop
from mmtied.analysis.network.loader import Network, load_network

NASTY = '</script><script>window.broken=1</script>"\'<img src=x onerror="window.broken=1">'


@pytest.fixture(scope='module')
def picture() -> Image.Image:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((150, 120), Image.Resampling.NEAREST)


@pytest.fixture(scope='module', params=['two-stage', 'one-stage'])
def detector(request, tmp_path_factory) -> Network:
    torch.manual_seed(0)
    if request.param == 'two-stage':
        return load_network('mask-rcnn_tiedr26-mini_fpn_8e_shapes')
    config = tmp_path_factory.mktemp('config') / 'small.py'
    # Small images, for the sake of time; scores of any size.
    config.write_text(
        "_base_ = 'mmdet::retinanet/retinanet_r18_fpn_1x_coco.py'\n"
        'model = dict(test_cfg=dict(score_thr=0.0), bbox_head=dict(num_classes=3))\n'
        "test_dataloader = dict(dataset=dict(metainfo=dict(classes=('a', 'b', 'c'))))\n"
        "test_pipeline = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(320, 200), keep_ratio=True),\n"
        "    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]\n"
        'test_dataloader["dataset"]["pipeline"] = test_pipeline\n'
    )
    return load_network(str(config))


def pixels(picture: Image.Image, size: int) -> torch.Tensor:
    """The middle of a picture, (1, 3, size, size)."""
    return torch.from_numpy(np.array(crop(picture, size))).permute(2, 0, 1)[None]


def check_caption(panel: Panel, name: str, score: torch.Tensor) -> None:
    """The number is rounded to two decimals, which two ways to one score may do differently."""
    found, _, number = panel.caption.rpartition(': ')
    assert found == name
    assert float(number) == pytest.approx(float(score), abs=0.0051)


@pytest.mark.parametrize(
    ('source', 'layer', 'chosen'),
    [
        ('torchvision:resnet18', None, 'layer4'),
        ('torchvision:densenet121', None, 'features'),
        # A ReLU or a sum in place follows.
        ('torchvision:resnet18', 'layer4.1.bn2', 'layer4.1.bn2'),
        ('torchvision:vgg11', 'features.6', 'features.6'),
        ('mmpretrain::resnet/resnet18_8xb32_in1k.py', None, 'layer4'),
    ],
)
def test_classifier_equals_the_definition(picture, source, layer, chosen):
    network = load_network(source)
    panel = explain(network, picture, category=7, layer=layer, size=96)
    assert panel.picture.size == (96, 96)
    assert panel.caption.startswith(f'{network.classes[7]}: 0.')
    model, state = network.model, {}

    def hook(module, inputs, output):
        state['map'] = output.detach().requires_grad_()
        return state['map'].clone()

    handle = network.backbone.get_submodule(chosen).register_forward_hook(hook)
    logit = model(network.normalise(pixels(picture, 96)))[0, 7]
    handle.remove()
    (gradient,) = torch.autograd.grad(logit, state['map'])
    cam = (gradient.mean((2, 3), keepdim=True) * state['map']).sum(1)[0].clamp(min=0).detach()
    cam = (cam - cam.min()) / cam.max()
    wanted = F.interpolate(cam[None, None], (96, 96), mode='bilinear', align_corners=False)[0, 0]
    wanted = (wanted - wanted.min()) / (wanted - wanted.min()).max()
    np.testing.assert_allclose(panel.cam, wanted, atol=1e-3)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(
    'source',
    [
        'timm:vit_tiny_patch16_224',
        'torchvision:swin_t',
        'mmpretrain::swin_transformer/swin-tiny_16xb64_in1k.py',
        'mmpretrain::hrnet/hrnet-w18_4xb32_in1k.py',
    ],
)
def test_networks_whose_last_maps_no_module_returns(picture, source):
    with pytest.raises(ValueError, match=r'no module with convolutions returns its last maps .* name a layer'):
        explain(load_network(source), picture)


def test_padding_of_the_pipeline_is_cut_off(monkeypatch):
    """The map is the row, so that its last value tells how many rows of the padded image are the picture's."""
    network = load_network('mmdet::yolox/yolox_tiny_8xb8-300e_coco.py')

    def rows(network, model, layer, x, target):
        return np.arange(x.shape[2], dtype=np.float32)[:, None].repeat(x.shape[3], 1)

    monkeypatch.setattr('mmtied.analysis.grad_cam.panel.compute', rows)
    panel = explain(network, Image.new('RGB', (300, 100), (90, 90, 90)))
    assert panel.cam.shape == (100, 300)
    assert (panel.cam[0, 0], panel.cam[-1, 0]) == pytest.approx((0, 100 * 416 / 300 - 1), abs=1)


def test_maps_that_say_nothing_are_not_drawn(picture, monkeypatch):
    network = load_network('torchvision:resnet18')
    for value in (0, np.nan):
        monkeypatch.setattr(
            'pytorch_grad_cam.GradCAM.__call__', lambda self, *_, value=value: np.full((1, 64, 64), value)
        )
        panel = explain(network, picture, size=64)
        assert panel.cam is None and panel.caption.endswith(', nothing speaks for it')
        np.testing.assert_array_equal(panel.drawn(), np.asarray(panel.picture))


def test_what_a_network_cannot_take_is_said(picture):
    with pytest.raises(ValueError, match='vit_b_16: does not run on this image: AssertionError: Wrong image height'):
        explain(load_network('torchvision:vit_b_16'), picture, size=64)
    with pytest.raises(ValueError, match='its test pipeline has TestTimeAug'):
        network = load_network('mask-rcnn_tiedr26-mini_fpn_8e_shapes')
        network.config.test_dataloader.dataset.pipeline[-1]['type'] = 'TestTimeAug'
        explain(network, picture)


def test_class_that_the_classifier_finds(picture):
    network = load_network('mmpretrain::resnet/resnet18_8xb32_in1k.py')
    panel = explain(network, picture, size=64)
    x = network.normalise(pixels(picture, 64))
    scores = network.model(x, mode='tensor').softmax(1)[0]
    check_caption(panel, network.classes[int(scores.argmax())], scores.max())
    assert panel.box is None
    assert panel.cam.shape == (64, 64) and (panel.cam.min(), panel.cam.max()) == pytest.approx((0, 1), abs=1e-3)
    with pytest.raises(ValueError, match='has 1000 classes, and none of index 1000'):
        explain(network, picture, category=1000, size=64)


@pytest.mark.parametrize('target', ['class', 'box'])
def test_detector_explains_what_mmdet_detects(detector, picture, target):
    model = detector.model
    model.cfg = detector.config
    init_default_scope('mmdet')
    theirs = inference_detector(model, np.asarray(picture)[..., ::-1]).pred_instances
    sizes = theirs.bboxes[:, 2:] - theirs.bboxes[:, :2]
    best = int(theirs.scores.where((sizes > 0).all(1), -1).argmax())
    panel = explain(detector, picture, target)
    assert panel.picture.size == picture.size
    check_caption(panel, detector.classes[int(theirs.labels[best])], theirs.scores[best])
    assert panel.cam.shape == (120, 150)
    assert panel.cam.max() > 0.9 and panel.cam.std() > 0.01
    if target == 'box':
        assert panel.box == pytest.approx(theirs.bboxes[best].tolist(), abs=1e-2)
    else:
        assert panel.box is None
    other = int(theirs.labels[(theirs.labels != theirs.labels[best]) & (sizes > 0).all(1)][0])
    assert explain(detector, picture, target, category=other).caption.startswith(f'{detector.classes[other]}: ')


def test_detector_equals_the_definition(detector, picture):
    """The gradient of the sum of the scores is held against a finite difference, and the map against the gradient."""
    panel = explain(detector, picture, 'class', layer='layer3')
    label = detector.classes.index(panel.caption.partition(':')[0])
    model, stage, state = detector.model, detector.backbone.layer3, {}

    def hook(module, inputs, output):
        state['map'] = (output.detach() + state.get('step', 0)).requires_grad_()
        return state['map']

    def score() -> torch.Tensor:
        (found,) = DetectorOutputs(model, data['data_samples'])(data['inputs'])
        return found['scores'][found['labels'] == label].sum()

    data = detector_input(detector, picture)
    with_hook = stage.register_forward_hook(hook)
    try:
        (gradient,) = torch.autograd.grad(score(), state['map'])
        direction = gradient / gradient.norm()
        values = []
        for sign in (-1, 1):
            state['step'] = sign * 1e-2 * direction
            with torch.no_grad():
                values.append(score())
    finally:
        with_hook.remove()
    if not hasattr(model, 'roi_head'):  # whose proposals change by jumps, and pass no gradient
        assert float(values[1] - values[0]) / 2e-2 == pytest.approx(float(gradient.norm()), rel=0.05)
    features = state['map'].detach() - state['step']
    cam = (gradient.mean((2, 3), keepdim=True) * features).sum(1, keepdim=True).clamp(min=0)
    cam = F.interpolate(cam, data['inputs'].shape[2:], mode='bilinear', align_corners=False)[0, 0]
    height, width = data['data_samples'][0].img_shape
    cam = Image.fromarray(cam.numpy()[:height, :width]).resize(picture.size, Image.Resampling.BILINEAR)
    correlation = np.corrcoef(np.asarray(cam).flat, panel.cam.flat)[0, 1]
    assert correlation > 0.999


def test_no_detection_is_said(detector, picture):
    absent = explain(detector, picture, category=999)
    assert absent.cam is None
    assert absent.caption == 'no class 999'
    np.testing.assert_array_equal(absent.drawn(), np.asarray(picture))


def test_layers(picture):
    network = load_network('torchvision:vgg11')
    found = explain(network, picture, size=64)
    same = explain(network, picture, layer='features', size=64)
    other = explain(network, picture, layer='features.6', size=64)
    np.testing.assert_array_equal(found.cam, same.cam)
    assert not np.allclose(found.cam, other.cam)
    with pytest.raises(ValueError, match=r"vgg11: no layer is named 'layer4'; there are features, features\.0"):
        explain(network, picture, layer='layer4', size=64)
    with pytest.raises(ValueError, match=r'layer classifier\.0 returns no map'):
        explain(network, picture, layer='classifier.0', size=64)


def test_classes():
    network = load_network('torchvision:resnet18')
    assert class_index(network, None) is None
    assert class_index(network, 'Tench') == 0
    assert class_index(network, '281') == 281
    with pytest.raises(ValueError, match="has no class 'balloons'; there are balloon;"):
        class_index(network, 'balloons')
    with pytest.raises(ValueError, match="has no class '1000'"):
        class_index(network, '1000')
    with pytest.raises(ValueError, match='is a backbone alone'):
        class_index(load_network('tiedresnet50-s'), None)


def panels(count: int = 2) -> tuple[list[str], list, list[list[Panel]]]:
    picture = Image.new('RGB', (80, 60), (30, 60, 90))
    cam = np.linspace(0, 1, 80 * 60, dtype=np.float32).reshape(60, 80)
    row = [Panel(picture, cam, f'{NASTY} $a_b$', (10.0, 10, 40, 30)), Panel(picture, None, 'no detection')]
    return ['one', NASTY], [Path(f'{i}.jpg') for i in range(count)], [row] * count


def test_picture():
    names, files, rows = panels()
    figure = draw_panels(names, files, rows)
    assert len(figure.axes) == 6
    shown = [axes.images[0].get_array() for axes in figure.axes]
    np.testing.assert_array_equal(shown[0], np.asarray(rows[0][0].picture))
    np.testing.assert_array_equal(shown[1], rows[0][0].drawn())
    assert (shown[1][-1, -1] != shown[1][0, 0]).any()
    assert [len(axes.patches) for axes in figure.axes] == [0, 1, 0] * 2


@pytest.mark.parametrize('width', [1400, 400])
def test_page(browser, tmp_path, width):
    path = tmp_path / 'page.html'
    path.write_text(to_page(*panels(3), layer=None), encoding='utf-8')
    page, said = opened(browser, path, width)
    assert page.locator('img').count() == 9
    assert page.evaluate('[...document.images].every(e => e.complete && e.naturalWidth == 80)')
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    assert page.evaluate('window.broken') is None
    assert NASTY in page.locator('h1').text_content()
    assert re.sub(r'\s+', ' ', page.locator('figcaption').nth(1).text_content()).strip() == f'one{NASTY} $a_b$'
    assert said == []
    page.close()
