"""How the benchmarks time a run, and what they say of the machine."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor


def milliseconds(run: Callable[[Tensor], Tensor], x: Tensor, backward: bool) -> float:
    """Return the time of one run, with the backward pass of the sum of its output if wanted."""
    synchronize = torch.cuda.synchronize if x.is_cuda else lambda: None
    synchronize()
    start = time.perf_counter()
    y = run(x)
    if backward:
        y.sum().backward()
    synchronize()
    return 1000 * (time.perf_counter() - start)


def machine(device: str) -> str:
    """Return processor, threads and version, for the first line of a result."""
    name = torch.cuda.get_device_name() if device == 'cuda' else platform.processor() or platform.machine()
    return f'{name}, {torch.get_num_threads()} threads, torch {torch.__version__}'
