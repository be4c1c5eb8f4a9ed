"""Train a small ResNet and its tied form on scikit-learn's digits, and compare the similarity of their filters.

A probe of the method's claim that tied filters are less redundant, of about a minute on a CPU: 1,797 images of 8x8
pixels, enlarged to 32x32, of which every third is left for testing. Nothing is downloaded.
"""

import argparse

import torch

from ..analysis.network.layers import choose_layers
from ..analysis.similarity.measurement import filter_similarity
from ..analysis.similarity.output import as_text, save_similarity
from ..analysis.similarity.probe import NETWORKS, SIZE, accuracy, make_network, read_digits, train
from ..utils.logs import log_warnings_only
from .command import at_least, new_folder

LAYERS = ['layer?.1.exit.conv']


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--epochs', type=at_least(1), default=8, help='of training (default: 8)')
    parser.add_argument(
        '--images', type=at_least(1), default=100, help='test images to average patterns over (default: 100)'
    )
    parser.add_argument(
        '--filters', type=at_least(2), default=64, help='how many of a layer, chosen at random (default: 64)'
    )
    parser.add_argument(
        '--seed',
        type=int,
        default=0,
        help='of the weights, the order of training and the choice of filters (default: 0)',
    )
    parser.add_argument('--out-dir', type=new_folder, required=True, help='folder for the pictures, csv and json')


def main(args: argparse.Namespace) -> None:
    log_warnings_only('probe_similarity')
    pixels, labels = read_digits()
    test = torch.arange(len(pixels)) % 3 == 0
    results = []
    for name in NETWORKS:
        torch.manual_seed(args.seed)
        network = make_network(name)
        train(network, pixels[~test], labels[~test], epochs=args.epochs)
        right = accuracy(network, pixels[test], labels[test])
        parameters = sum(parameter.numel() for parameter in network.backbone.parameters()) / 1e6
        print(f'{name}: {parameters:.2f} M parameters, accuracy {right:.1f}% of {int(test.sum())} test images')
        results.append(
            filter_similarity(
                network,
                choose_layers(network, LAYERS),
                pixels[test][: args.images],
                filters=args.filters,
                batch_size=50,
                seed=args.seed,
                quiet=False,
            )
        )
    print(as_text(results))
    settings = dict(images=min(args.images, int(test.sum())), size=SIZE, filters=args.filters, seed=args.seed)
    print('wrote', *save_similarity(results, settings, args.out_dir))
