"""Checkpoints of the layers that the authors of tied block convolution published, by their names.

https://github.com/frank-xwang/TBC-TiedBlockConvolution has three layers, and no network: each holds an ordinary layer
with the shared weights of one block. The names of that one are all that differs, so weights are taken over as they are.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from ..utils.checkpoints import checkpoint_tensors
from ..utils.words import some
from .tied_conv import TiedConv2d
from .tied_linear import TiedLinear
from .tied_se import TiedSE

# Theirs and ours: TiedBlockConv2d, TFC and TiedSELayer.
NAMES: dict[type[nn.Module], dict[str, str]] = {
    TiedConv2d: {'conv.': ''},
    TiedLinear: {'linear.': ''},
    TiedSE: {'fc.0.': 'squeeze.', 'fc.2.': 'excite.'},
}


def own_names(network: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors by the names of a network, where some have those of the published layers.

    Args:
        network: With tied layers; the names in front of a layer's are the network's own.
        tensors: By either name.

    Raises:
        ValueError: If one is of a convolution with both groups and blocks, whose channels have another order there.
    """
    renamed: dict[str, str] = {}
    for layer, module in network.named_modules():
        place = f'{layer}.' if layer else ''
        pairs = [pair for cls, names in NAMES.items() if isinstance(module, cls) for pair in names.items()]
        for theirs, ours in pairs:
            names = {f'{place}{theirs}{tensor}': f'{place}{ours}{tensor}' for tensor in ('weight', 'bias')}
            renamed.update({name: own for name, own in names.items() if name in tensors and own not in tensors})
            if isinstance(module, TiedConv2d) and module.groups > 1 and module.blocks > 1 and names.keys() & renamed:
                raise ValueError(
                    f'{layer or "the layer"}: with groups={module.groups} and B={module.blocks}, the published layer '
                    'has the groups inside of its blocks, TiedConv2d the blocks inside of its groups (Eq. 4): the same '
                    'weights compute something else'
                )
    return {renamed.get(name, name): value for name, value in tensors.items()}


def load_published(network: nn.Module, checkpoint: Mapping) -> None:
    """Load a checkpoint of a network that was built from the layers that the authors published.

    The network has our layers in the places of theirs: ``TiedConv2d`` of ``TiedBlockConv2d``, ``TiedLinear`` of
    ``TFC``, ``TiedSE`` of ``TiedSELayer``; all other names are the same.

    Args:
        network: It is loaded whole.
        checkpoint: What ``torch.load`` returns: a state dict, or a mapping that has one.

    Raises:
        ValueError: If a tensor is missing, left over or of another shape, as with another B, or the layer is a
            convolution with both groups and blocks; the network is unchanged then.

    Example:
        >>> import torch
        >>> from mmtied.layers import TiedConv2d, load_published
        >>> layer = TiedConv2d(8, 8, 3, bias=False, blocks=4)
        >>> load_published(layer, {'conv.weight': torch.ones(2, 2, 3, 3)})
        >>> layer.weight.sum().item()
        36.0
    """
    tensors = own_names(network, checkpoint_tensors(checkpoint))
    own = network.state_dict()
    wrong = [f'{name} is missing' for name in own if name not in tensors and not name.endswith('num_batches_tracked')]
    wrong += [f'{name} has no place' for name in tensors if name not in own]
    wrong += [
        f'{name} is {tuple(tensors[name].shape)}, not {tuple(own[name].shape)}'
        for name in own
        if name in tensors and tensors[name].shape != own[name].shape
    ]
    if wrong:
        raise ValueError(
            f'load_published: {len(wrong)} tensors of {type(network).__name__} do not fit: {some(wrong, 3, "; ")}'
        )
    network.load_state_dict(tensors, strict=False)
