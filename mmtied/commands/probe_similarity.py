#!/usr/bin/env python3
"""Train a small ResNet and its tied form on scikit-learn's digits, and compare the similarity of their filters.

A probe of the method's claim that tied filters are less redundant, of about a minute on a CPU: 1,797 images of 8x8
pixels, enlarged to 32x32, of which every third is left for testing. Nothing is downloaded.
"""

import argparse
import logging

import torch
import torch.nn.functional as F
from command import at_least, new_folder, run
from mmengine.logging import MMLogger
from torch import Tensor, nn
from tqdm import tqdm

from mmtied.analysis.network.layers import choose_layers
from mmtied.analysis.network.load import Network
from mmtied.analysis.similarity.measure import filter_similarity
from mmtied.analysis.similarity.output import as_text, save_similarity
from mmtied.models import TiedResNet

SIZE = 32
UNTIED = dict(splits=1, base_width=64, blocks=(1,), entry_blocks=1, shortcut_blocks=1, mixer='none')
NETWORKS = {'ResNet-26 mini': UNTIED, 'TiedResNet-26 mini': {}}
LAYERS = ['layer?.1.exit.conv']


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--epochs', type=at_least(1), default=8, help='of training (default: 8)')
    parser.add_argument(
        '--images', type=at_least(1), default=100, help='test images to average patterns over (default: 100)'
    )
    parser.add_argument('--filters', type=at_least(2), default=64, help='of a layer, drawn at random (default: 64)')
    parser.add_argument('--seed', type=int, default=0, help='of weights, order and draw (default: 0)')
    parser.add_argument('--out-dir', type=new_folder, required=True, help='folder for the pictures, csv and json')
    return parser.parse_args()


class Classifier(nn.Module):
    """A backbone, the mean over its last maps, and a fully connected layer for ten digits."""

    def __init__(self, backbone: nn.Module, channels: int) -> None:
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(channels, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.backbone(x)[-1].mean((2, 3)))


def read_digits() -> tuple[Tensor, Tensor]:
    """Return pixels (N, 3, 32, 32) from 0 to 255 and labels (N,)."""
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise ValueError(
            'the digits come with scikit-learn, which is not installed: pip install scikit-learn'
        ) from error
    digits = load_digits()
    pixels = torch.from_numpy(digits.images * (255 / 16)).float()[:, None]
    pixels = F.interpolate(pixels, (SIZE, SIZE), mode='bilinear')
    return pixels.round().byte().expand(-1, 3, -1, -1), torch.from_numpy(digits.target)


def train(network: Network, pixels: Tensor, labels: Tensor, epochs: int) -> None:
    """Train with AdamW, 64 images a step, and a learning rate that falls along a cosine."""
    model = network.model.train()
    steps = epochs * -(-len(pixels) // 64)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    with tqdm(total=steps, desc=network.name, unit='step') as bar:
        for _ in range(epochs):
            for rows in torch.randperm(len(pixels)).split(64):
                loss = F.cross_entropy(model(network.normalise(pixels[rows])), labels[rows])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
                bar.set_postfix(loss=f'{float(loss.detach()):.3f}')
                bar.update()
    model.eval()


def main() -> None:
    args = parse_args()
    # Initialising writes a line for every tensor, which belongs into a training log.
    MMLogger.get_instance('probe_similarity', log_level=logging.WARNING)
    pixels, labels = read_digits()
    test = torch.arange(len(pixels)) % 3 == 0
    results = []
    for name, cfg in NETWORKS.items():
        torch.manual_seed(args.seed)
        backbone = TiedResNet(depth=26, base_channels=16, **cfg)
        backbone.init_weights()
        model = Classifier(backbone, channels=16 * 32)
        network = Network(name, 'classifier', model, backbone, (127.5,) * 3, (127.5,) * 3, random=None)
        train(network, pixels[~test], labels[~test], args.epochs)
        with torch.no_grad():
            found = torch.cat([model(network.normalise(batch)).argmax(1) for batch in pixels[test].split(64)])
        accuracy = 100 * float((found == labels[test]).float().mean())
        parameters = sum(parameter.numel() for parameter in backbone.parameters()) / 1e6
        print(f'{name}: {parameters:.2f} M parameters, accuracy {accuracy:.1f}% of {int(test.sum())} test images')
        layers = choose_layers(network, LAYERS)
        chosen = pixels[test][: args.images]
        results.append(filter_similarity(network, layers, chosen, args.filters, 50, args.seed, quiet=False))
    print(as_text(results))
    settings = dict(images=min(args.images, int(test.sum())), size=SIZE, filters=args.filters, seed=args.seed)
    print('wrote', *save_similarity(results, settings, args.out_dir))


if __name__ == '__main__':
    run(main)
