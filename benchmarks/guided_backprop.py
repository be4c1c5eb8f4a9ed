#!/usr/bin/env python3
"""Time guided patterns of a layer's filters beside the guided back-propagation of pytorch-grad-cam.

The library takes one image and one filter at a time, with a pass forward for each. The floor is what arithmetic alone
would take: a pass backward to the image has as many multiply-adds as one forward to the layer, which is timed beside.
"""

from __future__ import annotations

import argparse
import csv
import statistics
import sys
import time
from collections.abc import Callable

import torch
from pytorch_grad_cam import GuidedBackpropReLUModel
from torch import Tensor, nn
from tqdm import tqdm

from mmtied.analysis.machine import describe_machine
from mmtied.analysis.network.loader import load_network
from mmtied.analysis.similarity.guided_backprop import guided_patterns

LAYERS = ('layer1.2.conv2', 'layer3.5.conv2', 'layer4.2.conv3')


class Scores(nn.Module):
    """A ResNet of torchvision up to a layer, with the sum of each filter's positive responses."""

    def __init__(self, network: nn.Module, layer: str) -> None:
        super().__init__()
        self.network = network
        network.get_submodule(layer).register_forward_hook(self.keep)

    def keep(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        self.responses = output.clone()

    def forward(self, x: Tensor) -> Tensor:
        self.network(x)
        return (self.responses * (self.responses > 0)).sum((2, 3))


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--batch', type=int, default=8)
    parser.add_argument('--filters', type=int, default=8)
    parser.add_argument('--repeats', type=int, default=5)
    args = parser.parse_args()
    print(f'# {describe_machine("cpu")}, torchvision:resnet50, 224x224, batch {args.batch}, {args.filters} filters')
    table = csv.writer(sys.stdout, lineterminator='\n')
    table.writerow(['layer', 'ms_per_filter_and_image', 'library_ratio', 'floor_ratio'])
    images = torch.randn(args.batch, 3, 224, 224)
    for layer in tqdm(LAYERS, file=sys.stderr):
        table.writerow([layer, *measure(layer, images, filters=args.filters, repeats=args.repeats)])


def measure(layer: str, images: Tensor, filters: int, repeats: int) -> tuple[str, ...]:
    """Time all in turns, and return medians and ratios."""
    network = load_network('torchvision:resnet50').model
    library = GuidedBackpropReLUModel(Scores(load_network('torchvision:resnet50').model, layer))
    runs = (
        lambda: guided_patterns(network, network.get_submodule(layer), batches=[images], filters=range(filters)),
        lambda: library(images[:1].clone(), 0),
        lambda: forward_to(network, layer, images),
    )
    rounds = [[seconds(run) for run in runs] for _ in range(repeats + 1)][1:]
    ours, theirs, forward = (statistics.median(column) for column in zip(*rounds))
    each = ours / filters / len(images)
    return f'{1000 * each:.1f}', f'{theirs / each:.1f}', f'{forward / len(images) / each:.2f}'


def forward_to(network: nn.Module, layer: str, images: Tensor) -> None:
    """Run a network up to a layer."""

    class Reached(Exception):
        pass

    def stop(*_: object) -> None:
        raise Reached

    handle = network.get_submodule(layer).register_forward_hook(stop)
    try:
        with torch.no_grad():
            network(images)
    except Reached:
        pass
    finally:
        handle.remove()


if __name__ == '__main__':
    main()
