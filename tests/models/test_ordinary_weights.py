"""Warm starts: with one block and one split all weights of the ordinary network fit, and outputs are equal."""

import pytest
import torch
from mmdet.models.backbones import ResNet as DetResNet
from mmdet.models.backbones import ResNeXt as DetResNeXt
from mmengine.registry import MODELS, init_default_scope
from mmpretrain.models.backbones import ResNeSt, ResNetV1d, ResNeXt, SEResNet
from timm.models.resnet import seresnet50
from torch import nn
from torch.testing import assert_close
from torchvision.models import resnet50, resnext101_32x8d, wide_resnet50_2, wide_resnet101_2

from mmtied.models import (
    VARIANTS,
    TiedBackbone,
    TiedResNeSt,
    TiedResNet,
    TiedResNeXt,
    TiedSENet,
    split_checkpoint,
    warm_start,
)
from mmtied.tying.projection import project

UNTIED = dict(entry_blocks=1, shortcut_blocks=1, mixer='none')
ONE_SPLIT = dict(UNTIED, splits=1, base_width=64, blocks=(1,))
FOUR_STAGES = dict(out_indices=(0, 1, 2, 3))
GN = dict(type='GN', num_groups=4)


def gcb(**cfg) -> list[dict]:
    return [dict(cfg=dict(ratio=1 / 4, **cfg), position='after_conv3')]


def randomised(network: nn.Module) -> nn.Module:
    for name, value in network.state_dict().items():
        if name.endswith('running_var'):
            nn.init.uniform_(value, 0.5, 1.5)
        elif value.is_floating_point():
            nn.init.normal_(value, 0.5 if value.dim() == 1 else 0, 0.1)
    network.eval()
    return network


@pytest.mark.parametrize(
    'make_source, make_target',
    [
        (lambda: DetResNet(50, base_channels=16), lambda: TiedResNet(50, base_channels=16, **ONE_SPLIT)),
        (
            lambda: DetResNet(50, base_channels=16, style='caffe', deep_stem=True, avg_down=True),
            lambda: TiedResNet(50, base_channels=16, style='caffe', deep_stem=True, avg_down=True, **ONE_SPLIT),
        ),
        (
            lambda: ResNetV1d(depth=50, base_channels=16, stem_channels=16, **FOUR_STAGES, expansion=4),
            lambda: TiedResNet(50, base_channels=16, deep_stem=True, avg_down=True, **ONE_SPLIT),
        ),
        (
            lambda: DetResNeXt(depth=50, groups=32, base_width=4),
            lambda: TiedResNeXt(50, base_width=32, blocks=(1, 1, 1, 1), groups=8, **UNTIED),
        ),
        (
            lambda: ResNeXt(50, groups=32, width_per_group=8, **FOUR_STAGES),
            lambda: TiedResNeXt(50, blocks=(1, 1, 1, 1), **UNTIED),
        ),
        (
            lambda: SEResNet(50, deep_stem=True, **FOUR_STAGES),
            lambda: TiedSENet(50, se_blocks=1, **ONE_SPLIT),
        ),
        (
            lambda: DetResNet(50, base_channels=16, norm_cfg=GN),
            lambda: TiedResNet(50, base_channels=16, norm_cfg=GN, **ONE_SPLIT),
        ),
        (
            lambda: DetResNet(50, base_channels=16, plugins=gcb(type='ContextBlock')),
            lambda: TiedResNet(50, base_channels=16, plugins=gcb(type='TiedGCB', blocks=1), **ONE_SPLIT),
        ),
    ],
    ids=['mmdet', 'caffe', 'mmpretrain V1d', 'mmdet ResNeXt', 'mmpretrain ResNeXt', 'SE', 'GN', 'GCB'],
)
def test_untied_network_is_the_ordinary_one(make_source, make_target):
    """B = 1 everywhere: every tensor matches, and the outputs are those of the reference implementation."""
    source, target = randomised(make_source()), make_target()
    result = warm_start(target, source.state_dict())
    assert set(result.tensors) == set(target.state_dict())
    assert result.counts == dict(matched=len(result.tensors), projected=0, initialised=0)
    assert result.unused == ()
    source.double()
    target.double().eval()
    x = torch.randn(2, 3, 64, 64, dtype=torch.double)
    with torch.no_grad():
        for a, b in zip(target(x), source(x)):
            assert_close(a, b)


def test_torchvision_and_timm_names():
    source = randomised(resnet50())
    target = TiedResNet(50, **ONE_SPLIT, out_indices=(3,))
    warm_start(target, source.state_dict())
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert_close(source.fc(target.eval()(x)[0].mean((2, 3))), source(x), rtol=1e-4, atol=1e-3)
    source = randomised(seresnet50())
    target = TiedSENet(50, deep_stem=False, se_blocks=1, **ONE_SPLIT, out_indices=(3,))
    assert warm_start(target, source.state_dict()).counts['initialised'] == 0
    with torch.no_grad():
        assert_close(target.eval()(x)[0], source.forward_features(x), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    'make_source, variant, initialised',
    [
        (wide_resnet50_2, 'tiedresnet50', {'mixer'}),
        (lambda: ResNeXt(50, groups=32, width_per_group=4), 'tiedresnet50', {'mixer'}),
        (wide_resnet50_2, 'tiedresnet50-nomixer', set()),
        (resnext101_32x8d, 'tiedresnext101', {'mixer'}),
        # Half as wide as the tied one.
        (resnet50, 'tiedresnet50', {'entry', 'splits', 'mixer', 'exit'}),
        (lambda: ResNetV1d(depth=50), 'tiedresnest50-s', {'attention'}),
        (lambda: ResNeSt(depth=50), 'tiedresnest50-s', set()),
        (lambda: SEResNet(101), 'tiedsenet101-s', {'stem', 'entry', 'splits', 'mixer', 'exit'}),
    ],
)
def test_what_fits_is_taken_and_the_rest_initialised(make_source, variant, initialised):
    target = MODELS.build(VARIANTS[variant])
    result = warm_start(target, make_source().state_dict())
    parts = {
        name.split('.')[2 if name.startswith('layer') else 0]
        for name, how in result.tensors.items()
        if how == 'initialised'
    }
    assert parts == initialised
    assert f'{result.counts["projected"]}' in str(result)


def test_weights_are_projected_part_by_part():
    source = randomised(wide_resnet50_2()).state_dict()
    target = TiedResNet(50)
    result = warm_start(target, source)
    block, prefix = target.layer2[0], 'layer2.0.'
    assert_close(block.entry.conv.weight, project(source[prefix + 'conv1.weight'], 2))
    width = 64
    for i, (split, blocks) in enumerate(zip(block.splits, (1, 2, 4, 8))):
        chunk = slice(i * width, (i + 1) * width)
        assert_close(split.conv.weight, project(source[prefix + 'conv2.weight'][chunk, chunk], blocks))
        assert_close(split.norm.running_mean, source[prefix + 'bn2.running_mean'][chunk])
        # The rest of its rows is lost, even where B = 1.
        assert result.tensors[f'{prefix}splits.{i}.conv.weight'] == 'projected'
    assert_close(block.exit.conv.weight[:, : 4 * width], source[prefix + 'conv3.weight'])
    assert not block.exit.conv.weight[:, 4 * width :].any()
    assert_close(block.shortcut[0].conv.weight, project(source[prefix + 'downsample.0.weight'], 2))
    assert block.mixer.conv.weight.any()


def test_same_network_tied():
    init_default_scope('mmpretrain')
    source = randomised(SEResNet(50, base_channels=16, stem_channels=16)).state_dict()
    backbone = TiedBackbone(
        network='SEResNet',
        policy={'layer4.*.conv2': 2},
        se_blocks=2,
        depth=50,
        base_channels=16,
        stem_channels=16,
    )
    incomplete = {name: value for name, value in source.items() if not name.startswith(('conv1', 'head'))}
    result = warm_start(backbone, incomplete)
    assert result.tensors['conv1.weight'] == 'initialised'
    assert result.counts['initialised'] == 1
    assert result.tensors['layer1.0.se_layer.squeeze.weight'] == 'projected'
    assert result.tensors['layer4.0.conv2.weight'] == 'projected'
    assert result.tensors['layer4.0.conv3.weight'] == 'matched'
    assert_close(backbone.layer4[0].conv2.weight, project(source['layer4.0.conv2.weight'], 2))
    squeeze = source['layer1.0.se_layer.conv1.conv.weight'].flatten(1)
    assert_close(backbone.layer1[0].se_layer.squeeze.weight, project(squeeze, 2))


def test_resnest_attention():
    """The grouped 3x3 is projected, the two layers of the attention are taken over, bias and all."""
    source = randomised(ResNeSt(depth=50))
    target = TiedResNeSt(50)
    result = warm_start(target, source.state_dict())
    assert {name for name, how in result.tensors.items() if how == 'projected'} == {
        name
        for name, p in target.named_parameters()
        if name.endswith('conv.weight')
        and 'layer' in name
        and ('entry' in name or 'attention.conv' in name or 'shortcut' in name)
    }
    theirs, ours = source.layer2[1].conv2, target.layer2[1].attention
    filters = theirs.conv.weight.chunk(2)
    assert_close(ours.conv.conv.weight, (filters[0] + filters[1]) / 2)
    pooled = torch.randn(2, 128, 1, 1)
    wanted = theirs.fc2(theirs.norm1(theirs.fc1(pooled)).relu())
    assert_close(ours.eval().excite(ours.squeeze(pooled)), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('cfg', [dict(blocks=2), dict(blocks=1, groups=2)])
def test_context_blocks_are_projected(cfg):
    source = randomised(DetResNet(50, base_channels=16, plugins=gcb(type='ContextBlock')))
    target = TiedResNet(50, base_channels=16, plugins=gcb(type='TiedGCB', **cfg), **ONE_SPLIT)
    result = warm_start(target, source.state_dict())
    assert result.counts['initialised'] == 0
    assert result.counts['projected'] == 16 * (4 if cfg['blocks'] == 2 else 2)
    plugin, theirs = target.layer1[0].context_block, source.layer1[0].context_block
    assert torch.equal(plugin.conv_mask.weight, theirs.conv_mask.weight)
    c = theirs.channel_add_conv[0].weight
    halves = c[:8, :32], c[8:, 32:]
    wanted = (halves[0] + halves[1]) / 2 if cfg['blocks'] == 2 else torch.cat(halves)
    assert_close(plugin.channel_add_conv[0].weight, wanted)


# What stands before a backbone's names, and what of that is not torch's own.
WRAPPERS = {
    '': '',
    'module.': '',
    '_orig_mod.': '',
    'module._orig_mod.': '',
    '_fsdp_wrapped_module.module.': '',
    'backbone.': 'backbone.',
    'module.backbone._orig_mod.': 'backbone.',
    'model.': 'model.',
    'model.backbone.': 'model.backbone.',
    'module.encoder_q.': 'encoder_q.',
    'net.features.': 'net.features.',
}


@pytest.mark.parametrize('wrapper', WRAPPERS)
def test_wrappers_of_any_kind_are_read(wrapper):
    source = DetResNet(50, base_channels=16, num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,)).state_dict()
    state = {wrapper + name: value for name, value in source.items()}
    if wrapper.endswith('encoder_q.'):
        state |= {name.replace('_q', '_k'): value + 1 for name, value in state.items()} | {'queue': torch.zeros(3, 4)}
    content = {
        'model_ema': state,
        'optimizer': {'state': {0: {'exp_avg': torch.zeros(3)}}},
        'rng_state': torch.zeros(9),
    }
    one_stage = dict(num_stages=1, strides=(1,), dilations=(1,), out_indices=(0,))
    for make in (
        lambda: TiedResNet(50, base_channels=16, **ONE_SPLIT, **one_stage),
        lambda: TiedBackbone('mmdet.ResNet', {'layer1.0.conv2': 2}, depth=50, base_channels=16, **one_stage),
    ):
        tensors, others, prefix = split_checkpoint(content, make())
        assert tensors.keys() == source.keys()
        assert all(tensors[name] is state[wrapper + name] for name in source)
        assert others == {}
        assert prefix == WRAPPERS[wrapper]


def test_the_head_is_carried_over_and_other_networks_are_not():
    source = {f'model.backbone.{name}': value for name, value in DetResNet(18).state_dict().items()}
    zeros = torch.zeros(3)
    source |= {'model.head.fc.bias': zeros, 'teacher.backbone.conv1.weight': zeros}
    tensors, others, prefix = split_checkpoint(source, TiedResNet(26))
    assert 'layer4.1.conv2.weight' in tensors
    assert (others, prefix) == ({'head.fc.bias': zeros}, 'model.backbone.')
    tensors, others, _ = split_checkpoint(
        {'encoder_q.layer1.0.conv1.weight': zeros, 'encoder_q.fc.bias': zeros}, TiedResNet(26)
    )
    assert (list(tensors), others) == (['layer1.0.conv1.weight'], {'head.fc.bias': zeros})


def test_several_networks_are_named():
    with pytest.raises(ValueError, match="holds student and teacher: save the one that is meant as its 'state_dict'"):
        split_checkpoint({'student': {'a': torch.zeros(1)}, 'teacher': {'a': torch.zeros(1)}}, TiedResNet(26))


def published(state: dict, layers: list[str]) -> dict:
    """The names that a network of the published layers has."""
    for name in layers:
        state = {key.replace(f'{name}.', f'{name}.conv.'): value for key, value in state.items()}
    return state


@pytest.mark.parametrize(
    'rename', [lambda state: state, lambda state: published(state, ['layer4.0.conv2', 'layer4.1.conv2'])]
)
def test_what_is_tied_already_is_taken_as_it_is(rename):
    def make():
        return TiedBackbone('mmdet.ResNet', {'layer4.*.conv2': 2}, depth=50, base_channels=16)

    source = randomised(make())
    target = make()
    result = warm_start(target, rename(source.state_dict()))
    assert result.counts == dict(matched=len(result.tensors), projected=0, initialised=0)
    assert result.unused == ()
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())


def test_a_tied_checkpoint_of_our_own():
    source, target = (
        randomised(TiedSENet(26, base_channels=16, base_width=64)),
        TiedSENet(26, base_channels=16, base_width=64),
    )
    state = {n.replace('.squeeze.', '.fc.0.').replace('.excite.', '.fc.2.'): v for n, v in source.state_dict().items()}
    result = warm_start(target, published(state, [f'layer1.0.{part}.conv' for part in ('entry', 'mixer')]))
    assert result.counts == dict(matched=len(result.tensors), projected=0, initialised=0)
    assert all(torch.equal(value, source.state_dict()[name]) for name, value in target.state_dict().items())


def test_what_has_no_place_is_listed():
    result = warm_start(TiedResNet(50), wide_resnet101_2().state_dict())
    assert {name.split('.')[1] for name in result.unused if name.startswith('layer3')} == {str(i) for i in range(6, 23)}
    assert f'of the source, {len(result.unused)} tensors have no place: layer3.6.conv1.weight' in str(result)


def test_a_backbone_that_was_used_is_initialised_anew():
    target = TiedResNet(50)
    target.init_weights()
    nn.init.constant_(target.layer1[0].mixer.conv.weight, 7)
    warm_start(target, wide_resnet50_2().state_dict())
    assert (target.layer1[0].mixer.conv.weight != 7).all()


def test_a_norm_of_another_kind_is_initialised():
    target = TiedResNet(50, base_channels=16, norm_cfg=dict(type='GN', num_groups=4), **ONE_SPLIT)
    result = warm_start(target, DetResNet(50, base_channels=16).state_dict())
    assert result.tensors['layer1.0.entry.conv.weight'] == 'matched'
    assert not any(name.endswith('running_mean') for name in result.tensors)


@pytest.mark.parametrize('make_target', [lambda: TiedResNet(50), lambda: TiedResNeSt(50)])
def test_nothing_that_fits_is_an_error(make_target):
    with pytest.raises(ValueError, match=r'none of the 1 tensors \(blocks\.0\.weight\) fits'):
        warm_start(make_target(), {'blocks.0.weight': torch.zeros(4, 4)})


def test_no_tensors_are_an_error():
    with pytest.raises(ValueError, match=r'none of the 0 tensors \(none\) fits TiedResNet'):
        warm_start(TiedResNet(26), {})


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match='ResNet is not a tied backbone'):
        warm_start(DetResNet(50), {})
