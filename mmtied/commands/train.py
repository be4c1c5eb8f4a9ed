"""Train a detector or classifier: mmdet's `tools/train.py`, with the same arguments."""

import argparse
from typing import Any

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, WEIGHT_INITIALIZERS
from torch import nn

from ..models.pretrained import Step, check_what_stays, content_of, not_trained, refuse_foreign, spell_out, tensors_for
from ..models.residual_backbone import ResidualBackbone
from ..models.tied_backbone import TiedBackbone, Tying, is_of_ordinary
from ..utils.checkpoints import matching
from ..utils.errors import InputError
from .command import UsageError
from .command_line import BAD_INPUT, add_config_arguments, build_runner, load_config, wrong_is_input

__all__ = ['BAD_INPUT', 'add_arguments', 'main']
SHOWS_WARNINGS_WHOLE = True


def start_from(config: Config, checkpoint: str | None) -> None:
    """Start the backbone from a classifier's checkpoint, as mmdet's recipes do."""
    if checkpoint is None:
        return
    backbone = config.get('model', {}).get('backbone')
    if backbone is None:
        raise InputError('--backbone-checkpoint: the config has no model.backbone')
    init_cfg = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
    settings = dict(frozen_stages=1, norm_eval=True)
    with (
        wrong_is_input('--backbone-checkpoint'),
        MODELS.switch_scope_and_registry(config.get('default_scope')) as models,
    ):
        kind = models.get(backbone.type) if isinstance(backbone.type, str) else backbone.type
        if kind is not TiedBackbone and not (isinstance(kind, type) and issubclass(kind, ResidualBackbone)):
            name = getattr(kind, '__name__', backbone.type)
            raise InputError(
                f'--backbone-checkpoint: is for tied backbones, and this one is {name}, which loads what its init_cfg '
                'names'
            )
        network = models.build({key: value for key, value in backbone.items() if key != 'init_cfg'} | settings)
        refuse_ordinary_weights(network, checkpoint, init_cfg)
    backbone.update(init_cfg=init_cfg, **settings)


def refuse_ordinary_weights(backbone: nn.Module, checkpoint: str, init_cfg: dict) -> None:
    """Raise an error if a checkpoint is not of the tied backbone itself, whose norms may be kept as they are."""
    step, content = Step('', init_cfg), content_of(init_cfg)
    what = None
    if not_trained(content):
        what = 'a warm start of convert_weights.py'
    elif isinstance(getattr(backbone, 'tying', None), Tying) and is_of_ordinary(backbone, step):
        what = f'of an ordinary {type(backbone).__name__}, which is tied by projection'
    if what is not None:
        raise InputError(
            f'--backbone-checkpoint: {checkpoint} is {what}, so its norms must learn anew; load it by --cfg-options '
            f'model.backbone.init_cfg.type=Pretrained model.backbone.init_cfg.checkpoint={checkpoint} '
            'model.backbone.init_cfg.prefix=backbone. model.backbone.frozen_stages=-1 model.backbone.norm_eval=False'
        )
    tensors = tensors_for(backbone, content, init_cfg['prefix'])
    refuse_foreign(backbone, tensors, step)
    check_what_stays(backbone, dict.fromkeys(matching(backbone, tensors), checkpoint))


def spell_out_everywhere(config: Any) -> None:
    """Spell out every ``init_cfg`` in a config, so that no module initialises after the checkpoint that it loads."""
    if isinstance(config, dict):
        for key, value in config.items():
            if key == 'init_cfg':
                config[key] = spell_out(value)
            else:
                spell_out_everywhere(value)
    elif isinstance(config, list | tuple):
        for value in config:
            spell_out_everywhere(value)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or, without a path, from the latest one in the work dir',
    )
    parser.add_argument(
        '--backbone-checkpoint',
        help="checkpoint of a classifier with the config's backbone, to start from as mmdet's recipes do: stem and "
        'first stage frozen, batch norms kept as they are; without it, the configs train from scratch',
    )


def main(args: argparse.Namespace) -> None:
    config = load_config(args, lambda config: start_from(config, args.backbone_checkpoint))
    with wrong_is_input(args.config), WEIGHT_INITIALIZERS.switch_scope_and_registry(config.get('default_scope')):
        spell_out_everywhere(config.get('model', {}))
    if args.amp:
        if not torch.cuda.is_available():
            raise UsageError('--amp: mmengine trains with mixed precision on a GPU only, and there is none')
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.loss_scale = 'dynamic'
    if args.auto_scale_lr:
        if 'base_batch_size' not in config.get('auto_scale_lr', {}):
            raise UsageError('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
        config.auto_scale_lr.enable = True
    if args.resume is not None:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume
    build_runner(config, args, 'train_loop').train()
