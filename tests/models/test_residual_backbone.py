"""What a swap of `type` must not change: the properties of mmdet's ResNet, and arguments and methods of all three.

Each property holds for mmdet's own ResNet and for ours; where ours say it in another way, the property asks for both.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.cnn.bricks import DropPath
from mmdet.models.backbones import ResNet
from mmengine.optim import DefaultOptimWrapperConstructor
from mmengine.registry import MODELS
from mmpretrain.engine.optimizers import LearningRateDecayOptimWrapperConstructor
from mmpretrain.models import ResNet as ClassifiersResNet
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.testing import assert_close

from mmtied.models import TiedResNet
from mmtied.models.residual_backbone import ResidualBackbone

DOCS = Path(__file__).parents[2] / 'docs'
# Small, with the stem and shortcuts that mmdet's ResNet has by default.
NETWORKS = {
    'ResNet': dict(type='mmdet.ResNet', depth=50),
    'TiedResNet': dict(type='TiedResNet', depth=26, base_width=64),
    'TiedResNeXt': dict(type='TiedResNeXt', depth=26, base_width=128, groups=4),
    'TiedSENet': dict(type='TiedSENet', depth=26, base_width=64, deep_stem=False),
    'TiedResNeSt': dict(type='TiedResNeSt', depth=26, deep_stem=False, avg_down=False),
}
OURS = [name for name in NETWORKS if name != 'ResNet']
Make = Callable[..., nn.Module]
REFUSED = (AssertionError, KeyError, TypeError, ValueError)


def maker(name: str) -> Make:
    """Return what makes a network with other arguments: that is what the properties are of."""
    return lambda **arguments: MODELS.build(NETWORKS[name] | dict(base_channels=16) | arguments)


def images(channels: int = 3) -> torch.Tensor:
    return torch.randn(2, channels, 32, 32)


def blocks(backbone: nn.Module) -> list[nn.Module]:
    """All residual blocks, stage by stage."""
    return [block for name in backbone.res_layers for block in getattr(backbone, name)]


def shortcut(block: nn.Module) -> nn.Module | None:
    return block.shortcut if hasattr(block, 'shortcut') else block.downsample


def last_norm(block: nn.Module) -> nn.Module:
    return block.last_norm() if hasattr(block, 'last_norm') else block.norm3


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    return [child for child in module.modules() if isinstance(child, nn.Conv2d)]


def norms(module: nn.Module) -> list[nn.Module]:
    return [child for child in module.modules() if isinstance(child, _BatchNorm)]


def frozen(module: nn.Module) -> bool:
    return not any(p.requires_grad for p in module.parameters()) and not any(n.training for n in norms(module))


PROPERTIES: dict[str, Callable[[Make], None]] = {}


def property_of_resnet(check: Callable[[Make], None]) -> None:
    PROPERTIES[check.__name__.removesuffix('_').replace('_', ' ')] = check


@property_of_resnet
def the_stem_has_as_many_channels_as_the_first_stage_has_planes(make: Make) -> None:
    backbone = make()
    assert backbone.stem_channels == backbone.conv1.out_channels == backbone.norm1.num_features == 16
    assert convolutions(blocks(backbone)[0])[0].in_channels == 16 or shortcut(blocks(backbone)[0]) is not None


@property_of_resnet
def stem_channels_are_its_own_where_they_are_given(make: Make) -> None:
    backbone = make(stem_channels=24)
    assert backbone.stem_channels == backbone.conv1.out_channels == backbone.norm1.num_features == 24
    assert backbone.base_channels == 16
    assert convolutions(shortcut(blocks(backbone)[0]))[0].in_channels == 24


@property_of_resnet
def a_deep_stem_has_three_convolutions_of_which_two_are_half_as_wide(make: Make) -> None:
    stem = make(stem_channels=8, deep_stem=True).stem
    assert [conv.out_channels for conv in convolutions(stem)] == [4, 4, 8]
    assert [conv.stride[0] for conv in convolutions(stem)] == [2, 1, 1]
    assert [norm.num_features for norm in norms(stem)] == [4, 4, 8]


@property_of_resnet
def only_a_plain_stem_has_conv1_and_norm1(make: Make) -> None:
    backbone = make(deep_stem=True)
    assert not hasattr(backbone, 'conv1')
    with pytest.raises(AttributeError, match='norm1'):
        backbone.norm1  # noqa: B018


@property_of_resnet
def the_stem_ends_with_a_pooling(make: Make) -> None:
    pool = make().maxpool
    assert (pool.kernel_size, pool.stride, pool.padding) == (3, 2, 1)


REFUSALS = {
    'no such depth': dict(depth=20),
    'no stages': dict(num_stages=0),
    'five stages': dict(num_stages=5),
    'strides and dilations of other numbers': dict(num_stages=3, strides=(1,), dilations=(1, 1)),
    'an output of a stage that is not there': dict(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(2,)),
    'an unknown style': dict(style='tensorflow'),
    'pretrained that is no path': dict(pretrained=0),
    'pretrained and init_cfg': dict(pretrained='a.pth', init_cfg=dict(type='Kaiming', layer='Conv2d')),
    'deformable convolution for too few stages': dict(dcn=dict(type='DCN'), stage_with_dcn=(True,)),
    'plugins for too few stages': dict(
        plugins=[dict(cfg=dict(type='ContextBlock', ratio=0.25), stages=(False, True, True), position='after_conv3')]
    ),
    'a plugin behind a fourth convolution': dict(
        plugins=[dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv4')]
    ),
    'two plugins of one name': dict(
        plugins=[dict(cfg=dict(type='ContextBlock', ratio=0.25), position='after_conv3')] * 2
    ),
    'an unknown plugin': dict(plugins=[dict(cfg=dict(type='NoPlugin'), position='after_conv3')]),
}
for refusal, arguments in REFUSALS.items():

    def refused(make: Make, arguments: dict = arguments) -> None:
        with pytest.raises(REFUSED):
            make(**arguments)

    PROPERTIES[f'refuses {refusal}'] = refused


@property_of_resnet
def norm_eval_keeps_every_norm_in_evaluation(make: Make) -> None:
    backbone = make(norm_eval=True)
    backbone.train()
    assert not any(norm.training for norm in norms(backbone))


@property_of_resnet
def without_norm_eval_every_norm_trains(make: Make) -> None:
    backbone = make(norm_eval=False)
    backbone.train()
    assert all(norm.training for norm in norms(backbone))


@property_of_resnet
def a_frozen_stage_freezes_the_stem_too_and_nothing_behind_it(make: Make) -> None:
    backbone = make(frozen_stages=1, norm_eval=False)
    backbone.train()
    assert not backbone.norm1.training
    assert frozen(backbone.conv1) and frozen(backbone.norm1) and frozen(backbone.layer1)
    assert all(p.requires_grad for p in backbone.layer2.parameters())
    assert all(norm.training for norm in norms(backbone.layer2))


@property_of_resnet
def a_deep_stem_freezes_whole(make: Make) -> None:
    backbone = make(frozen_stages=1, deep_stem=True, avg_down=True)
    backbone.train()
    assert frozen(backbone.stem) and frozen(backbone.layer1)


@property_of_resnet
def returns_four_stages(make: Make) -> None:
    outs = make()(images())
    assert [tuple(out.shape) for out in outs] == [(2, 64, 8, 8), (2, 128, 4, 4), (2, 256, 2, 2), (2, 512, 1, 1)]


@property_of_resnet
def returns_the_stages_that_are_asked_for(make: Make) -> None:
    outs = make(out_indices=(0, 1, 2))(images())
    assert [tuple(out.shape) for out in outs] == [(2, 64, 8, 8), (2, 128, 4, 4), (2, 256, 2, 2)]


@property_of_resnet
def a_deep_stem_with_averaged_shortcuts_has_the_same_shapes(make: Make) -> None:
    outs = make(deep_stem=True, avg_down=True)(images())
    assert [tuple(out.shape) for out in outs] == [(2, 64, 8, 8), (2, 128, 4, 4), (2, 256, 2, 2), (2, 512, 1, 1)]


@property_of_resnet
def takes_images_of_other_channels(make: Make) -> None:
    assert make(in_channels=1)(images(1))[-1].shape == (2, 512, 1, 1)


@property_of_resnet
def with_cp_reaches_every_block(make: Make) -> None:
    backbone = make(with_cp=True)
    assert all(block.with_cp for block in blocks(backbone))
    assert backbone(images().requires_grad_())[-1].shape == (2, 512, 1, 1)


@property_of_resnet
def norms_are_batch_norms(make: Make) -> None:
    found = {type(m).__name__ for m in make().modules() if 'Norm' in type(m).__name__}
    assert found == {'BatchNorm2d'}


@property_of_resnet
def group_norm_takes_the_place_of_every_batch_norm(make: Make) -> None:
    backbone = make(norm_cfg=dict(type='GN', num_groups=2, requires_grad=True))
    assert {type(m).__name__ for m in backbone.modules() if 'Norm' in type(m).__name__} == {'GroupNorm'}
    assert backbone(images())[-1].shape == (2, 512, 1, 1)


@property_of_resnet
def has_as_many_blocks_as_its_depth_says(make: Make) -> None:
    backbone = make()
    wanted = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3)}[backbone.depth]
    assert tuple(backbone.stage_blocks) == wanted
    assert [len(getattr(backbone, name)) for name in backbone.res_layers] == list(wanted)


@property_of_resnet
def only_the_first_block_of_a_stage_has_a_projection(make: Make) -> None:
    backbone = make()
    for i, name in enumerate(backbone.res_layers):
        first, *others = getattr(backbone, name)
        (conv,) = convolutions(shortcut(first))
        assert conv.out_channels == 64 * 2**i
        assert conv.stride == ((1, 1) if i == 0 else (2, 2))
        assert all(shortcut(block) is None for block in others)


@property_of_resnet
def an_averaged_shortcut_has_no_stride_of_its_own(make: Make) -> None:
    projection = shortcut(make(avg_down=True).layer2[0])
    assert [type(m).__name__ for m in projection.modules() if 'Pool' in type(m).__name__] == ['AvgPool2d']
    assert convolutions(projection)[0].stride == (1, 1)


@property_of_resnet
def plugins_are_in_the_stages_and_widths_that_they_are_given(make: Make) -> None:
    plugins = [
        dict(cfg=dict(type='NonLocal2d'), position='after_conv2'),
        dict(cfg=dict(type='ContextBlock', ratio=1 / 4), stages=(False, True, True, False), position='after_conv3'),
    ]
    backbone = make(plugins=plugins)
    for i, name in enumerate(backbone.res_layers):
        for block in getattr(backbone, name):
            assert hasattr(block, 'context_block') == (i in (1, 2))
            if i in (1, 2):
                assert block.context_block.in_channels == 64 * 2**i
            behind = block.exit if hasattr(block, 'exit') else block.conv3
            assert block.nonlocal_block.in_channels == behind.in_channels
    assert backbone(images())[-1].shape == (2, 512, 1, 1)


@property_of_resnet
def plugins_of_one_type_have_a_postfix_each(make: Make) -> None:
    plugins = [dict(cfg=dict(type='ContextBlock', ratio=1 / 4, postfix=i), position='after_conv3') for i in (1, 2)]
    block = make(plugins=plugins).layer1[0]
    assert block.context_block1.in_channels == block.context_block2.in_channels == 64
    assert not hasattr(block, 'context_block')


@property_of_resnet
def zero_init_residual_zeroes_the_last_norm_of_every_block(make: Make) -> None:
    backbone = make(zero_init_residual=True)
    backbone.init_weights()
    for block in blocks(backbone):
        assert not any(p.any() for p in last_norm(block).parameters())
    assert backbone(images())[-1].shape == (2, 512, 1, 1)


@property_of_resnet
def without_zero_init_residual_the_last_norms_are_ones(make: Make) -> None:
    backbone = make(zero_init_residual=False)
    backbone.init_weights()
    assert all((last_norm(block).weight == 1).all() for block in blocks(backbone))


@property_of_resnet
def pretrained_is_the_init_cfg_of_a_checkpoint(make: Make) -> None:
    assert make(pretrained='weights.pth').init_cfg == dict(type='Pretrained', checkpoint='weights.pth')


@property_of_resnet
def shows_the_arguments_that_it_was_given(make: Make) -> None:
    given = dict(
        depth=50,
        base_channels=16,
        stem_channels=32,
        num_stages=2,
        strides=(1, 2),
        dilations=(1, 1),
        out_indices=(0, 1),
        deep_stem=True,
        avg_down=True,
        frozen_stages=0,
        conv_cfg=dict(type='Conv2d'),
        norm_cfg=dict(type='BN', eps=1e-4),
        norm_eval=True,
        plugins=None,
        with_cp=True,
        zero_init_residual=False,
    )
    backbone = make(**given)
    assert {name: getattr(backbone, name) for name in given} == given
    assert (backbone.style, backbone.res_layers, backbone.feat_dim) == ('pytorch', ['layer1', 'layer2'], 128)
    assert tuple(backbone.stage_blocks) == (3, 4)


@pytest.mark.parametrize('name', PROPERTIES)
@pytest.mark.parametrize('network', NETWORKS)
def test_property_of_mmdets_resnet(network, name):
    PROPERTIES[name](maker(network))


@pytest.mark.parametrize('style, strides', [('pytorch', (1, 2)), ('caffe', (2, 1))])
@pytest.mark.parametrize('network', ['ResNet', 'TiedResNet', 'TiedResNeXt', 'TiedSENet'])
def test_the_style_says_which_convolution_has_the_stride(network, style, strides):
    block = maker(network)(style=style).layer2[0]
    entry, middle = (block.conv1, block.conv2) if network == 'ResNet' else (block.entry.conv, block.splits[0].conv)
    assert (entry.stride[0], middle.stride[0]) == strides


@pytest.mark.parametrize('name', OURS)
def test_drop_path_rates_grow_as_in_mmpretrain(name):
    cut = dict(num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
    for arguments in ({}, cut):
        ours = maker(name)(depth=50, drop_path_rate=0.3, **arguments)
        theirs = ClassifiersResNet(depth=50, base_channels=16, stem_channels=16, drop_path_rate=0.3, **arguments)
        rates = [
            [block.drop_path.drop_prob if isinstance(block.drop_path, DropPath) else 0 for block in blocks(network)]
            for network in (ours, theirs)
        ]
        assert rates[0] == rates[1]
        assert rates[0][0] == 0 and sorted(set(rates[0])) == rates[0]


@pytest.mark.parametrize('with_cp', [False, True])
def test_a_dropped_branch_leaves_the_shortcut(with_cp):
    backbone = TiedResNet(26, base_channels=16, base_width=64, drop_path_rate=0.999, with_cp=with_cp)
    block = backbone.layer4[1]
    x = torch.rand(64, 512, 2, 2, requires_grad=True)
    kept = block.train()(x)
    dropped = (kept == x).flatten(1).all(1)
    assert 60 <= dropped.sum() <= 64
    # In evaluation nothing is dropped, nor scaled.
    block.eval()
    assert_close(block(x), (x + block.residual(x)).relu())


@pytest.mark.parametrize('rate', [-0.1, 1.0])
def test_a_drop_path_rate_is_a_share(rate):
    with pytest.raises(ValueError, match=rf'drop_path_rate={rate} must be 0 or more and below 1'):
        TiedResNet(26, drop_path_rate=rate)


@pytest.mark.parametrize('depth', [50, 101, 152])
def test_layer_depths_are_mmpretrains(depth):
    """The names differ inside a block, so each of ours is compared with a name of that block, or of the stem."""
    with torch.device('meta'):
        ours = TiedResNet(depth)
    theirs = ClassifiersResNet(depth, base_channels=4, stem_channels=4)
    for name, _ in ours.named_parameters():
        like = re.sub(r'^(layer\d\.\d+)\..*', r'\1.conv1.weight', name) if name[0] == 'l' else 'conv1.weight'
        assert ours.get_layer_depth(f'backbone.{name}', 'backbone.') == theirs.get_layer_depth(
            f'backbone.{like}', 'backbone.'
        )
        assert ours.get_layer_depth(name) == ours.get_layer_depth(f'backbone.{name}', 'backbone.')
    head = 'head.fc.weight'
    assert ours.get_layer_depth(head, 'backbone.') == theirs.get_layer_depth(head, 'backbone.')


def test_layer_depths_of_a_short_network():
    with torch.device('meta'):
        backbone = TiedResNet(26, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
    names = ('stem.0.conv.weight', 'layer1.1.exit.conv.weight', 'layer2.0.entry.conv.weight')
    assert [backbone.get_layer_depth(name) for name in names] == [(0, 4), (1, 4), (2, 4)]
    assert backbone.get_layer_depth('neck.weight', 'backbone.') == (3, 4)


@pytest.mark.parametrize('backbone', [
    dict(type='TiedResNet', depth=50, base_channels=16, base_width=64, out_indices=(3,)),
    dict(type='TiedBackbone', network='mmpretrain.ResNet', depth=50, base_channels=16, stem_channels=16,
         policy={'layer4.*.conv2': 2}),
], ids=lambda cfg: cfg['type'])  # fmt: skip
def test_mmpretrains_constructor_lowers_the_learning_rate_from_layer_to_layer(backbone):
    head = dict(type='mmpretrain.LinearClsHead', num_classes=5, in_channels=512)
    model = MODELS.build(dict(type='mmpretrain.ImageClassifier', backbone=backbone, head=head))
    constructor = LearningRateDecayOptimWrapperConstructor(
        dict(optimizer=dict(type='SGD', lr=1.0, weight_decay=0.1)), dict(layer_decay_rate=0.5)
    )
    rates = {group['param_name']: group['lr'] for group in constructor(model).optimizer.param_groups}
    assert len(rates) == len(list(model.parameters()))
    assert rates['head.fc.weight'] == 1
    for stage, power in ((4, 1), (3, 3), (2, 5), (1, 6)):
        of_stage = {rate for name, rate in rates.items() if name.startswith(f'backbone.layer{stage}.0.')}
        assert of_stage == {0.5**power}
    stem = next(rate for name, rate in rates.items() if name.startswith(('backbone.stem', 'backbone.conv1')))
    assert stem == 0.5**7


def test_a_detectors_learning_rates_by_stage():
    """What the docs advise where mmdet's constructor of decaying rates, made for ConvNeXt, has no answer."""
    model = nn.ModuleDict(dict(backbone=TiedResNet(26, base_channels=16, base_width=64), neck=nn.Linear(2, 2)))
    keys = {'backbone': dict(lr_mult=0.5), 'backbone.stem': dict(lr_mult=0.1)}
    constructor = DefaultOptimWrapperConstructor(dict(optimizer=dict(type='SGD', lr=1.0)), dict(custom_keys=keys))
    groups = constructor(model).optimizer.param_groups
    rates = dict(zip((name for name, _ in model.named_parameters()), (group['lr'] for group in groups)))
    assert rates['backbone.stem.0.conv.weight'] == 0.1
    assert rates['backbone.layer1.0.entry.conv.weight'] == 0.5
    assert rates['neck.weight'] == 1


def dilations(backbone: nn.Module) -> list[list[int]]:
    """The dilation of each block's 3x3, stage by stage."""
    return [
        [max(conv.dilation[0] for conv in convolutions(block)) for block in getattr(backbone, name)]
        for name in backbone.res_layers
    ]


DILATED = [
    (dict(), [[1] * 3, [1] * 4, [2] * 6, [4] * 3]),
    (dict(contract_dilation=True), [[1] * 3, [1] * 4, [1, 2, 2, 2, 2, 2], [2, 4, 4]]),
    (dict(multi_grid=(1, 2, 4)), [[1] * 3, [1] * 4, [2] * 6, [1, 2, 4]]),
    (dict(multi_grid=(1, 2, 4), contract_dilation=True), [[1] * 3, [1] * 4, [1, 2, 2, 2, 2, 2], [1, 2, 4]]),
]


@pytest.mark.parametrize('arguments, wanted', DILATED)
@pytest.mark.parametrize('name', OURS)
def test_dilations_of_segmentation(name, arguments, wanted):
    dilated = dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    backbone = maker(name)(depth=50, **dilated, **arguments)
    assert dilations(backbone) == wanted


@pytest.mark.parametrize('arguments, wanted', DILATED)
def test_dilations_are_mmsegmentations(arguments, wanted):
    models = pytest.importorskip('mmseg.models', reason='mmsegmentation is not installed')
    theirs = models.ResNet(50, base_channels=16, strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), **arguments)
    assert dilations(theirs) == wanted


def test_a_multi_grid_has_a_number_for_each_block():
    with pytest.raises(ValueError, match=r'TiedResNet: multi_grid=\(1, 2\) must be 3 numbers'):
        TiedResNet(50, multi_grid=(1, 2))


def test_pretrained_loads(tmp_path):
    one = TiedResNet(26, base_channels=16, base_width=64)
    torch.save(one.state_dict(), tmp_path / 'one.pth')
    other = TiedResNet(26, base_channels=16, base_width=64, pretrained=str(tmp_path / 'one.pth'))
    other.init_weights()
    for name, value in one.state_dict().items():
        assert torch.equal(value, other.state_dict()[name]), name


def test_numbers_of_numpy_are_numbers():
    two = np.int64(2)
    ours = TiedResNet(
        26,
        base_channels=np.int32(16),
        base_width=np.int64(64),
        blocks=tuple(np.array([1, 2, 4, 8])),
        entry_blocks=two,
        shortcut_blocks=two,
        mixer_blocks=two,
    )
    plain = TiedResNet(26, base_channels=16, base_width=64)
    plain.load_state_dict(ours.state_dict())
    x = images()
    for a, b in zip(ours.eval()(x), plain.eval()(x)):
        assert torch.equal(a, b)
    assert repr(ours) == repr(plain)


def rows_of_arguments() -> dict[str, tuple[str, str]]:
    """Return what the docs' table says of each argument: whose it is, and what ours do."""
    table = (DOCS / 'architecture.md').read_text().split('## In place of another ResNet')[1].split('\n## ')[0]
    rows = {}
    for names, *cells in (line.strip('| ').split(' | ') for line in table.splitlines() if line.startswith('| `')):
        rows.update(dict.fromkeys(re.findall(r'`(\w+)`', names), tuple(cells)))
    return rows


@pytest.mark.parametrize('package, network', [
    ('mmdet', ResNet),
    ('mmpretrain', ClassifiersResNet),
    ('mmsegmentation', 'mmseg.models'),
], ids=['mmdet', 'mmpretrain', 'mmsegmentation'])  # fmt: skip
def test_the_docs_have_every_argument_of_theirs(package, network):
    if isinstance(network, str):
        network = pytest.importorskip(network, reason='mmsegmentation is not installed').ResNet
    ours = inspect.signature(ResidualBackbone).parameters
    rows = rows_of_arguments()
    for name in set(inspect.signature(network).parameters) - {'self'}:
        whose, here = rows[name]
        assert whose == 'all' or package in whose, name
        # What is not taken, and why, is said.
        assert (name in ours) == (not here.startswith('not taken')), name
