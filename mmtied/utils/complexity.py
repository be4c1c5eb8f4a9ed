"""Parameters and multiply-adds of a network, counted as the published tables count them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

# Height and width of one image of zeros, or a function that runs the network once.
Run = tuple[int, int] | Callable[[nn.Module], object]


@dataclass(frozen=True)
class Complexity:
    """What :func:`complexity` counts.

    Attributes:
        parameters: Trainable parameters.
        macs: Multiply-adds for one image.
    """

    parameters: int
    macs: int


def complexity(network: nn.Module, run: Run = (224, 224)) -> Complexity:
    """Count a network.

    Multiply-adds are those of convolutions, fully connected layers and products of matrices; norms, activations and
    pooling are not counted, as in the published GMACs.

    Args:
        network: Takes (1, 3, height, width); a backbone is counted without a head.
        run: Height and width in pixels, or a function that runs a network once, for those that take something else:
            ``lambda detector: detector.predict(images, samples)``. Defaults to (224, 224).

    Raises:
        ValueError: If the network does not run.

    Example:
        >>> from torch import nn
        >>> from mmtied.analysis import complexity
        >>> complexity(nn.Conv2d(3, 8, 3, padding=1), (16, 16))
        Complexity(parameters=224, macs=55296)
    """
    return Complexity(
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
        macs=macs_by_module(network, run)[''],
    )


class Counted(nn.Module):
    """A root above the network, since the counter names modules from the one that is called first."""

    def __init__(self, network: nn.Module, run: Run) -> None:
        super().__init__()
        self.network, self.run = network, run

    def forward(self) -> None:
        if callable(self.run):
            self.run(self.network)
        else:
            like = next(self.network.parameters())
            self.network(torch.zeros(1, 3, *self.run, device=like.device, dtype=like.dtype))


def macs_by_module(network: nn.Module, run: Run = (224, 224)) -> dict[str, int]:
    """Return the multiply-adds of every module that has some, by its name; '' is the network itself.

    Args:
        network, run: As in :func:`complexity`.

    Raises:
        ValueError: If the network does not run.
    """
    # The counter would want gradients of parameters that require them.
    network = copy.deepcopy(network).requires_grad_(False)
    network.eval()  # Not chained: mmdet's backbones return None.
    if not callable(run):
        # Shapes alone are enough, unless the network looks at values.
        with suppress(Exception):
            return _counted(copy.deepcopy(network).to('meta'), run)
    try:
        return _counted(network, run)
    except Exception as error:
        how = 'by its function' if callable(run) else f'on one image of zeros of {run}'
        raise ValueError(
            f'{type(network).__name__} does not run {how}, so it cannot be counted: {error!r}; a function can be '
            'given in place of the size'
        ) from error


def _counted(network: nn.Module, run: Run) -> dict[str, int]:
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        Counted(network, run)()
    counts = {
        name.removeprefix('Counted.network').removeprefix('.'): sum(flops.values()) // 2
        for name, flops in counter.get_flop_counts().items()
        if name.startswith('Counted.network')
    }
    counts[''] = counter.get_total_flops() // 2
    # The counter knows a module in several places by one of its names.
    names: dict[nn.Module, list[str]] = {}
    for name, module in network.named_modules(remove_duplicate=False):
        names.setdefault(module, []).append(name)
    return {name: counts[one] for same in names.values() for one in same if one in counts for name in same}
