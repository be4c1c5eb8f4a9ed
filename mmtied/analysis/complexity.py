"""Parameters and multiply-adds of a network, counted as the published tables count them."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from mmengine.analysis import FlopAnalyzer
from torch import nn

# Norms, activations and pooling are not in the published GMACs.
COUNTED = ('conv', 'linear', 'addmm', 'matmul')


@dataclass(frozen=True)
class Complexity:
    """Trainable parameters, and multiply-adds of convolutions and fully connected layers for one image."""

    parameters: int
    macs: int


def complexity(network: nn.Module, size: tuple[int, int] = (224, 224)) -> Complexity:
    """Count a network on one image of zeros.

    Args:
        network: Takes (1, 3, height, width); a backbone is counted without a head.
        size: Height and width in pixels. Defaults to (224, 224).
    """
    device = next(network.parameters()).device
    analyzer = FlopAnalyzer(copy.deepcopy(network).eval(), torch.zeros(1, 3, *size, device=device))
    counts = analyzer.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
    return Complexity(
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        macs=int(sum(counts[name] for name in COUNTED)),
    )
