"""The machine that an analysis runs on: which device, how runs are timed on it, and what is said of it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor


def milliseconds(run: Callable[[Tensor], Tensor], x: Tensor, backward: bool) -> float:
    """Return the time of one run, with the backward pass of the sum of its output if wanted."""
    return timed(lambda: run_once(run, x, backward), x.device)


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Return the milliseconds that some work on a device takes.

    On CUDA it is the time between two events on the stream, which Python's launching of kernels is part of where these
    are short.
    """
    if device.type != 'cuda':
        start = time.perf_counter()
        work()
        return 1000 * (time.perf_counter() - start)
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    work()
    after.record()
    after.synchronize()
    return before.elapsed_time(after)


def run_once(run: Callable[[Tensor], Tensor], x: Tensor, backward: bool) -> None:
    """Run forward, and backward from the sum of the output if wanted."""
    y = run(x)
    if backward:
        y.sum().backward()


def describe_machine(device: str) -> str:
    """Return processor, threads and versions, for the first line of a result."""
    if torch.device(device).type == 'cuda':
        versions = f'CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}'
        precision = f'TF32 {"on" if torch.backends.cudnn.allow_tf32 else "off"} in convolutions'
        name = f'{torch.cuda.get_device_name(device)}, {versions}, {precision}'
    else:
        name = f'{processor()}, threads: {torch.get_num_threads()}'
    return f'{name}, torch {torch.__version__}'


def processor() -> str:
    """Return the name of the processor, or its architecture where the system does not tell."""
    cpuinfo = Path('/proc/cpuinfo')
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def check_device(device: str) -> None:
    """Raise a ValueError if torch has no such device here."""
    try:
        wanted = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is none that torch knows; 'cpu' and 'cuda' are") from error
    count = torch.cuda.device_count()
    if wanted.type == 'cuda' and (wanted.index or 0) >= count:
        raise ValueError(f'device={device!r}: torch sees {count} CUDA devices here')
