"""Compare the filters of networks, each with each: by what they respond to in images, and by their weights.

A network is a config file, the name of one of ours, mmpretrain::resnet/resnet50_8xb32_in1k.py, tiedresnet50-s,
torchvision:vgg16 or timm:resnet50. Some filters of every chosen layer are sampled; the similarity of two is the cosine
of their guided back-propagation patterns, averaged over the images, and of their weights.
"""

import argparse
from pathlib import Path

import torch

from ..analysis.images import image_files, read_pixels
from ..analysis.network.arguments import add_networks, load_networks
from ..analysis.network.layers import choose_layers
from ..analysis.similarity.measurement import filter_similarity
from ..analysis.similarity.output import as_text, save_similarity
from ..utils.logs import log_warnings_only
from .command import at_least, new_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_networks(parser)
    parser.add_argument('--image-dir', type=Path, help='folder of images; without it only weights are compared')
    parser.add_argument(
        '--layers',
        nargs='+',
        default=(),
        metavar='PATTERN',
        help="names in the backbone, with *, such as 'layer?.*.conv3' (default: 8 convolutions, evenly spread)",
    )
    parser.add_argument('--images', type=at_least(1), default=100, help='how many, chosen at random (default: 100)')
    parser.add_argument(
        '--filters', type=at_least(2), default=64, help='how many of a layer, chosen at random (default: 64)'
    )
    parser.add_argument(
        '--size', type=at_least(1), default=224, help='pixels of the square cut out of an image (default: 224)'
    )
    parser.add_argument('--batch-size', type=at_least(1), default=8, help='images of a pass (default: 8)')
    parser.add_argument('--seed', type=int, default=0, help='of all that is chosen at random (default: 0)')
    parser.add_argument('--out-dir', type=new_folder, required=True, help='folder for the pictures, csv and json')


def main(args: argparse.Namespace) -> None:
    log_warnings_only('filter_similarity')
    torch.manual_seed(args.seed)
    networks = load_networks(args)
    layers = [choose_layers(network, args.layers) for network in networks]
    pixels = None
    if args.image_dir is not None:
        pixels = read_pixels(image_files(args.image_dir, args.images, args.seed), args.size, quiet=False)
    results = [
        filter_similarity(
            network,
            names,
            pixels,
            filters=args.filters,
            batch_size=args.batch_size,
            seed=args.seed,
            quiet=False,
        )
        for network, names in zip(networks, layers)
    ]
    print(as_text(results))
    images = 0 if pixels is None else len(pixels)
    settings = dict(images=images, size=args.size, filters=args.filters, seed=args.seed)
    print('wrote', *save_similarity(results, settings, args.out_dir))
