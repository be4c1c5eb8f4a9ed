"""Make a warm start for a tied backbone from the checkpoint of an ordinary ResNet, ResNeXt or SE network.

The names are those of torchvision, timm, mmdet or mmpretrain. Weights whose shapes fit are projected onto the tied
ones, the rest is initialised; the head, and whatever else is not the backbone's, is carried over. Widths decide what
fits: TiedResNet-50 takes ResNeXt-50-32x4d and Wide ResNet-50-2, TiedResNeXt-101 takes ResNeXt-101-32x8d. What is tied
already, by our names or those of the layers that the authors published, is taken as it is.
"""

import argparse
from pathlib import Path

import torch
from torch import nn

from .. import __version__
from ..models import VARIANTS, split_checkpoint, warm_start
from ..utils.checkpoints import read_checkpoint
from ..utils.files import written_aside
from ..utils.logs import log_warnings_only
from ..zoo import build_backbone


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'config', help=f'config whose backbone is filled, by path or name, or one of {", ".join(VARIANTS)}'
    )
    parser.add_argument('source', type=Path, help='checkpoint of the ordinary network')
    parser.add_argument('out', type=Path, help='checkpoint to write')
    parser.add_argument('--list', action='store_true', help='print where each tensor came from')


def load(path: Path, backbone: nn.Module) -> tuple[dict, dict, str]:
    """Return the backbone's tensors and the others of a checkpoint, and the prefix of the first."""
    content = read_checkpoint(path)
    try:
        return split_checkpoint(content, backbone)
    except ValueError as error:
        raise ValueError(f'{path}: not a checkpoint: {error}') from error


def main(args: argparse.Namespace) -> None:
    log_warnings_only('convert_weights')
    if args.out.resolve() == args.source.resolve():
        raise ValueError(f'{args.out}: is the source, which is not overwritten')
    backbone = build_backbone(args.config)
    source, others, prefix = load(args.source, backbone)
    if prefix not in ('', 'backbone.'):
        print(f'read what stands below {prefix}')
    result = warm_start(backbone, source)
    state = {f'backbone.{name}': value for name, value in backbone.state_dict().items()} | others
    meta = dict(mmtied_version=__version__, source=args.source.name, tensors=result.tensors)
    with written_aside(args.out) as part:
        torch.save(dict(meta=meta, state_dict=state), part)
    if args.list:
        for name, how in result.tensors.items():
            print(f'{how:>11}  {name}')
    print(result)
    if 2 * result.counts['initialised'] > len(result.tensors):
        print('warning: most of the network starts at random; docs/tying.md says which networks fit which')
    print(f'carried over: {", ".join(others) or "nothing else"}')
    print(f'wrote {args.out}; a config loads it by')
    print(f"    init_cfg=dict(type='Pretrained', checkpoint='{args.out}', prefix='backbone.')")
