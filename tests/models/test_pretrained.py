"""Checkpoints that ``init_cfg`` names: however that is written, they load last, and the log says what they hold."""

import logging

import pytest
import torch
from mmdet.models.backbones import ResNet
from mmengine.config import Config, ConfigDict
from mmengine.model import PretrainedInit
from mmengine.registry import MODELS
from torch import nn

from mmtied.models import TiedResNet, warm_start
from mmtied.models.pretrained import in_order, spell_out

SPELLINGS = [
    'Pretrained',
    'mmengine.Pretrained',
    'mmdet.Pretrained',
    'mmengine.model.PretrainedInit',
    'mmengine.model.weight_init.PretrainedInit',
    PretrainedInit,
]
GCB = [dict(cfg=dict(type='TiedGCB', ratio=1 / 4), position='after_conv3')]
SMALL = dict(base_channels=16, num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(0, 1))
TIED = dict(type='TiedBackbone', network='mmdet.ResNet', policy={'layer2.*.conv2': 2}, depth=50, **SMALL)
RANDOM = dict(type='Kaiming', layer='Conv2d')


def small(**kwargs) -> TiedResNet:
    return TiedResNet(26, base_width=64, **SMALL | kwargs)


def trained(network: nn.Module) -> nn.Module:
    """A network in which every number is another one than an initialisation gives."""
    for value in network.state_dict().values():
        value.copy_(torch.randint(3, 99, value.shape))
    return network


def saved(network: nn.Module, path, prefix: str = '') -> str:
    torch.save({prefix + name: value for name, value in network.state_dict().items()}, path)
    return str(path)


def differing(network: nn.Module, wanted: nn.Module, beginning: str = '') -> list[str]:
    own, other = network.state_dict(), wanted.state_dict()
    return [name for name in other if name.startswith(beginning) and not torch.equal(own[name], other[name])]


@pytest.fixture
def said(monkeypatch):
    """What is logged: level and text of each message."""
    messages = []
    monkeypatch.setattr(
        'mmtied.models.pretrained.print_log', lambda text, _, level=logging.INFO: messages.append((level, text))
    )
    return messages


EVERY_WAY = [(spelling, lambda config: config) for spelling in SPELLINGS]
EVERY_WAY += [('mmengine.Pretrained', form) for form in (ConfigDict, lambda config: [config])]
EVERY_WAY += [(spelling, lambda config: [RANDOM, config]) for spelling in SPELLINGS[1:]]


@pytest.mark.parametrize('spelling, form', EVERY_WAY)
def test_a_checkpoint_comes_last_however_it_is_written(tmp_path, said, spelling, form):
    wanted = trained(small(plugins=GCB))
    config = dict(type=spelling, checkpoint=saved(wanted, tmp_path / 'own.pth', 'backbone.'), prefix='backbone.')
    backbone = small(plugins=GCB, init_cfg=form(config))
    backbone.init_weights()
    assert differing(backbone, wanted) == []
    count = len(wanted.state_dict())
    assert said == [(logging.INFO, f'{count} of {count} tensors of TiedResNet are in {config["checkpoint"]}')]


@pytest.mark.parametrize('spelling, form', EVERY_WAY)
def test_a_tied_network_takes_its_own_tensors_however_it_is_written(tmp_path, spelling, form):
    for policy in (TIED['policy'], None):
        wanted = trained(MODELS.build(TIED) if policy else ResNet(50, **SMALL))
        config = dict(type=spelling, checkpoint=saved(wanted, tmp_path / 'own.pth'))
        backbone = MODELS.build(TIED | dict(init_cfg=form(config)))
        backbone.init_weights()
        # An ordinary one's are projected where they are tied.
        assert [name for name in differing(backbone, wanted) if policy or '.conv2.' not in name] == []


def test_a_config_of_classes_and_what_is_dumped_of_it(tmp_path):
    wanted = trained(small())
    checkpoint = saved(wanted, tmp_path / 'own.pth')
    (tmp_path / 'config.py').write_text(
        'from mmengine.model import PretrainedInit\nfrom mmtied.models import TiedResNet\n'
        f'backbone = dict(type=TiedResNet, depth=26, base_width=64, **{SMALL!r},\n'
        f'    init_cfg=[dict(type=PretrainedInit, checkpoint={checkpoint!r})])\n'
    )
    config = Config.fromfile(tmp_path / 'config.py', lazy_import=True)
    config.dump(tmp_path / 'dumped.py')
    dumped = Config.fromfile(tmp_path / 'dumped.py')
    assert dumped.backbone.init_cfg[0].type == 'mmengine.model.PretrainedInit'
    for one in (config, dumped):
        backbone = MODELS.build(one.backbone)
        backbone.init_weights()
        assert differing(backbone, wanted) == []


@pytest.mark.parametrize('spelling', SPELLINGS)
def test_an_override_loads_last_as_well(tmp_path, spelling):
    wanted = trained(small())
    checkpoint = saved(wanted, tmp_path / 'own.pth')
    override = dict(type=spelling, name='layer1', checkpoint=checkpoint, prefix='layer1.')
    for init_cfg in (RANDOM | dict(override=override), [RANDOM | dict(override=[override])]):
        backbone = small(init_cfg=init_cfg)
        backbone.init_weights()
        assert differing(backbone, wanted, 'layer1') == []
        assert not any(block.exit.norm.weight.any() for block in backbone.layer2)


def test_what_overrides_a_checkpoint_follows_it(tmp_path):
    wanted = trained(small())
    override = dict(type='Constant', name='layer2', layer='BatchNorm2d', val=0.5)
    config = dict(type='mmengine.Pretrained', checkpoint=saved(wanted, tmp_path / 'own.pth'), override=override)
    backbone = small(init_cfg=config)
    backbone.init_weights()
    assert differing(backbone, wanted, 'layer1') == []
    assert (backbone.layer2[0].exit.norm.weight == 0.5).all()
    tied = MODELS.build(
        TIED | dict(init_cfg=config | dict(checkpoint=saved(MODELS.build(TIED), tmp_path / 'tied.pth')))
    )
    tied.init_weights()
    assert (tied.layer2[0].bn3.weight == 0.5).all()


@pytest.mark.parametrize('spelling', SPELLINGS)
def test_a_plugin_keeps_the_checkpoint_of_its_own(tmp_path, spelling):
    plugin = dict(type='TiedSE', blocks=2, ratio=2)
    wanted = trained(small(plugins=[dict(cfg=plugin, position='after_conv3')])).layer1[0].tied_se
    init_cfg = dict(type=spelling, checkpoint=saved(wanted, tmp_path / 'se.pth'))
    plugins = [dict(cfg=dict(plugin, init_cfg=init_cfg), position='after_conv3', stages=(True, False))]
    for others in (None, [RANDOM, dict(type='Constant', layer='Linear', val=0.5)]):
        backbone = small(plugins=plugins, init_cfg=others)
        backbone.init_weights()
        assert differing(backbone.layer1[1].tied_se, wanted) == []


@pytest.mark.parametrize(
    'init_cfg, named',
    [
        (dict(checkpoint='x.pth'), "init_cfg: {'checkpoint': 'x.pth'} needs a type"),
        (RANDOM | dict(override=dict(type='Constant', val=1)), "override={'type': 'Constant', 'val': 1} needs a name"),
        (RANDOM | dict(override=dict(name='layer1', val=1)), 'needs a name and, with other arguments, a type'),
    ],
)
def test_what_init_cfg_lacks_is_named(init_cfg, named):
    with pytest.raises(ValueError, match=named):
        small(init_cfg=init_cfg).init_weights()


def test_a_part_that_is_not_there_is_named(tmp_path):
    override = dict(type='Pretrained', name='layer9', checkpoint=saved(small(), tmp_path / 'own.pth'))
    with pytest.raises(ValueError, match="TiedResNet has no part 'layer9'"):
        small(init_cfg=RANDOM | dict(override=override)).init_weights()


def test_nothing_to_initialise_by():
    for nothing in (None, {}, []):
        assert in_order(nothing) == ([], [])
        assert not spell_out(nothing)


@pytest.mark.parametrize('prefix', ['encoder_q.', 'model.', 'a.b.backbone.'])
def test_the_prefix_that_a_checkpoint_needs_is_named(tmp_path, prefix):
    checkpoint = saved(small(), tmp_path / 'own.pth', prefix)
    tied = saved(MODELS.build(TIED), tmp_path / 'tied.pth', prefix)
    for given in ({}, dict(prefix='backbone.')):
        for build, path in ((small, checkpoint), (lambda **cfg: MODELS.build(TIED | cfg), tied)):
            init_cfg = dict(type='Pretrained', checkpoint=path) | given
            with pytest.raises(ValueError, match=rf"holds none of its tensors; it has them below prefix='{prefix}'"):
                build(init_cfg=init_cfg).init_weights()
            build(init_cfg=dict(init_cfg, prefix=prefix)).init_weights()


def test_the_error_about_a_foreign_checkpoint_says_what_else_to_set(tmp_path):
    init_cfg = dict(type='Pretrained', checkpoint=saved(ResNet(18), tmp_path / 'resnet.pth'))
    with pytest.raises(
        ValueError, match='init_cfg=None, and trains from scratch with frozen_stages=-1 and norm_eval=False'
    ):
        small(init_cfg=init_cfg, frozen_stages=1, norm_eval=True).init_weights()


def resnet(**kwargs) -> nn.Module:
    return MODELS.build(TIED | kwargs)


@pytest.mark.parametrize('build, name', [(small, 'TiedResNet'), (resnet, 'ResNet')])
@pytest.mark.parametrize('frozen, norm_eval', [(1, True), (0, False), (-1, True)])
def test_what_is_random_and_stays_so_is_said_once(said, build, name, frozen, norm_eval):
    backbone = build(frozen_stages=frozen, norm_eval=norm_eval)
    backbone.init_weights()
    still = [p for p in backbone.parameters() if not p.requires_grad]
    norms = sum(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    facts, mends = [], []
    if frozen >= 0:
        facts.append(f'{len(still)} of {len(list(backbone.parameters()))} parameters are frozen')
        mends.append('frozen_stages=-1')
    if norm_eval:
        facts.append(f'{norms} of {norms} batch norms keep their statistics (norm_eval=True)')
        mends.append('norm_eval=False')
    ((level, text),) = said
    assert level == logging.WARNING
    assert text == (
        f'{name}: init_cfg loads no weights, but {" and ".join(facts)}. Unless load_from or resume brings the weights, '
        f'these stay random: from scratch, set {" and ".join(mends)}'
    )


@pytest.mark.parametrize('build', [small, resnet])
def test_nothing_is_said_of_a_network_that_learns(said, build):
    build(frozen_stages=-1, norm_eval=False).init_weights()
    # Norms without statistics learn whatever norm_eval says.
    build(frozen_stages=-1, norm_eval=True, norm_cfg=dict(type='GN', num_groups=4)).init_weights()
    assert said == []


def test_norms_that_norm_cfg_freezes_are_said(said):
    small(norm_cfg=dict(type='BN', requires_grad=False)).init_weights()
    ((_, text),) = said
    assert 'parameters are frozen. Unless' in text
    assert text.endswith('from scratch, set requires_grad=True in norm_cfg')


def test_statistics_that_a_checkpoint_lacks_are_said(tmp_path, said):
    part = {name: value for name, value in small().state_dict().items() if 'layer1' in name or 'stem' in name}
    torch.save(part, tmp_path / 'part.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'part.pth'))
    small(init_cfg=init_cfg, frozen_stages=1, norm_eval=True).init_weights()
    in_all, in_part = (sum('running_mean' in name for name in names) for names in (small().state_dict(), part))
    assert 'loads only some of the weights' in said[-1][1]
    assert f'{in_all - in_part} of {in_all} batch norms' in said[-1][1]
    assert said[-1][1].endswith('set norm_eval=False')


@pytest.mark.parametrize('settings, mend', [
    (dict(norm_eval=True, frozen_stages=1), 'norm_eval=False'),
    (dict(norm_eval=False, frozen_stages=2), 'frozen_stages=-1'),
    (dict(norm_eval=False, frozen_stages=1), None),
])  # fmt: skip
def test_projections_that_are_frozen_are_said(tmp_path, said, settings, mend):
    checkpoint = saved(ResNet(50, **SMALL), tmp_path / 'resnet.pth')
    backbone = resnet(init_cfg=dict(type='Pretrained', checkpoint=checkpoint), **settings)
    backbone.init_weights()
    assert said[0][1].endswith(f'tensors of ResNet are in {checkpoint}')
    if mend is None:
        assert len(said) == 1
    else:
        assert said[1][1].startswith('ResNet: 4 tensors are projected from an ordinary network, or new')
        assert said[1][1].endswith(f'These do not adapt to that: to train them, set {mend}')
    # Its own checkpoint is taken as it is.
    own = saved(backbone, tmp_path / 'own.pth')
    del said[:]
    resnet(init_cfg=dict(type='Pretrained', checkpoint=own), **settings).init_weights()
    assert [level for level, _ in said] == [logging.INFO]


def test_what_a_warm_start_projected_or_made_anew_is_said_if_it_is_frozen(tmp_path, said):
    """The mixers of a warm start are random, though they are in its checkpoint."""
    warm = small()
    origins = warm_start(warm, ResNet(50, **SMALL).state_dict()).tensors
    del said[:]
    for name, how in origins.items():
        assert how != 'matched' or 'mixer' not in name
    state = {f'backbone.{name}': value for name, value in warm.state_dict().items()}
    torch.save(dict(meta=dict(tensors=origins), state_dict=state), tmp_path / 'warm.pth')
    init_cfg = dict(type='Pretrained', checkpoint=str(tmp_path / 'warm.pth'), prefix='backbone.')
    small(init_cfg=init_cfg).init_weights()
    assert [level for level, _ in said] == [logging.INFO]
    backbone = small(init_cfg=init_cfg, frozen_stages=1, norm_eval=True)
    backbone.init_weights()
    new = [name for name, how in origins.items() if how != 'matched']
    frozen = {name for name, parameter in backbone.named_parameters() if not parameter.requires_grad}.intersection(new)
    assert 'layer1.0.mixer.conv.weight' in frozen
    text = said[-1][1]
    assert text.startswith(
        f'TiedResNet: {len(new)} tensors are projected from an ordinary network, or new beside it, but'
    )
    assert f'{len(frozen)} of {len(list(backbone.parameters()))} parameters are frozen' in text
    assert text.endswith('set frozen_stages=-1 and norm_eval=False')
