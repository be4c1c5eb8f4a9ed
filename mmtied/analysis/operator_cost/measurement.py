"""What standard, group and tied block convolution cost over B, at equal FLOPs (Fig. 3): time and memory."""

from __future__ import annotations

import ctypes
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from ...layers import TiedConv2d
from ..machine import check_device, milliseconds, run_once

CHANNELS, SIZE = 2048, 56  # of the published feature map
BLOCKS = (1, 2, 4, 8, 16, 32)
PASSES = ('forward', 'forward+backward')
WARM_UP = 3  # rounds
MB = 2**20


@dataclass(frozen=True)
class Operator:
    """One operator: a layer, and the function that is timed."""

    name: str
    blocks: int
    layer: nn.Conv2d
    run: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class OperatorCost:
    """What one pass of an operator costs.

    Attributes:
        operator: 'standard', 'group', or 'tied' in the form that folds the blocks into the batch, or that repeats the
            filters in a group convolution (:class:`~mmtied.layers.TiedConv2d` takes the one that suits the device).
        blocks: B; the groups of the group convolution.
        direction: 'forward' or 'forward+backward', which has the gradients of input and weights.
        filters: Output channels.
        parameters: Of the layer.
        gmacs: Multiply-adds in 10^9, equal for all but for rounding.
        ms: Median time.
        mb: Highest memory above that of input and weights, in 2^20 bytes; None where it cannot be told.
    """

    operator: str
    blocks: int
    direction: str
    filters: int
    parameters: int
    gmacs: float
    ms: float
    mb: float | None


def make_operators(channels: int, filters: int, kernel: int, blocks: Sequence[int], device: str) -> list[Operator]:
    """Return the operators for every B: ``filters`` times B output channels keep the FLOPs equal."""
    operators = []
    for b in blocks:
        shape: dict[str, Any] = dict(in_channels=channels, out_channels=filters * b, kernel_size=kernel)
        shape |= dict(padding=kernel // 2, bias=False, device=device)
        if b == 1:
            layer = nn.Conv2d(**shape)
            operators.append(Operator('standard', b, layer=layer, run=layer))
            continue
        layer = nn.Conv2d(**shape, groups=b)
        operators.append(Operator('group', b, layer=layer, run=layer))
        layer = TiedConv2d(**shape, blocks=b)
        operators.append(Operator('tied, blocks folded', b, layer=layer, run=layer.fold_blocks))
        operators.append(Operator('tied, filters repeated', b, layer=layer, run=layer.repeat_filters))
    return operators


def operator_costs(
    channels: int = CHANNELS,
    size: int = SIZE,
    filters: int | None = None,
    kernel: int = 3,
    blocks: Sequence[int] = BLOCKS,
    batch: int = 1,
    repeats: int = 15,
    device: str = 'cpu',
    quiet: bool = True,
) -> list[OperatorCost]:
    """Time the operators in turns, so that drift hits all alike, and measure their memory.

    Args:
        channels: Of the input, divisible by every B. Defaults to 2048, as published.
        size: Height and width of the input. Defaults to 56, as published.
        filters: Output channels at B = 1. Defaults to 1 for every 32 input channels. The publication does not say.
        kernel: Its size, an odd number. Defaults to 3. The publication does not say.
        blocks: The B that are tried, 1 among them. Defaults to 1, 2, 4, 8, 16, 32.
        batch: Images. Defaults to 1.
        repeats: Rounds that are timed, after 3 that are not. Defaults to 15.
        device: 'cpu' or 'cuda'. Defaults to 'cpu'.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        ValueError: If a B does not divide the channels, an argument is out of range, or there is no such device.
    """
    filters = max(1, channels // 32) if filters is None else filters
    check_shape(channels, size, filters=filters, kernel=kernel, blocks=blocks, batch=batch, repeats=repeats)
    check_device(device)
    operators = make_operators(channels, filters, kernel=kernel, blocks=sorted(set(blocks)), device=device)
    x = torch.randn(batch, channels, size, size, device=device)
    runs = [(operator, direction) for direction in PASSES for operator in operators]
    with tqdm(total=(WARM_UP + 1 + repeats) * len(runs), desc=device, unit='run', disable=quiet) as bar:

        def measure(how: Callable[..., float | None]) -> list[float | None]:
            """Measure every run once."""
            found = []
            for operator, direction in runs:
                backward = direction != 'forward'
                x.requires_grad_(backward)
                with torch.set_grad_enabled(backward):
                    found.append(how(operator.run, x, backward))
                x.grad = operator.layer.weight.grad = None
                bar.update()
            return found

        for _ in range(WARM_UP):
            measure(milliseconds)
        memory = measure(peak_memory)
        rounds = [measure(milliseconds) for _ in range(repeats)]
    macs = batch * size**2 * channels * filters * kernel**2
    return [
        OperatorCost(
            operator=operator.name,
            blocks=operator.blocks,
            direction=direction,
            filters=filters * operator.blocks,
            parameters=operator.layer.weight.numel(),
            gmacs=macs / 1e9,
            ms=statistics.median(times),
            mb=highest,
        )
        for (operator, direction), highest, times in zip(runs, memory, zip(*rounds))
    ]


def check_shape(
    channels: int, size: int, filters: int, kernel: int, blocks: Sequence[int], batch: int, repeats: int
) -> None:
    """Raise a ValueError if no operators can be made of the arguments of :func:`operator_costs`."""
    for name, value in dict(channels=channels, size=size, filters=filters, batch=batch, repeats=repeats).items():
        if value < 1:
            raise ValueError(f'{name}={value} must be at least 1')
    if kernel % 2 == 0 or kernel < 1:
        raise ValueError(f'kernel={kernel} must be odd')
    wrong = [b for b in blocks if b < 1 or channels % b]
    if wrong or 1 not in blocks:
        raise ValueError(f'blocks={list(blocks)} must have 1, and divide the {channels} channels')


def peak_memory(run: Callable[[Tensor], Tensor], x: Tensor, backward: bool) -> float | None:
    """Run once, and return by how many MB the memory rose at most; None where the system does not tell.

    On CUDA it is what torch allocates. On the CPU it is the process's resident memory, workspaces included, as Linux
    tells it to a tenth of a MB.
    """
    if x.is_cuda:
        torch.cuda.reset_peak_memory_stats(x.device)
        before = torch.cuda.memory_allocated(x.device)
        run_once(run, x, backward)
        return (torch.cuda.max_memory_allocated(x.device) - before) / MB
    try:
        ctypes.CDLL(None).malloc_trim(0)  # else what was freed before could be taken again unseen
        Path('/proc/self/clear_refs').write_text('5')  # the highest is now the present
    except (OSError, AttributeError):
        run_once(run, x, backward)
        return None
    before = resident('VmRSS')
    run_once(run, x, backward)
    return (resident('VmHWM') - before) / 1024


def resident(key: str) -> int:
    """Return the present (VmRSS) or highest (VmHWM) resident memory of the process in KB."""
    lines = Path('/proc/self/status').read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key))
