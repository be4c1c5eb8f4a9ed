"""Test a detector or classifier: mmdet's `tools/test.py`, with the same arguments."""

import argparse

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmengine.model import is_model_wrapper
from mmengine.runner import CheckpointLoader
from torch import nn

from ..utils.checkpoints import checkpoint_tensors, matching
from ..utils.errors import InputError
from .command import UsageError
from .command_line import BAD_INPUT, add_config_arguments, build_runner, load_config, wrong_is_input

__all__ = ['BAD_INPUT', 'add_arguments', 'main']
SHOWS_WARNINGS_WHOLE = True


def refuse_other_networks(model: nn.Module, checkpoint: str) -> None:
    """Raise an error if tensors of the model are not in the checkpoint, which mmengine only logs."""
    if is_model_wrapper(model):
        model = model.module
    own = model.state_dict()
    with wrong_is_input(checkpoint):
        content = CheckpointLoader.load_checkpoint(checkpoint, map_location='cpu')
        found = matching(model, checkpoint_tensors(content))
    missing = [name for name in own if name not in found]
    if missing:
        raise InputError(
            f'{checkpoint} holds {len(found)} of the {len(own)} tensors of the model, not {missing[0]}: it is '
            "another network's"
        )


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='pickle file for the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder in WORK_DIR/TIMESTAMP for images with the predictions drawn')
    parser.add_argument(
        '--deploy', action='store_true', help='test the form that costs least: grouped layers, norms folded'
    )
    parser.add_argument('--wait-time', type=float, default=2, help='seconds between shown images (default: 2)')


def main(args: argparse.Namespace) -> None:
    if args.out is not None and not args.out.endswith(('.pkl', '.pickle')):
        raise UsageError(f'--out={args.out} must end in .pkl or .pickle')
    config = load_config(args)
    config.load_from = args.checkpoint
    if config.get('default_scope') == 'mmpretrain':
        # Its hook of the same place has other arguments.
        hook = config.default_hooks.visualization
        hook.update(enable=bool(args.show or args.show_dir), show=args.show, wait_time=args.wait_time)
        hook.out_dir = args.show_dir
    elif args.show or args.show_dir:
        config = trigger_visualization_hook(config, args)
    if args.deploy:
        config.custom_hooks = [*config.get('custom_hooks', []), dict(type='mmtied.DeployHook')]
    runner = build_runner(config, args, 'test_loop')
    refuse_other_networks(runner.model, args.checkpoint)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    runner.test()
