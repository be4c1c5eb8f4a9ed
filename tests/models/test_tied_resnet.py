"""TiedResNet: published counts, mmdet's contract, and the habits of a backbone."""

import copy

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmdet.registry import MODELS
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS as PRETRAIN_MODELS
from mmpretrain.structures import DataSample
from torch import nn
from torch.testing import assert_close

import mmtied.models  # noqa: F401
from mmtied.analysis import complexity
from mmtied.layers import TiedConv2d
from mmtied.models import TiedResNet

SMALL = dict(base_width=18, blocks=(1, 1, 3, 6), mixer_blocks=1)
TINY = dict(depth=26, base_channels=16, base_width=64)
# Parameters in M and GMACs at 224 x 224 with a head of 1000 classes.
COUNTS = [
    (dict(depth=50), 22.03, 4.39),
    (dict(depth=101), 39.43, 8.62),
    (dict(depth=50, **SMALL), 13.91, 2.50),
    (dict(depth=101, **SMALL), 23.98, 4.76),
    (dict(splits=6, base_width=24, blocks=(1, 1, 2, 2, 4, 4)), 23.04, 4.55),
    (dict(splits=2, base_width=48, blocks=(1, 8)), 23.81, 4.54),
    (dict(splits=8, base_width=18, blocks=(1, 1, 1, 1, 1, 2, 3, 3), mixer_blocks=1), 23.79, 4.48),
    (dict(mixer='concat'), 24.15, 5.08),
    (dict(mixer='none'), 18.80, 3.75),
]


class Classifier(nn.Module):
    def __init__(self, backbone):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.feat_dim, 1000)

    def forward(self, x):
        return self.head(self.backbone(x)[-1].mean((2, 3)))


@pytest.mark.parametrize('variant, parameters, gmacs', COUNTS)
def test_counts(variant, parameters, gmacs):
    count = complexity(Classifier(TiedResNet(**variant)))
    assert count.parameters / 1e6 == pytest.approx(parameters, rel=0.002)
    assert count.macs / 1e9 == pytest.approx(gmacs, rel=0.01)


def test_counter_counts_resnet50_as_published():
    count = complexity(Classifier(ResNet(50)))
    assert count.parameters == 25557032  # torchvision's, exactly
    assert count.macs / 1e9 == pytest.approx(4.09, rel=0.01)


def test_depth_152_has_its_blocks():
    stages = [len(getattr(TiedResNet(depth=152), f'layer{i}')) for i in range(1, 5)]
    assert stages == [3, 8, 36, 3]


@pytest.mark.parametrize('registry', [MODELS, PRETRAIN_MODELS])
@pytest.mark.parametrize('name', ['TiedResNet', 'mmtied.TiedResNet'])
def test_registered(registry, name):
    assert isinstance(registry.build(dict(type=name, **TINY)), TiedResNet)


@pytest.mark.parametrize('variant', [
    TINY,
    dict(depth=50, **SMALL),
    TINY | dict(out_indices=(1, 3)),
    TINY | dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1)),
    TINY | dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)),
    TINY | dict(style='caffe'),
    TINY | dict(deep_stem=True, avg_down=True, stem_channels=32),
    TINY | dict(mixer='concat'),
    TINY | dict(mixer='none'),
    TINY | dict(with_cp=True),
    TINY | dict(norm_cfg=dict(type='GN', num_groups=4)),
    TINY | dict(in_channels=1),
])  # fmt: skip
def test_shapes_and_gradients(variant):
    backbone = TiedResNet(**variant)
    backbone.init_weights()
    backbone.train()
    outs = backbone(torch.randn(2, variant.get('in_channels', 3), 65, 97, requires_grad=True))
    indices = variant.get('out_indices', (0, 1, 2, 3))
    strides = torch.tensor(variant.get('strides', (1, 2, 2, 2))).cumprod(0) * 4
    assert [tuple(out.shape) for out in outs] == [
        (2, 4 * variant.get('base_channels', 64) * 2**i, *(-(-side // int(strides[i])) for side in (65, 97)))
        for i in indices
    ]
    # In the last of the returned stages, all have their share in the outputs.
    sum(out.mean() for out in outs).backward()
    used = [name for name, p in backbone.named_parameters() if p.grad is None]
    assert used == []


def test_shapes_equal_those_of_resnet():
    x = torch.randn(1, 3, 70, 45)
    for cfg in (dict(), dict(style='caffe'), dict(deep_stem=True, avg_down=True), dict(dilations=(1, 1, 1, 2))):
        ours = TiedResNet(50, **cfg).eval()(x)
        reference = ResNet(50, **cfg)
        reference.eval()
        theirs = reference(x)
        assert [out.shape for out in ours] == [out.shape for out in theirs]


def test_bottleneck_by_definition():
    """The reconstruction, written out from the parts of a block."""
    block = TiedResNet(**TINY).layer2[0].eval()
    x = torch.randn(2, 64, 8, 8)
    chunks = block.entry(x).chunk(4, 1)
    outs = [split(chunk) for split, chunk in zip(block.splits, chunks)]
    mixed = block.mixer(outs[0] + outs[1] + outs[2] + outs[3])
    wanted = torch.relu(block.exit(torch.cat([*outs, mixed], 1)) + block.shortcut(x))
    assert_close(block(x), wanted)
    tied = [block.entry.conv, *(split.conv for split in block.splits), block.mixer.conv]
    assert [conv.blocks for conv in tied] == [2, 1, 2, 4, 8, 2]
    assert [split.conv.stride for split in block.splits] == [(2, 2)] * 4
    assert type(block.exit.conv) is nn.Conv2d


def test_caffe_style_has_the_stride_in_the_entry():
    block = TiedResNet(**TINY, style='caffe').layer2[0]
    assert block.entry.conv.stride == (2, 2)
    assert {split.conv.stride for split in block.splits} == {(1, 1)}


@pytest.mark.parametrize('frozen', [-1, 0, 1, 4])
def test_frozen_stages(frozen):
    backbone = TiedResNet(**TINY, frozen_stages=frozen).train()
    parts = [backbone.stem, *(getattr(backbone, name) for name in backbone.stage_names)]
    for i, part in enumerate(parts):
        assert part.training == (i > frozen)
        assert all(p.requires_grad == (i > frozen) for p in part.parameters())


@pytest.mark.parametrize('norm_eval', [True, False])
def test_norm_eval(norm_eval):
    backbone = TiedResNet(**TINY, norm_eval=norm_eval).train()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert {norm.training for norm in norms} == {not norm_eval}


def test_mode_calls_chain():
    backbone = TiedResNet(**TINY)
    assert backbone.eval() is backbone
    assert backbone.train() is backbone


def test_zero_init_makes_blocks_identities():
    backbone = TiedResNet(**TINY)
    backbone.init_weights()
    block = backbone.layer1[1].eval()
    x = torch.randn(2, 64, 4, 4).relu()
    assert_close(block(x), x)
    kept = TiedResNet(**TINY, zero_init_residual=False)
    kept.init_weights()
    assert (kept.layer1[1].exit.norm.weight == 1).all()


def test_init_cfg_has_the_last_word_but_for_the_zeros():
    backbone = TiedResNet(**TINY, init_cfg=[dict(type='Constant', layer=['Conv2d', 'BatchNorm2d'], val=0.5)])
    backbone.init_weights()
    block = backbone.layer1[0]
    assert (block.splits[1].conv.weight == 0.5).all()
    assert (block.entry.norm.weight == 0.5).all()
    assert (block.exit.norm.weight == 0).all()


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    torch.save(ResNet(18).state_dict(), tmp_path / 'resnet.pth')
    backbone = TiedResNet(**TINY, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'resnet.pth')))
    with pytest.raises(ValueError, match=r'resnet\.pth holds none of its tensors'):
        backbone.init_weights()


def test_recomputing_gives_the_same_gradients():
    plain, recomputing = TiedResNet(**TINY), TiedResNet(**TINY, with_cp=True)
    recomputing.load_state_dict(plain.state_dict())
    x = torch.randn(2, 3, 64, 64)
    for backbone in (plain, recomputing):
        backbone.train()
        backbone(x.clone().requires_grad_())[-1].square().sum().backward()
    for a, b in zip(plain.parameters(), recomputing.parameters()):
        assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('prefix', [None, 'backbone', 'backbone.'])
def test_pretrained_weights_survive_init(tmp_path, prefix):
    trained = TiedResNet(**TINY)
    for parameter in trained.parameters():
        nn.init.normal_(parameter)
    names = {f'backbone.{name}' if prefix else name: value for name, value in trained.state_dict().items()}
    torch.save({'state_dict': names}, tmp_path / 'trained.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'trained.pth'), prefix=prefix)
    backbone = TiedResNet(**TINY, init_cfg=init_cfg)
    backbone.init_weights()
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, trained.state_dict()[name]), name


def test_plugins_sit_where_mmdet_puts_them():
    plugins = [
        dict(cfg=dict(type='TiedSE', blocks=2, ratio=2, postfix='1'), position='after_conv1'),
        dict(cfg=dict(type='TiedSE', blocks=2, ratio=2, postfix='2'), position='after_conv2'),
        dict(cfg=dict(type='TiedSE', blocks=2, ratio=2), position='after_conv3', stages=(False, True, True, True)),
    ]
    backbone = TiedResNet(**TINY, plugins=plugins)
    widths = {
        name: layer.squeeze.in_features for name, layer in backbone.layer2[0].named_children() if 'tied_se' in name
    }
    assert widths == {'tied_se1': 4 * 32, 'tied_se2': 5 * 32, 'tied_se': 128}
    assert not hasattr(backbone.layer1[0], 'tied_se')
    assert hasattr(backbone.layer1[0], 'tied_se1')
    assert backbone(torch.randn(2, 3, 64, 64))[-1].shape == (2, 512, 2, 2)


def test_two_plugins_of_one_name_need_a_postfix():
    plugin = dict(cfg=dict(type='TiedSE'), position='after_conv3')
    with pytest.raises(ValueError, match='postfix'):
        TiedResNet(plugins=[plugin, plugin])


@pytest.mark.parametrize('argument, named', [
    (dict(depth=51), 'depth=51'),
    (dict(blocks=4), 'blocks=4 must hold one number'),
    (dict(splits=3), r'blocks=\(1, 2, 4, 8\).*splits=3'),
    (dict(mixer='max'), "mixer='max'"),
    (dict(num_stages=5), 'num_stages=5'),
    (dict(strides=(1, 2)), r'strides=\(1, 2\)'),
    (dict(out_indices=(4,)), r'out_indices=\(4,\)'),
    (dict(style='keras'), "style='keras'"),
    (dict(frozen_stages=9), 'frozen_stages=9'),
    (dict(plugins=[dict(cfg=dict(type='TiedSE'), position='last')]), "position='last'"),
    (dict(base_width=18), r'layer1\.0: splits\.2: TiedConv2d: in_channels=18 .*blocks=4'),
    (dict(mixer_blocks=5), r'layer1\.0: mixer: TiedConv2d: in_channels=32 .*blocks=5'),
    (dict(entry_blocks=3), r'layer1\.0: entry: TiedConv2d: in_channels=64 .*blocks=3'),
    (dict(shortcut_blocks=3), r'layer1\.0: shortcut: TiedConv2d: in_channels=64 .*blocks=3'),
    (dict(base_width=33), r'layer1\.0: splits\.1: TiedConv2d: in_channels=33 .*blocks=2'),
    (dict(base_channels=32, base_width=25), 'base_width=25 gives splits of 12.5 channels'),
])  # fmt: skip
def test_errors_name_the_argument(argument, named):
    with pytest.raises(ValueError, match=named):
        TiedResNet(**argument)


def test_batch_of_one_channels_last_and_autocast():
    backbone = TiedResNet(**TINY).eval()
    x = torch.randn(1, 3, 64, 64)
    wanted = backbone(x)
    for a, b in zip(backbone(x.contiguous(memory_format=torch.channels_last)), wanted):
        assert_close(a, b, rtol=1e-4, atol=1e-4)
    with torch.autocast('cpu', torch.bfloat16):
        half = backbone(x)
    assert [h.shape for h in half] == [w.shape for w in wanted]
    assert (half[0].float() - wanted[0]).abs().mean() < 0.05 * wanted[0].abs().mean()


def test_traced_and_copied_networks_are_equal():
    backbone = TiedResNet(**TINY).eval()
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        wanted = backbone(x)
        for other in (torch.jit.trace(backbone, x), copy.deepcopy(backbone)):
            for a, b in zip(other(x), wanted):
                assert_close(a, b)


def test_all_blocks_one_equals_the_untied_network():
    """With B = 1 everywhere, ordinary convolutions of the same weights give the same outputs."""
    backbone = TiedResNet(**TINY, blocks=(1, 1, 1, 1), entry_blocks=1, shortcut_blocks=1, mixer_blocks=1).eval()
    untied = copy.deepcopy(backbone)
    replaced = 0
    for module in untied.modules():
        if isinstance(getattr(module, 'conv', None), TiedConv2d):
            tied = module.conv
            arguments = (tied.in_channels, tied.out_channels, tied.kernel_size, tied.stride, tied.padding)
            module.conv = nn.Conv2d(*arguments, bias=False)
            module.conv.load_state_dict(tied.state_dict())
            replaced += 1
    assert replaced == 8 * 6 + 4
    x = torch.randn(1, 3, 64, 64)
    for a, b in zip(backbone(x), untied(x)):
        assert_close(a, b)


def test_mmpretrain_classifier_trains():
    init_default_scope('mmpretrain')
    model = PRETRAIN_MODELS.build(
        dict(
            type='ImageClassifier',
            backbone=dict(type='mmtied.TiedResNet', **TINY),
            neck=dict(type='GlobalAveragePooling'),
            head=dict(type='LinearClsHead', num_classes=5, in_channels=512, loss=dict(type='CrossEntropyLoss')),
        )
    )
    model.init_weights()
    samples = [DataSample().set_gt_label(label) for label in (0, 3)]
    loss = model(torch.randn(2, 3, 64, 64), samples, mode='loss')['loss']
    loss.backward()
    assert model.backbone.stem[0].conv.weight.grad.abs().sum() > 0
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 5)
