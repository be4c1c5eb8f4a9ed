"""Which layers of a network are looked at: convolutions by name, and how deep they lie."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import torch
from torch import nn

from .loader import Network

SPREAD = 8  # layers


def convolutions(network: Network) -> list[str]:
    """Return the names of all 2D convolutions of the backbone, in the order in which it defines them."""
    return [name for name, module in network.backbone.named_modules() if isinstance(module, nn.Conv2d)]


def depth(layer: str, order: Sequence[str]) -> float:
    """Return where a layer stands among the convolutions, from 0, the first, to 1, the last.

    A module that holds convolutions, such as a stage, is as deep as its last one.
    """
    index = max(i for i, name in enumerate(order) if name == layer or name.startswith(f'{layer}.'))
    return index / max(1, len(order) - 1)


def choose_layers(network: Network, patterns: Sequence[str] = ()) -> list[str]:
    """Return the names of chosen layers of the backbone, from the first to the last.

    Args:
        network: Where to look.
        patterns: Names with ``*``, ``?`` and ``[…]``. They stand for the convolutions that they match; one that
            matches none for the modules that hold convolutions, such as blocks and stages. Defaults to none: 8
            convolutions from the first to the last, evenly spread.

    Raises:
        ValueError: If a pattern matches nothing.
    """
    own = convolutions(network)
    if not patterns:
        indices = torch.linspace(0, len(own) - 1, min(SPREAD, len(own))).round().int().tolist()
        return [own[index] for index in indices]
    parents = {name[:end] for name in own for end in range(len(name)) if name[end] == '.'}
    every = [name for name, _ in network.backbone.named_modules() if name in parents or name in own]
    chosen = set()
    for pattern in patterns:
        fits = [name for name in own if fnmatchcase(name, pattern)]
        fits = fits or [name for name in every if fnmatchcase(name, pattern)]
        if not fits:
            raise ValueError(
                f'{network.name}: no convolution is named {pattern!r}, and no module that holds some; '
                f'its convolutions are {", ".join(own)}'
            )
        chosen.update(fits)
    return sorted(chosen, key=lambda name: (depth(name, own), every.index(name)))
