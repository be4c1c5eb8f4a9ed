"""Test a detector or classifier: mmdet's `tools/test.py`, with the same arguments."""

import argparse
from copy import deepcopy

from mmdet.engine.hooks.utils import trigger_visualization_hook
from mmdet.evaluation import DumpDetResults
from mmengine.config import Config, ConfigDict
from mmengine.model import BaseTTAModel, is_model_wrapper
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
    model = innermost(model)
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


def innermost(model: nn.Module) -> nn.Module:
    """Return the network without what distributes it and what augments its images."""
    while is_model_wrapper(model) or isinstance(model, BaseTTAModel):
        model = model.module
    return model


def augment(config: Config) -> None:
    """Test on augmented images, merged: as the config says, or on each image and its mirror image, as mmdet does."""
    classifies = config.get('default_scope') == 'mmpretrain'
    dataset = config.test_dataloader.dataset
    while 'pipeline' not in dataset:
        dataset = dataset.dataset
    if 'tta_model' not in config:
        boxes = dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100)
        config.tta_model = dict(type='AverageClsScoreTTA') if classifies else dict(type='DetTTAModel', tta_cfg=boxes)
    if 'tta_pipeline' not in config:
        *first, pack = deepcopy(dataset.pipeline)
        if not classifies:
            # How an image is flipped must be known, to flip the boxes back.
            keys = pack.get('meta_keys', ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))
            pack.meta_keys = (*keys, 'flip', 'flip_direction')
        flips = [dict(type='RandomFlip', prob=1.0), dict(type='RandomFlip', prob=0.0)]
        config.tta_pipeline = [*first, dict(type='TestTimeAug', transforms=[flips, [pack]])]
    if 'data_preprocessor' in config:
        config.model.setdefault('data_preprocessor', config.data_preprocessor)
    config.model = ConfigDict(**config.tta_model, module=config.model)
    dataset.pipeline = config.tta_pipeline


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config_arguments(parser)
    parser.add_argument('checkpoint', help='checkpoint file')
    parser.add_argument('--out', help='pickle file for the predictions')
    parser.add_argument('--show', action='store_true', help='show the predictions in a window')
    parser.add_argument('--show-dir', help='folder in WORK_DIR/TIMESTAMP for images with the predictions drawn')
    parser.add_argument(
        '--deploy', action='store_true', help='test the form that costs least: grouped layers, norms folded'
    )
    parser.add_argument(
        '--tta',
        action='store_true',
        help="test on augmented images and merge: the config's tta_model and tta_pipeline, or mirror images; boxes and "
        'classes alone, as mmdet has no masks there',
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
    if args.tta:
        with wrong_is_input(f'{args.config}: --tta'):
            augment(config)
    if args.deploy:
        config.custom_hooks = [*config.get('custom_hooks', []), dict(type='mmtied.DeployHook')]
    runner = build_runner(config, args, 'test_loop')
    if args.tta and getattr(innermost(runner.model), 'with_mask', False):
        raise InputError("--tta: the detector finds masks, and mmdet's test-time augmentation merges boxes alone")
    refuse_other_networks(runner.model, args.checkpoint)
    if args.out is not None:
        runner.test_evaluator.metrics.append(DumpDetResults(out_file_path=args.out))
    runner.test()
