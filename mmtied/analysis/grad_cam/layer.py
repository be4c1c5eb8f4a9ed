"""The layer that Grad-CAM looks at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ..network.layers import convolutions
from ..network.loader import Network


def run_and_find(network: Network, layer: str | None, run: Callable[[], object]) -> tuple[Any, nn.Module]:
    """Run a network, and return what it returns and the layer to look at.

    By default that is the module with convolutions that returns the last of the backbone's maps; where the network is
    whole, the one that is finished last. For a ResNet both are the last stage.

    Raises:
        ValueError: If the network does not run, there is no such layer, or none can be chosen.
    """
    modules = dict(network.backbone.named_modules())
    if layer is not None and layer not in modules:
        names = [name for name in modules if name and name.count('.') < 2]
        raise ValueError(f'{network.name}: no layer is named {layer!r}; there are {", ".join(names)}, and their parts')
    own = convolutions(network)
    holders = [name for name in modules if any(one == name or one.startswith(f'{name}.') for one in own)]
    finished: list[tuple[str, Tensor]] = []
    maps: list[Tensor] = []

    def note(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output[0, 0].numel() > 1:
            finished.append((name, output))

    handles = [
        modules[name].register_forward_hook(lambda module, inputs, output, name=name: note(name, output))
        for name in (holders if layer is None else [layer])
    ]
    if network.backbone is not network.model:
        keep = network.backbone.register_forward_hook(lambda module, inputs, output: maps.append(last_of(output)))
        handles.append(keep)
    try:
        with torch.no_grad():
            output = run()
    except Exception as error:  # Whatever a network cannot take.
        raise ValueError(f'{network.name}: does not run on this image: {type(error).__name__}: {error}') from error
    finally:
        for handle in handles:
            handle.remove()
    if layer is not None:
        if not finished:
            raise ValueError(f'{network.name}: layer {layer} returns no map (N, C, h, w)')
        return output, modules[layer]
    # The images of classifiers are square, and so are maps, but for those with the channels last.
    finished = [
        (name, found)
        for name, found in finished
        if (not maps or found is maps[-1]) and (network.kind == 'detector' or found.shape[2] == found.shape[3])
    ]
    if not finished or finished[-1][0] == own[0]:  # A transformer has one convolution, before all else.
        raise ValueError(
            f'{network.name}: no module with convolutions returns its last maps (N, C, h, w); name a layer that does'
        )
    return output, modules[finished[-1][0]]


def last_of(output: object) -> object:
    """Return the last of several outputs, or the one."""
    return output[-1] if isinstance(output, tuple | list) else output
