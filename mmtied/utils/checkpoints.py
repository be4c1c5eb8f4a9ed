"""Checkpoints: those of mmengine's runner load with torch's safe loading on, and what is read of any.

Since torch 2.6, ``torch.load`` refuses every class and function that is not on its list. A runner's checkpoint holds,
besides tensors, its log: mmengine's history buffers of numpy arrays. They only hold data, so they are put on the list,
and loading stays safe for everything else.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
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
    """Return the tensors of a network by its own names, of whatever a checkpoint of it loads as.

    Args:
        content: A state dict, or a mapping that has one, at 'state_dict' or 'model' or, where there is neither, as its
            only one ('model_ema', …). Names lose what wrappers of torch put before or into them: ``module.`` of DDP and
            averaged models, ``_orig_mod.`` of ``torch.compile``, those of FSDP and of ``checkpoint_wrapper``.

    Returns:
        Tensors by name; none if there are none.

    Raises:
        ValueError: If there are several networks, and none at 'state_dict' or 'model'.
    """
    states = state_dicts(content) if isinstance(content, Mapping) else {}
    if len(states) > 1:
        places = ' and '.join(place.removesuffix('.') for place in states)
        raise ValueError(f"the checkpoint holds {places}: save the one that is meant as its 'state_dict'")
    state = next(iter(states.values()), {})
    names = [name for name, value in state.items() if isinstance(value, Tensor)]
    if any(name.startswith('module.') for name in names):  # An averaged model counts its updates beside it.
        names = [name for name in names if name not in ('n_averaged', 'steps')]
    return {unwrapped(name): state[name] for name in names}


def state_dicts(content: Mapping, place: str = '') -> dict[str, Mapping]:
    """Return the state dict that a mapping is, or those that are in it, by their places."""
    for key in ('state_dict', 'model'):
        if isinstance(content.get(key), Mapping) and (states := state_dicts(content[key], f'{place}{key}.')):
            return states
    inner: dict[str, Mapping] = {}
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Mapping) and 'optim' not in key:
            inner.update(state_dicts(value, f'{place}{key}.'))
    here = sum(isinstance(key, str) and isinstance(value, Tensor) for key, value in content.items())
    # A state of a random generator may stand beside networks, and something else in a network's own.
    return {place: content} if here > max(map(len, inner.values()), default=0) else inner


def unwrapped(name: str) -> str:
    """Return the name that a tensor has without the wrappers of torch."""
    name = re.sub(r'\b(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.', '', name)
    return re.sub(r'^(module\.)+', '', name)


def below(tensors: Mapping[str, Tensor], prefix: str | None) -> dict[str, Tensor]:
    """Return the tensors whose names have a prefix, without it; it may lack the last dot."""
    prefix = prefix or ''
    prefix += '.' if prefix and not prefix.endswith('.') else ''
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def matching(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the tensors that have a name and shape of the network's."""
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    return {name: value for name, value in tensors.items() if shapes.get(name) == value.shape}


def endings(name: str) -> Iterator[tuple[str, str]]:
    """Yield a name cut in two at each dot, the whole of it first: ('', 'a.b.c'), ('a.', 'b.c'), ('a.b.', 'c')."""
    cuts = [0, *(match.end() for match in re.finditer(r'\.', name))]
    return ((name[:cut], name[cut:]) for cut in cuts)


def prefixes_of(network: nn.Module, tensors: Mapping[str, Tensor]) -> list[str]:
    """Return the prefixes below which there are most of a network's tensors: two for 'encoder_q.' and 'encoder_k.'."""
    shapes = {name: value.shape for name, value in network.state_dict().items()}
    found = Counter(
        prefix for name, value in tensors.items() for prefix, rest in endings(name) if shapes.get(rest) == value.shape
    )
    return [prefix for prefix, count in found.items() if count == max(found.values())]
