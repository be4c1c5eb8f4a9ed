"""Train a detector or classifier: mmdet's `tools/train.py`, with the same arguments."""

import argparse
from pathlib import Path

import torch
from mmengine.config import Config

from .. import models  # noqa: F401
from ..utils.errors import InputError
from .command import UsageError
from .command_line import BAD_INPUT, add_config_arguments, build_runner, load_config, wrong_is_input

__all__ = ['BAD_INPUT', 'add_arguments', 'main']
SHOWS_WARNINGS_WHOLE = True


def start_from(config: Config, checkpoint: str | None) -> None:
    """Start the backbone from a classifier's checkpoint, as mmdet's recipes do."""
    if checkpoint is not None:
        if not config.model.backbone.type.rpartition('.')[2].startswith('Tied'):
            raise InputError(
                f'--backbone-checkpoint: is for tied backbones, and this one is {config.model.backbone.type}, '
                'which loads what its init_cfg names'
            )
        if Path(checkpoint).is_file() and is_warm_start(checkpoint):
            raise InputError(
                f'--backbone-checkpoint: {checkpoint} is a warm start of convert_weights.py, whose norms must '
                'learn anew; load it by --cfg-options model.backbone.init_cfg.type=Pretrained '
                f'model.backbone.init_cfg.checkpoint={checkpoint} model.backbone.init_cfg.prefix=backbone.'
            )
        init_cfg = dict(type='Pretrained', checkpoint=checkpoint, prefix='backbone.')
        config.model.backbone.update(init_cfg=init_cfg, frozen_stages=1, norm_eval=True)


def is_warm_start(checkpoint: str) -> bool:
    """Return whether convert_weights.py made a checkpoint: it says there where each tensor came from."""
    with wrong_is_input(checkpoint):
        return 'tensors' in torch.load(checkpoint, map_location='cpu', weights_only=True).get('meta', {})


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
