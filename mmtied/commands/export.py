"""Export a network as an ONNX file, in its deployed form: tied layers as grouped ones, norms folded.

Backbones, classifiers, and of detectors of one stage, such as RetinaNet, the dense part: the maps of its head, before
boxes are decoded and suppressed.
"""

import argparse
import sys
from pathlib import Path

from ..analysis.network.loader import load_network
from ..deploy.onnx import OPSETS, export_onnx
from ..utils.errors import InputError
from ..utils.logs import log_warnings_only


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help="config file, a config's or a network's name, timm:NAME or torchvision:NAME")
    parser.add_argument('checkpoint', nargs='?', help='checkpoint file (default: random weights)')
    parser.add_argument('out', type=Path, metavar='OUT.onnx', help='file to write')
    parser.add_argument(
        '--size', type=int, nargs=2, default=(224, 224), metavar=('H', 'W'), help='of the image (default: 224 224)'
    )
    parser.add_argument(
        '--opset',
        type=int,
        choices=range(OPSETS[0], OPSETS[1] + 1),
        default=17,
        metavar='N',
        help='11 to 20 (default: 17)',
    )
    parser.add_argument('--dynamic', action='store_true', help='leave number of images, height and width open')


def main(args: argparse.Namespace) -> None:
    log_warnings_only('export')
    if args.out.suffix != '.onnx':
        raise InputError(f'{args.out} must end in .onnx')
    network = load_network(args.config, args.checkpoint)
    if network.kind == 'detector':
        from mmdet.models import SingleStageDetector

        if not isinstance(network.model, SingleStageDetector):
            raise InputError(
                f'{network.name} is a {type(network.model).__name__}, whose second stage looks at the boxes of the '
                'first: export its backbone by name, such as tiedresnet50'
            )
    off = export_onnx(
        network.model,
        args.out,
        kind=network.kind,
        size=tuple(args.size),
        opset=args.opset,
        dynamic=args.dynamic,
    )
    checked = (
        'not compared: onnxruntime is not installed'
        if off is None
        else f'at most {off:.1e} of the largest output from PyTorch'
    )
    print(f'wrote {args.out}: {network.title}, {checked}', file=sys.stderr)
