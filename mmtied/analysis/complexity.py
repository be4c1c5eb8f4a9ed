"""Parameters and multiply-adds of a network, counted as the published tables count them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Complexity:
    """Trainable parameters, and multiply-adds of convolutions and fully connected layers for one image."""

    parameters: int
    macs: int


def complexity(network: nn.Module, size: tuple[int, int] = (224, 224)) -> Complexity:
    """Count a network on one image of zeros.

    Norms, activations and pooling are not counted, as in the published GMACs.

    Args:
        network: Takes (1, 3, height, width); a backbone is counted without a head.
        size: Height and width in pixels. Defaults to (224, 224).
    """
    return Complexity(
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        macs=macs_by_module(network, size)[''],
    )


def macs_by_module(network: nn.Module, size: tuple[int, int] = (224, 224)) -> dict[str, int]:
    """Return the multiply-adds of every module on one image of zeros, by its name; '' is the network itself."""
    device = next(network.parameters()).device
    network = copy.deepcopy(network)
    network.eval()  # Not chained: mmdet's backbones return None.
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, *size, device=device))
    root = type(network).__name__
    return {
        name[len(root) :].removeprefix('.'): sum(flops.values()) // 2
        for name, flops in counter.get_flop_counts().items()
        if name.split('.')[0] == root
    }
