#!/usr/bin/env python3
"""Train a detector: mmdet's `tools/train.py`, with the same arguments."""

from command_line import config_parser, load_config
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

import mmtied.models  # noqa: F401


def main() -> None:
    parser = config_parser(__doc__)
    parser.add_argument('--amp', action='store_true', help='train with automatic mixed precision')
    parser.add_argument('--auto-scale-lr', action='store_true', help='scale the learning rate with the batch size')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='auto',
        help='go on from this checkpoint, or, without a path, from the latest one in the work dir',
    )
    args = parser.parse_args()
    config = load_config(args)
    if args.amp:
        config.optim_wrapper.type = 'AmpOptimWrapper'
        config.optim_wrapper.loss_scale = 'dynamic'
    if args.auto_scale_lr:
        if 'base_batch_size' not in config.get('auto_scale_lr', {}):
            parser.error('--auto-scale-lr: the config has no auto_scale_lr.base_batch_size')
        config.auto_scale_lr.enable = True
    if args.resume is not None:
        config.resume = True
        config.load_from = None if args.resume == 'auto' else args.resume
    runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
    runner.train()


if __name__ == '__main__':
    main()
