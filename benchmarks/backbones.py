#!/usr/bin/env python3
"""Time a training step of backbones beside ResNet-50, and count what autograd keeps for the backward pass.

Networks are timed in turns, so that drift cancels; figures are medians of the better of two memory layouts. The ratio
of multiply-adds stands beside: the floor, if time went by arithmetic alone.
"""

from __future__ import annotations

import argparse
import csv
import statistics
from pathlib import Path

import torch
from networks import BASE, NETWORKS, build
from torch import Tensor, nn
from tqdm import tqdm

from mmtied.analysis.machine import describe_machine, milliseconds
from mmtied.utils.complexity import complexity
from mmtied.utils.files import written_aside
from mmtied.utils.logs import log_warnings_only

LAYOUTS = {'contiguous': torch.contiguous_format, 'channels_last': torch.channels_last}
COLUMNS = ['network', 'layout', 'ms', 'ratio', 'best ratio', 'MACs ratio', 'kept MiB', 'kept ratio']


def kept(network: nn.Module, images: Tensor) -> float:
    """Return how many MiB autograd keeps between the passes, beside parameters and buffers."""
    own = {tensor.untyped_storage().data_ptr() for tensor in (*network.parameters(), *network.buffers())}
    storages = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        network(images)
    return sum(storages.values()) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--device', default='cuda' if torch.cuda.is_available() else 'cpu')
    parser.add_argument('--batch', type=int, default=4)
    parser.add_argument('--size', type=int, default=224, help='height and width of the images (default: 224)')
    parser.add_argument('--repeats', type=int, default=7)
    parser.add_argument('--networks', nargs='+', choices=NETWORKS, default=list(NETWORKS), help='default: all')
    parser.add_argument('--out', type=Path, default=Path('benchmarks/results/backbones_cpu.csv'))
    args = parser.parse_args()
    log_warnings_only('backbones')
    names = [BASE, *(name for name in args.networks if name != BASE)]
    networks = {name: build(name).to(args.device) for name in names}
    macs = {name: complexity(network, (224, 224)).macs for name, network in networks.items()}
    for network in networks.values():
        network.train()
    images = torch.randn(args.batch, 3, args.size, args.size, device=args.device)
    memory = {name: kept(network, images) for name, network in networks.items()}
    medians = {}
    for layout, memory_format in LAYOUTS.items():
        for network in networks.values():
            network.to(memory_format=memory_format)
        x = images.contiguous(memory_format=memory_format)
        rounds = [
            {name: milliseconds(lambda x, one=one: one(x)[-1], x, backward=True) for name, one in networks.items()}
            for _ in tqdm(range(args.repeats + 1), desc=layout)
        ][1:]
        medians |= {(name, layout): statistics.median(turn[name] for turn in rounds) for name in names}
    best = {name: min(medians[name, layout] for layout in LAYOUTS) for name in names}
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with written_aside(args.out) as part, part.open('w', newline='') as file:
        file.write(f'# {describe_machine(args.device)}, batch {args.batch}, {args.size}x{args.size}\n')
        table = csv.writer(file, lineterminator='\n')
        table.writerow(COLUMNS)
        for (name, layout), time in medians.items():
            ratios = (time / medians[BASE, layout], best[name] / best[BASE], macs[name] / macs[BASE])
            row = [name, layout, f'{time:.0f}', *(f'{ratio:.3f}' for ratio in ratios)]
            table.writerow([*row, f'{memory[name]:.0f}', f'{memory[name] / memory[BASE]:.3f}'])
    print(args.out.read_text(), end='')


if __name__ == '__main__':
    main()
