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

from ..layers.published import own_names
from ..utils.checkpoints import below, checkpoint_tensors, endings, matching
from ..utils.text_table import align
from ..utils.words import some
from .bottleneck import Bottleneck
from .correspondence import Fill, fill_block, fill_stem
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
            lines.append(f'of the source, {len(self.unused)} tensors have no place: {some(self.unused, 3)}')
        return '\n'.join(lines)


def warm_start(backbone: nn.Module, source: Mapping[str, Tensor]) -> WarmStart:
    """Initialise a tied backbone anew, then take over what fits of an ordinary one.

    The norms keep the statistics of untied features, so train on with norms that learn; nothing should be frozen.

    Args:
        backbone: A tied backbone of this package, or one that ``TiedBackbone`` built.
        source: The ordinary backbone's state dict, with the names of torchvision, timm, mmdet or mmpretrain, without
            a prefix: ResNet, Wide ResNet, ResNeXt, ResNeSt, and with squeeze-and-excitation or context blocks. What in
            it is tied already, by our names or those of the published layers, is taken as it is.

    Returns:
        How each tensor came about.

    Raises:
        ValueError: If the backbone is of another kind, or not one tensor of the source fits.
    """
    source = own_names(backbone, source)
    if hasattr(backbone, 'tying'):
        result = from_same_network(backbone, source)
    elif isinstance(backbone, ResidualBackbone):
        result = from_residual_network(backbone, source)
    else:
        raise ValueError(f'warm_start: {type(backbone).__name__} is not a tied backbone, nor one of TiedBackbone')
    if result.counts['initialised'] == len(result.tensors):
        raise ValueError(
            f'warm_start: none of the {len(source)} tensors ({some(source, 3)}) fits {type(backbone).__name__}; they '
            'must have the names of a ResNet, such as layer1.0.conv1.weight, and widths that the splits add up to'
        )
    return result


def split_checkpoint(content: Mapping, backbone: nn.Module) -> tuple[dict[str, Tensor], dict[str, Tensor], str]:
    """Return the backbone's tensors of a checkpoint, without their prefix, and the others of the same network.

    Args:
        content: What a checkpoint of torchvision, timm, mmdet or mmpretrain loads as: a state dict, or a mapping that
            has one. The head of torchvision and timm gets mmpretrain's name.
        backbone: The backbone that they are for, as in :func:`warm_start`.

    Returns:
        The tensors of the backbone and those of the rest by their names, and the prefix of the backbone's, 'backbone.',
        that of a wrapper or of one of several networks ('model.', 'encoder_q.'), or ''. Of several that
        hold as much, the first is taken; what stands beside it is left out.

    Raises:
        ValueError: If it holds no tensors.
    """
    tensors = checkpoint_tensors(content)
    if not tensors:
        raise ValueError('the checkpoint holds no tensors')
    prefix = prefix_of(backbone, tensors)
    network = re.sub(r'\bbackbone\.$', '', prefix)
    inner, tensors = prefix[len(network) :], below(tensors, network)
    head = {'fc.weight': 'head.fc.weight', 'fc.bias': 'head.fc.bias'} if not inner else {}
    own = {name: value for name, value in below(tensors, inner).items() if name not in head}
    others = {head.get(n, n): value for n, value in tensors.items() if n in head or not n.startswith(inner)}
    return own, others, prefix


def prefix_of(backbone: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Return the prefix below which most names are the backbone's, or those of the stages of a ResNet; '' for none."""
    own = set(backbone.state_dict())
    stage = re.compile(r'layer\d+\.\d+\.' if isinstance(backbone, ResidualBackbone) else '$.')
    found = Counter(prefix for name in tensors for prefix, rest in endings(name) if rest in own or stage.match(rest))
    return found.most_common(1)[0][0] if found else ''


def from_same_network(backbone: nn.Module, source: Mapping[str, Tensor]) -> WarmStart:
    """Load the source into the ordinary network of a ``TiedBackbone``, and tie that."""
    ordinary = backbone.tying.ordinary()
    if hasattr(ordinary, 'init_weights'):
        ordinary.init_weights()
    shapes = {name: value.shape for name, value in ordinary.state_dict().items()}
    fits = {name: value for name, value in source.items() if shapes.get(name) == value.shape}
    ordinary.load_state_dict(fits, strict=False)
    project_from(backbone, ordinary)
    tied = {name: value for name, value in matching(backbone, source).items() if name not in fits}
    backbone.load_state_dict(tied, strict=False)
    tensors = {}
    for name, value in backbone.state_dict().items():
        old = ordinary_name(name, shapes)
        as_it_is = name in tied or (old in fits and shapes[old] == value.shape)
        tensors[name] = 'matched' if as_it_is else 'projected' if old in fits else 'initialised'
    return WarmStart(tensors, tuple(name for name in source if name not in fits.keys() | tied.keys()))


def from_residual_network(backbone: ResidualBackbone, source: Mapping[str, Tensor]) -> WarmStart:
    """Fill stem and blocks, part by part."""
    for module in backbone.modules():
        if isinstance(module, BaseModule):
            module.is_init = False
    backbone.init_weights()
    own = backbone.state_dict()
    fills = {name: Fill(value, 'matched', name) for name, value in matching(backbone, source).items()}
    fills.update(fill_stem(backbone, source))
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
