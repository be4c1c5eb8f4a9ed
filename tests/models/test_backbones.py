"""Every tied backbone: published counts, mmdet's contract, and the habits of a backbone."""

import copy
import itertools
import logging

import pytest
import torch
from mmcv.cnn import ContextBlock
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmengine.model import PretrainedInit
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import init_default_scope
from mmengine.runner import save_checkpoint
from mmpretrain.registry import MODELS as PRETRAIN_MODELS
from mmpretrain.structures import DataSample
from torch import nn
from torch.testing import assert_close

from mmtied.analysis import complexity
from mmtied.layers import TiedConv2d, TiedLinear
from mmtied.models import VARIANTS
from mmtied.tying import untie

# Two blocks a stage, a quarter of the planes.
SMALL = {
    'TiedResNet': dict(type='TiedResNet', depth=26, base_channels=16, base_width=64),
    'TiedResNeXt': dict(type='TiedResNeXt', depth=26, base_channels=16, base_width=128, groups=4),
    'TiedSENet': dict(type='TiedSENet', depth=26, base_channels=16, base_width=64),
    'TiedResNeSt': dict(type='TiedResNeSt', depth=26, base_channels=16),
}
# Parameters in M and GMACs at 224 x 224 with a head of 1000 classes.
COUNTS = {
    'tiedresnet50': (22.03, 4.39),
    'tiedresnet50-s': (13.91, 2.50),
    'tiedresnet101': (39.43, 8.62),
    'tiedresnet101-s': (23.98, 4.76),
    'tiedresnet50-2s48w': (23.81, 4.54),
    'tiedresnet50-6s24w': (23.04, 4.55),
    'tiedresnet50-8s18w': (23.79, 4.48),
    'tiedresnet50-concat': (24.15, 5.08),
    'tiedresnet50-nomixer': (18.80, 3.75),
    'tiedresnext101': (64.07, 14.25),
    'tiedsenet101': (41.83, 9.04),
    'tiedsenet101-s': (26.38, 5.18),
    'tiedresnest50-s': (16.50, 3.68),
}
every = pytest.mark.parametrize('name', SMALL)


def small(name: str, **kwargs) -> nn.Module:
    return ROOT_MODELS.build(SMALL[name] | kwargs)


def images(n: int = 2, height: int = 64, width: int = 64) -> torch.Tensor:
    return torch.randn(n, 3, height, width)


class Classifier(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.feat_dim, 1000)

    def forward(self, x):
        return self.head(self.backbone(x)[-1].mean((2, 3)))


@pytest.mark.parametrize('variant', COUNTS)
def test_counts(variant):
    parameters, gmacs = COUNTS[variant]
    count = complexity(Classifier(ROOT_MODELS.build(VARIANTS[variant])))
    assert count.parameters / 1e6 == pytest.approx(parameters, rel=0.0005)
    assert count.macs / 1e9 == pytest.approx(gmacs, rel=0.003)


@pytest.mark.parametrize('variant', VARIANTS)
def test_variants_run_on_one_small_image(variant):
    backbone = ROOT_MODELS.build(VARIANTS[variant]).eval()
    with torch.no_grad():
        outs = backbone(images(1, 40, 33))
    assert [out.shape for out in outs] == [
        (1, 256, 10, 9),
        (1, 512, 5, 5),
        (1, 1024, 3, 3),
        (1, 2048, 2, 2),
    ]
    assert all(out.isfinite().all() for out in outs)


@pytest.mark.parametrize('registry', [MODELS, PRETRAIN_MODELS])
@pytest.mark.parametrize('scope', ['', 'mmtied.'])
@pytest.mark.parametrize('name', [*SMALL, 'TiedSEResNet'])
def test_registered(registry, scope, name):
    cfg = SMALL.get(name, SMALL['TiedSENet']) | dict(type=scope + name)
    assert type(registry.build(cfg)).__name__ == name.replace('TiedSEResNet', 'TiedSENet')


@every
@pytest.mark.parametrize(
    'variant',
    [
        dict(),
        dict(out_indices=(1, 3)),
        dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1)),
        dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
        dict(style='caffe'),
        dict(deep_stem=True, avg_down=True, stem_channels=32),
        dict(deep_stem=False, avg_down=False),
        dict(with_cp=True),
        dict(norm_cfg=dict(type='GN', num_groups=4)),
        dict(in_channels=1),
    ],
)
def test_shapes_and_gradients(name, variant):
    if (name, variant) == ('TiedResNeSt', dict(style='caffe')):
        with pytest.raises(ValueError, match=r"layer1\.0: style='caffe' must be 'pytorch'"):
            small(name, **variant)
        return
    backbone = small(name, **variant)
    backbone.init_weights()
    backbone.train()
    outs = backbone(torch.randn(2, variant.get('in_channels', 3), 65, 97, requires_grad=True))
    strides = list(itertools.accumulate(variant.get('strides', (1, 2, 2, 2)), lambda a, b: a * b))
    assert [tuple(out.shape) for out in outs] == [
        (2, 64 * 2**i, *(-(-side // (4 * strides[i])) for side in (65, 97)))
        for i in variant.get('out_indices', (0, 1, 2, 3))
    ]
    # All stages have their share in the outputs, or lead to the one that has.
    sum(out.square().mean() for out in outs).backward()
    assert [name for name, p in backbone.named_parameters() if p.grad is None] == []


@every
def test_shapes_equal_those_of_resnet(name):
    x = images(1, 70, 45)
    for cfg in (dict(), dict(deep_stem=True, avg_down=True), dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2))):
        ours = small(name, depth=50, **cfg).eval()(x)
        reference = ResNet(50, base_channels=16, **cfg)
        reference.eval()
        assert [out.shape for out in ours] == [out.shape for out in reference(x)]


@every
@pytest.mark.parametrize('frozen', [-1, 0, 1, 4])
def test_frozen_stages(name, frozen):
    backbone = small(name, frozen_stages=frozen).train()
    parts = [backbone.stem, *(getattr(backbone, stage) for stage in backbone.res_layers)]
    for i, part in enumerate(parts):
        assert part.training == (i > frozen)
        assert all(p.requires_grad == (i > frozen) for p in part.parameters())


@every
@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval(name, norm_eval):
    backbone = small(name, norm_eval=norm_eval).train()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {not norm_eval}


@every
def test_mode_calls_chain(name):
    backbone = small(name)
    assert backbone.eval() is backbone
    assert backbone.train() is backbone


@every
def test_zero_init_makes_blocks_identities(name):
    backbone = small(name)
    backbone.init_weights()
    block = backbone.layer1[1].eval()
    x = torch.randn(2, 64, 4, 4).relu()
    assert_close(block(x), x)
    kept = small(name, zero_init_residual=False)
    kept.init_weights()
    assert (kept.layer1[1].exit.norm.weight == 1).all()


@every
def test_init_cfg_has_the_last_word_but_for_the_zeros(name):
    plugins = [
        dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv3'),
        dict(cfg=dict(type='TiedGCB', ratio=0.25, postfix='_tied'), position='after_conv3'),
        dict(cfg=dict(type='NonLocal2d'), position='after_conv3'),
    ]
    init_cfg = [dict(type='Constant', layer=['Conv2d', 'BatchNorm2d'], val=0.5)]
    backbone = small(name, init_cfg=init_cfg, plugins=plugins)
    backbone.init_weights()
    block = backbone.layer1[0]
    assert (block.entry.conv.weight == 0.5).all()
    assert (block.entry.norm.weight == 0.5).all()
    assert (block.exit.norm.weight == 0).all()
    for plugin in (block.context_block, block.context_block_tied):
        assert isinstance(plugin, ContextBlock)
        assert (plugin.channel_add_conv[0].weight == 0.5).all()
        assert not plugin.channel_add_conv[3].weight.any()
    # mmcv's NonLocal2d starts as an identity by itself.
    assert not block.nonlocal_block.conv_out.conv.weight.any()


@every
def test_recomputing_gives_the_same_gradients(name):
    plain, recomputing = small(name), small(name, with_cp=True)
    recomputing.load_state_dict(plain.state_dict())
    x = images()
    for backbone in (plain, recomputing):
        backbone.double().train()
        backbone(x.double().requires_grad_())[-1].square().sum().backward()
    for a, b in zip(plain.parameters(), recomputing.parameters()):
        assert_close(a.grad, b.grad)


@every
def test_state_dict_round_trip(name, tmp_path):
    backbone, other = small(name), small(name)
    torch.save(backbone.state_dict(), tmp_path / 'weights.pth')
    other.load_state_dict(torch.load(tmp_path / 'weights.pth', weights_only=True))
    x = images()
    for a, b in zip(backbone.eval()(x), other.eval()(x)):
        assert torch.equal(a, b)


@every
def test_plugins_sit_where_mmdet_puts_them(name):
    plugins = [
        dict(cfg=dict(type='TiedSE', blocks=2, ratio=2, postfix='1'), position='after_conv1'),
        dict(cfg=dict(type='TiedSE', blocks=2, ratio=2, postfix='2'), position='after_conv2'),
        dict(cfg=dict(type='TiedGCB', ratio=1 / 4), position='after_conv3', stages=(False, True, True, True)),
    ]
    backbone = small(name, plugins=plugins)
    block = backbone.layer2[0]
    assert block.tied_se1.squeeze.in_features == block.entry.out_channels
    assert block.tied_se2.squeeze.in_features == block.exit.in_channels
    assert block.context_block.in_channels == block.exit.out_channels == 128
    assert hasattr(backbone.layer1[0], 'tied_se1')
    assert not hasattr(backbone.layer1[0], 'context_block')
    assert backbone(images())[-1].shape == (2, 512, 2, 2)


@every
def test_two_plugins_of_one_name_need_a_postfix(name):
    plugin = dict(cfg=dict(type='TiedGCB'), position='after_conv3')
    with pytest.raises(ValueError, match='postfix'):
        small(name, plugins=[plugin, plugin])


@every
@pytest.mark.parametrize(
    'argument, named',
    [
        (dict(depth=51), 'depth=51'),
        (dict(num_stages=5), 'num_stages=5'),
        (dict(strides=(1, 2)), r'strides=\(1, 2\)'),
        (dict(dilations=(1, 2)), r'dilations=\(1, 2\)'),
        (dict(out_indices=(4,)), r'out_indices=\(4,\)'),
        (dict(style='keras'), "style='keras'"),
        (dict(frozen_stages=9), 'frozen_stages=9'),
        (dict(plugins=[dict(cfg=dict(type='TiedSE'), position='last')]), "position='last'"),
        (dict(plugins=[dict(cfg=dict(type='TiedSE'), position='after_conv1', stages=(True,))]), r'stages=\(True,\) '),
        (dict(dcn=dict(type='DCNv2')), "dcn={'type': 'DCNv2'}.*no tied form"),
        (dict(stage_with_dcn=(False, True, True, True)), r'stage_with_dcn=\(False, True.*no tied form'),
        (dict(shortcut_blocks=3), r'layer1\.0: shortcut: TiedConv2d: in_channels=16 .*blocks=3'),
    ],
)
def test_errors_name_the_argument(name, argument, named):
    with pytest.raises(ValueError, match=f'{name}.*{named}'):
        small(name, **argument)


@pytest.mark.parametrize('name', ['TiedResNet', 'TiedResNeXt', 'TiedSENet', 'TiedResNeSt'])
@pytest.mark.parametrize(
    'argument, named',
    [
        (dict(entry_blocks=3), r'layer1\.0: entry: TiedConv2d: in_channels=16 .*blocks=3'),
        (dict(base_width=25), 'base_width=25 gives splits of 6.25 channels'),
    ],
)
def test_errors_name_the_argument_of_the_block(name, argument, named):
    with pytest.raises(ValueError, match=f'{name}.*{named}'):
        small(name, **argument)


@every
def test_any_memory_layout_and_one_image(name):
    # In doubles: each layout has sums in an order of its own, whose floats differ by much after so many layers.
    backbone = small(name).double().eval()
    x = images(1, 64, 128).double()[..., ::2]
    wanted = backbone(x.contiguous())
    for layout in (x, x.contiguous(memory_format=torch.channels_last)):
        for a, b in zip(backbone(layout), wanted):
            assert_close(a, b)


@every
def test_empty_batch(name):
    assert small(name).eval()(images(0))[-1].shape == (0, 512, 2, 2)


@every
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_autocast(name, dtype):
    backbone = small(name).eval()
    x = images(1)
    wanted = backbone(x)
    with torch.autocast('cpu', dtype):
        half = backbone(x)
    for a, b in zip(half, wanted):
        assert a.isfinite().all()
        assert (a.float() - b).abs().mean() < 0.05 * b.abs().mean()


@every
def test_traced_and_copied_networks_are_equal(name):
    backbone = small(name).eval()
    with torch.no_grad():
        traced = torch.jit.trace(backbone, images(1))
        # The trace holds for another size and batch.
        for size in ((1, 64, 64), (2, 96, 64)):
            y = images(*size)
            wanted = backbone(y)
            for other in (traced, copy.deepcopy(backbone)):
                for a, b in zip(other(y), wanted):
                    assert_close(a, b)


@every
def test_untied_network_computes_the_same(name):
    """Ordinary layers with the tied ones' weights written out give the same outputs: the definition, network-wide."""
    backbone = small(name).double().eval()
    ordinary = untie(copy.deepcopy(backbone), dense=True)
    assert not any(isinstance(module, TiedConv2d | TiedLinear) for module in ordinary.modules())
    x = images().double()
    for a, b in zip(backbone(x), ordinary(x)):
        assert_close(a, b)


@every
def test_classifier_trains_and_its_checkpoint_starts_a_detector(name, tmp_path):
    init_default_scope('mmpretrain')
    head = dict(type='LinearClsHead', num_classes=5, in_channels=512, loss=dict(type='CrossEntropyLoss'))
    backbone = SMALL[name] | dict(type=f'mmtied.{name}')
    classifier = PRETRAIN_MODELS.build(
        dict(type='ImageClassifier', backbone=backbone, neck=dict(type='GlobalAveragePooling'), head=head)
    )
    classifier.init_weights()
    samples = [DataSample().set_gt_label(label) for label in (0, 3)]
    classifier(images(), samples, mode='loss')['loss'].backward()
    assert classifier.backbone.stem[0].conv.weight.grad.abs().sum() > 0
    assert classifier(images()).shape == (2, 5)

    save_checkpoint(dict(state_dict=classifier.state_dict()), str(tmp_path / 'classifier.pth'))
    init_default_scope('mmdet')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'classifier.pth'), prefix='backbone.')
    detector = MODELS.build(
        dict(
            type='RetinaNet',
            backbone=backbone | dict(init_cfg=init_cfg),
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
    for tensor, value in classifier.backbone.state_dict().items():
        assert torch.equal(value, detector.backbone.state_dict()[tensor]), tensor
    assert len(detector(images())[0]) == 5


@pytest.mark.parametrize('type_', ['Pretrained', PretrainedInit])
@pytest.mark.parametrize('prefix', [None, 'backbone', 'backbone.'])
@pytest.mark.parametrize(
    'wrap',
    [
        lambda state: state,
        lambda state: {'state_dict': state},
        lambda state: {'model': state, 'epoch': 3},
        lambda state: {'state_dict': {f'module.{name}': value for name, value in state.items()}},
    ],
)
def test_pretrained_weights_survive_init(tmp_path, wrap, prefix, type_):
    plugins = [dict(cfg=dict(type='TiedGCB', ratio=1 / 4), position='after_conv3')]
    trained = small('TiedResNet', plugins=plugins)
    for parameter in trained.parameters():
        nn.init.normal_(parameter)
    names = {f'backbone.{name}' if prefix else name: value for name, value in trained.state_dict().items()}
    torch.save(wrap(names), tmp_path / 'trained.pth')
    init_cfg = dict(type=type_, checkpoint=str(tmp_path / 'trained.pth'), prefix=prefix)
    backbone = small('TiedResNet', plugins=plugins, init_cfg=init_cfg)
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name]), name


@pytest.mark.parametrize('type_', ['Pretrained', PretrainedInit])
def test_a_checkpoint_of_another_network_is_refused(tmp_path, type_):
    torch.save(ResNet(18).state_dict(), tmp_path / 'resnet.pth')
    backbone = small('TiedResNet', init_cfg=dict(type=type_, checkpoint=str(tmp_path / 'resnet.pth')))
    with pytest.raises(ValueError, match=r'resnet\.pth holds none of its tensors'):
        backbone.init_weights()


def test_a_checkpoint_of_a_part_is_loaded_and_the_log_says_so(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmtied.models.pretrained.print_log', lambda text, _, level: said.append((level, text)))
    state = small('TiedResNet').state_dict()
    part = {name: torch.full_like(value, 3) for name, value in state.items() if name.startswith('layer1')}
    torch.save(part, tmp_path / 'part.pth')
    backbone = small('TiedResNet', init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'part.pth')))
    backbone.init_weights()
    assert (backbone.layer1[0].exit.norm.weight == 3).all()
    assert not backbone.layer2[0].exit.norm.weight.any()  # initialised: an identity
    ((level, text),) = said
    assert level == logging.WARNING
    assert text.startswith(f'{len(part)} of {len(state)} tensors of TiedResNet are in {tmp_path}')
    assert 'not stem.0.conv.weight' in text


def test_frozen_layers_must_be_in_the_checkpoint(tmp_path):
    other = small('TiedResNet', base_width=128, frozen_stages=1)  # wider, but with the same stem
    torch.save(other.state_dict(), tmp_path / 'other.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'other.pth'))
    with pytest.raises(ValueError, match=r'other\.pth lacks \d+ of the \d+ frozen tensors, such as layer1\.0\.entry'):
        small('TiedResNet', frozen_stages=1, init_cfg=init_cfg).init_weights()
    # What learns may be missing.
    small('TiedResNet', frozen_stages=0, init_cfg=init_cfg).init_weights()
    torch.save({k: v for k, v in other.state_dict().items() if k.startswith('layer4')}, tmp_path / 'other.pth')
    with pytest.raises(ValueError, match=r'lacks (\d+) of the \1 frozen tensors, such as stem'):
        small('TiedResNet', frozen_stages=0, init_cfg=init_cfg).init_weights()


def test_counter_counts_resnet50_as_published():
    count = complexity(Classifier(ResNet(50)))
    assert count.parameters == 25557032  # torchvision's, exactly
    assert count.macs / 1e9 == pytest.approx(4.09, rel=0.01)
