"""Guided back-propagation: what in the images a filter responds to.

Springenberg, Dosovitskiy, Brox, Riedmiller: "Striving for Simplicity: The All Convolutional Net", ICLR 2015 workshop,
https://arxiv.org/abs/1412.6806: on its way back a gradient passes a ReLU where the input was positive, as always, and
where it is positive itself.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

RELUS = {F.relu, F.relu_, F.relu6, torch.relu, torch.relu_, Tensor.relu, Tensor.relu_}
CLIPS = {F.hardtanh, F.hardtanh_}  # what ReLU6 as a module calls


class GuidedReLUs(TorchFunctionMode):
    """Let only positive gradients through the ReLUs that run inside the ``with`` block.

    It sees calls, not modules, so the network stays as it is: modules and functions, in place or not.

    Attributes:
        count: How many ReLUs ran.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_function__(self, func: Callable, types, args=(), kwargs=None):
        output = func(*args, **(kwargs or {}))
        lowest = args[1] if len(args) > 1 else (kwargs or {}).get('min_val')
        if func in RELUS or (func in CLIPS and lowest == 0):
            self.count += 1
            if output.requires_grad:
                output.register_hook(lambda gradient: gradient.clamp(min=0))
        return output


def guided_patterns(
    network: nn.Module, layer: nn.Module, batches: Iterable[Tensor], filters: Sequence[int] | np.ndarray
) -> Tensor:
    """Return the patterns of some filters of a layer, averaged over images.

    The pattern of a filter for an image is the guided gradient of the sum of its positive responses with respect to
    the image. (The plain sum would give every pixel of an image the same pattern at the first layer. Which scalar the
    publication takes, it does not say.) One pass backward is made for every filter and batch, with the memory of one
    pass and of the patterns: 4 bytes x 3 H W a filter.

    Args:
        network: Takes the batches; in eval mode.
        layer: A module of the network that returns (N, C, h, w); in several places, the responses are summed.
        batches: Images (N, 3, H, W) as the network takes them.
        filters: Which of the C channels are wanted.

    Returns:
        Patterns (filters, 3, H, W).

    Warns:
        UserWarning: If the network runs no ReLU: its patterns are ordinary gradients then.

    Raises:
        ValueError: If the layer's output does not depend on the images.
    """
    outputs: list[Tensor] = []
    # What comes after the layer may change its output in place.
    handle = layer.register_forward_hook(lambda module, inputs, output: outputs.append(output.clone()))
    sums: Tensor | None = None
    images = 0
    try:
        for batch in batches:
            outputs.clear()
            batch = batch.detach().requires_grad_()
            with torch.enable_grad(), GuidedReLUs() as relus:
                network(batch)
                if not outputs[0].requires_grad:
                    raise ValueError(f"{type(layer).__name__}'s output does not depend on the image")
                scores = sum((output * (output > 0)).sum((0, 2, 3)) for output in outputs)  # (C,)
            if sums is None:
                sums = batch.new_zeros(len(filters), *batch.shape[1:])
            for total, channel in zip(sums, filters):
                (gradient,) = torch.autograd.grad(scores[channel], batch, retain_graph=True)
                total += gradient.sum(0)
            images += len(batch)
    finally:
        handle.remove()
    if not relus.count:
        text = f'{type(network).__name__} runs no ReLU, so that its patterns are ordinary gradients'
        warnings.warn(text, stacklevel=2)
    if sums is None:
        raise ValueError('batches: there are no images')
    return sums / images


def map_widths(network: nn.Module, layers: Mapping[str, nn.Module], images: Tensor) -> dict[str, int]:
    """Return how many channels the maps of layers have.

    Args:
        network: In eval mode.
        layers: Modules of the network by name.
        images: (N, 3, H, H) as the network takes them.

    Raises:
        ValueError: If the network does not take the images, a layer is not reached, or it returns something else than
            maps (N, C, h, h).
    """
    shapes: dict[str, tuple[int, ...] | str] = {}
    handles = [
        layer.register_forward_hook(lambda module, inputs, output, name=name: shapes.update({name: shape_of(output)}))
        for name, layer in layers.items()
    ]
    try:
        with torch.no_grad():
            network(images)
    except Exception as error:  # Whatever a network cannot take.
        size = 'x'.join(map(str, images.shape[2:]))
        raise ValueError(f'does not take images of {size} pixels: {type(error).__name__}: {error}') from error
    finally:
        for handle in handles:
            handle.remove()
    widths = {}
    for name in layers:
        if name not in shapes:
            raise ValueError(f'layer {name}: images do not pass it')
        shape = shapes[name]
        # Of square images only maps with the channels last are not square.
        if not isinstance(shape, tuple) or len(shape) != 4 or shape[2] != shape[3]:
            raise ValueError(f'layer {name}: returns {shape} and not a map (N, C, h, w), so it has no filters')
        widths[name] = shape[1]
    return widths


def shape_of(output: object) -> tuple[int, ...] | str:
    """Return the shape of a tensor, the type of anything else."""
    return tuple(output.shape) if isinstance(output, Tensor) else f'a {type(output).__name__}'
