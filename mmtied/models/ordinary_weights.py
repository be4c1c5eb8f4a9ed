"""Start a tied backbone from the weights of an ordinary one, where their shapes allow it.

What corresponds to what is in ``correspondence``; this file loads it and says what became of it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..utils.checkpoints import checkpoint_tensors
from ..utils.text_table import align
from .bottleneck import Bottleneck
from .correspondence import fill_block, fill_stem
from .residual_backbone import ResidualBackbone
from .tied_backbone import ordinary_name, project_from

HOW = ('matched', 'projected', 'initialised')


@dataclass(frozen=True)
class WarmStart:
    """What a backbone took over. As a string it is a table of the parts of the network.

    Attributes:
        tensors: How each tensor of the backbone came about, by its name: 'matched', 'projected' or 'initialised'.
        unused: Names of the source's tensors that had no place.
    """

    tensors: dict[str, str]
    unused: tuple[str, ...]

    @property
    def counts(self) -> dict[str, int]:
        """Number of tensors of each kind."""
        found = Counter(self.tensors.values())
        return {how: found[how] for how in HOW}

    def __str__(self) -> str:
        parts: dict[str, Counter] = {}
        for name, how in self.tensors.items():
            # The part of a block, or of the network: entry, splits, stem, …
            part = re.sub(r'^layer\d+\.\d+\.', '', name).split('.')[0]
            parts.setdefault(part, Counter())[how] += 1
        rows = [('tensors of', *HOW), *((part, *(str(n[how]) for how in HOW)) for part, n in parts.items())]
        lines = [align([*rows, ('all', *map(str, self.counts.values()))])]
        if self.unused:
            some = ', '.join(self.unused[:3]) + (', …' if len(self.unused) > 3 else '')
            lines.append(f'of the source, {len(self.unused)} tensors have no place: {some}')
        return '\n'.join(lines)


def warm_start(backbone: nn.Module, source: Mapping[str, Tensor]) -> WarmStart:
    """Initialise a tied backbone anew, then take over what fits of an ordinary one.

    The norms keep the statistics of untied features, so train on with norms that learn; nothing should be frozen.

    Args:
        backbone: A tied backbone of this package, or one that ``TiedBackbone`` built.
        source: The ordinary backbone's state dict, with the names of torchvision, timm, mmdet or mmpretrain, without
            a prefix: ResNet, Wide ResNet, ResNeXt, ResNeSt, and with squeeze-and-excitation or context blocks.

    Returns:
        How each tensor came about.

    Raises:
        ValueError: If the backbone is of another kind, or not one tensor of the source fits.
    """
    if hasattr(backbone, 'tying'):
        result = from_same_network(backbone, source)
    elif isinstance(backbone, ResidualBackbone):
        result = from_residual_network(backbone, source)
    else:
        raise ValueError(f'warm_start: {type(backbone).__name__} is not a tied backbone, nor one of TiedBackbone')
    if result.counts['initialised'] == len(result.tensors):
        names = ', '.join(list(source)[:3])
        raise ValueError(
            f'warm_start: none of the {len(source)} tensors ({names}, …) fits {type(backbone).__name__}; they must '
            'have the names of a ResNet, such as layer1.0.conv1.weight, and widths that the splits add up to'
        )
    return result


def split_checkpoint(content: Mapping) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Return the backbone's tensors of a checkpoint, without their prefix, and the others.

    Args:
        content: What a checkpoint of torchvision, timm, mmdet or mmpretrain loads as: a state dict, or a mapping that
            has one at 'state_dict' or 'model'. The head of torchvision and timm gets mmpretrain's name.

    Returns:
        Tensors by their names, of the backbone and of the rest.

    Raises:
        ValueError: If it holds no tensors.
    """
    tensors = checkpoint_tensors(content)
    if not tensors:
        raise ValueError('the checkpoint holds no tensors')
    prefix = 'backbone.' if any(name.startswith('backbone.') for name in tensors) else ''
    head = {'fc.weight': 'head.fc.weight', 'fc.bias': 'head.fc.bias'} if not prefix else {}
    backbone = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix) and n not in head}
    others = {head.get(n, n): v for n, v in tensors.items() if n in head or not n.startswith(prefix)}
    return backbone, others


def from_same_network(backbone: nn.Module, source: Mapping[str, Tensor]) -> WarmStart:
    """Load the source into the ordinary network of a ``TiedBackbone``, and tie that."""
    ordinary = backbone.tying.ordinary()
    if hasattr(ordinary, 'init_weights'):
        ordinary.init_weights()
    shapes = {name: value.shape for name, value in ordinary.state_dict().items()}
    fits = {name: value for name, value in source.items() if shapes.get(name) == value.shape}
    ordinary.load_state_dict(fits, strict=False)
    project_from(backbone, ordinary)
    tensors = {}
    for name, value in backbone.state_dict().items():
        old = ordinary_name(name, shapes)
        tensors[name] = 'initialised' if old not in fits else 'matched' if shapes[old] == value.shape else 'projected'
    return WarmStart(tensors, tuple(name for name in source if name not in fits))


def from_residual_network(backbone: ResidualBackbone, source: Mapping[str, Tensor]) -> WarmStart:
    """Fill stem and blocks, part by part."""
    for module in backbone.modules():
        if isinstance(module, BaseModule):
            module.is_init = False
    backbone.init_weights()
    own = backbone.state_dict()
    fills = dict(fill_stem(backbone, source))
    for name, block in backbone.named_modules():
        if isinstance(block, Bottleneck):
            fills.update(fill_block(name, block, source))
    # A norm of another kind has other tensors.
    fills = {name: fill for name, fill in fills.items() if name in own and own[name].shape == fill.value.shape}
    backbone.load_state_dict({name: fill.value for name, fill in fills.items()}, strict=False)
    used = {fill.source for fill in fills.values()}
    return WarmStart(
        {name: fills[name].how if name in fills else 'initialised' for name in own},
        tuple(name for name in source if name not in used),
    )
