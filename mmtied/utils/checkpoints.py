"""Checkpoints: those of mmengine's runner load with torch's safe loading on, and what is read of any.

Since torch 2.6, ``torch.load`` refuses every class and function that is not on its list. A runner's checkpoint holds,
besides tensors, its log: mmengine's history buffers of numpy arrays. They only hold data, so they are put on the list,
and loading stays safe for everything else.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.utils import digit_version
from torch import Tensor, nn

STATISTICS = ('min', 'max', 'mean', 'current')
ANNEALING = ('_annealing_cos', '_annealing_linear')
DTYPES = ('?', 'i1', 'i2', 'i4', 'i8', 'u1', 'u2', 'u4', 'u8', 'f2', 'f4', 'f8')


class OneCycle:
    """Stands in for mmengine's one-cycle scheduler, whose state refers to its function of annealing."""


def attribute(owner: type, name: str) -> Callable:
    """Stand in for ``getattr``, by which methods are pickled, and get nothing but those that a runner refers to."""
    if owner is HistoryBuffer and name in STATISTICS:
        return getattr(HistoryBuffer, name)
    if owner is OneCycle and name in ANNEALING:
        from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

        return getattr(OneCycleParamScheduler, name)
    raise UnpicklingError(f'getattr({owner!r}, {name!r}) is not allowed in a checkpoint')


def allow_runner_checkpoints() -> None:
    """Put what mmengine's runner writes on the list of torch's safe loading.

    And the command line, which the training scripts of torchvision and timm save beside the weights: it only holds
    values.
    """
    if digit_version(torch.__version__) < digit_version('2.6'):
        return  # There these checkpoints load, and the list does not take a stand-in.
    # Numpy renamed its core package; a checkpoint names these functions by the place they had when it was written.
    reconstruct, scalar = np.empty(0).__reduce__()[0], np.float64(0).__reduce__()[0]
    torch.serialization.add_safe_globals(
        [
            HistoryBuffer,
            (attribute, 'builtins.getattr'),
            (OneCycle, 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'),
            argparse.Namespace,
            np.ndarray,
            np.dtype,
            *(type(np.dtype(name)) for name in DTYPES),
            *((reconstruct, f'numpy.{core}.multiarray._reconstruct') for core in ('core', '_core')),
            *((scalar, f'numpy.{core}.multiarray.scalar') for core in ('core', '_core')),
        ]
    )


def read_checkpoint(path: str | Path) -> Any:
    """Return what a checkpoint holds, on the CPU; only data is loaded, never code.

    Args:
        path: What ``torch.save`` wrote, or a ``.safetensors`` file.

    Raises:
        ValueError: If it is not there, is no checkpoint, or holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'{path}: no such checkpoint')
    try:
        if path.suffix == '.safetensors':
            from safetensors.torch import load_file

            return load_file(path)
        return torch.load(path, map_location='cpu', weights_only=True)
    except UnpicklingError as error:  # Its text advises to load unsafely.
        raise ValueError(f'{path}: not a checkpoint, or one that holds more than tensors and plain values') from error
    except Exception as error:  # Files that are none fail in many ways.
        reason = str(error).partition('\n')[0]
        raise ValueError(f'{path}: not a checkpoint: {type(error).__name__}: {reason}') from error


def checkpoint_tensors(content: Mapping) -> dict[str, Tensor]:
    """Return the tensors by name of what a checkpoint loads as: a state dict, or a mapping that has one."""
    for key in ('state_dict', 'model'):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    state = content if isinstance(content, Mapping) else {}
    return {name.removeprefix('module.'): value for name, value in state.items() if isinstance(value, Tensor)}


def matching(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that have a name and shape of the network's."""
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    return {name: value for name, value in tensors.items() if shapes.get(name) == value.shape}
