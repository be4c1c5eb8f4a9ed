"""Start a tied backbone from the weights of an ordinary one, where their shapes allow it.

The parts of ResNet's bottleneck correspond to those of the tied ones: conv1 to the entry, the diagonal chunks of
conv2 to the splits, conv3 to the exit, downsample to the shortcut. A part whose shape fits is projected
(``mmtied.tying``). The mixer has no counterpart: it is initialised, and its columns in the exit are zeros, so that it
starts without influence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, ModuleList
from mmengine.registry import MODELS
from torch import Tensor

from ..layers import TiedSE
from ..tying.projection import expand, project, project_bias, regroup, ungroup
from .bottleneck import Bottleneck
from .residual_backbone import ResidualBackbone
from .tied_backbone import TiedBackbone
from .tied_resnet import TiedBottleneck

HOW = ('matched', 'projected', 'initialised')


class Fill(NamedTuple):
    """A tensor's value out of the source, and whether all of the source's is in it ('matched') or not."""

    value: Tensor
    how: str


@dataclass(frozen=True)
class WarmStart:
    """Where each tensor of a backbone came from: 'matched', 'projected' or 'initialised', by its name.

    As a string it is a table of the parts of the network.
    """

    tensors: dict[str, str]

    @property
    def counts(self) -> dict[str, int]:
        """Number of tensors of each kind."""
        found = Counter(self.tensors.values())
        return {how: found[how] for how in HOW}

    def __str__(self) -> str:
        parts: dict[str, Counter] = {}
        for name, how in self.tensors.items():
            # The part of a block, or of the network: entry, splits, stem, …
            part = re.sub(r'^(network\.)?(layer\d+\.\d+\.)?', '', name).split('.')[0]
            parts.setdefault(part, Counter())[how] += 1
        rows = [('tensors of', *HOW), *((part, *(str(n[how]) for how in HOW)) for part, n in parts.items())]
        rows.append(('all', *map(str, self.counts.values())))
        widths = [max(map(len, column)) for column in zip(*rows)]
        return '\n'.join('  '.join(cell.rjust(width) for cell, width in zip(row, widths)) for row in rows)


def warm_start(backbone: BaseModule, source: Mapping[str, Tensor]) -> WarmStart:
    """Initialise a tied backbone, then take over what fits of an ordinary one.

    The norms keep the statistics of untied features, so train on with norms that learn; nothing should be frozen.

    Args:
        backbone: A tied backbone of this package, or a ``TiedBackbone`` around an ordinary one.
        source: The ordinary backbone's state dict, with the names of torchvision, timm, mmdet or mmpretrain, without
            a prefix: ResNet, Wide ResNet, ResNeXt, and with squeeze-and-excitation.

    Returns:
        Where each tensor came from.

    Raises:
        TypeError: If the backbone is of another kind.
        ValueError: If not one tensor of the source fits.
    """
    if isinstance(backbone, TiedBackbone):
        result = from_same_network(backbone, source)
    elif isinstance(backbone, ResidualBackbone):
        result = from_residual_network(backbone, source)
    else:
        raise TypeError(f'warm_start: {type(backbone).__name__} is neither a tied backbone nor a TiedBackbone')
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

    Raises:
        ValueError: If it holds no tensors.
    """
    for key in ('state_dict', 'model'):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    state = dict(content) if isinstance(content, Mapping) else {}
    tensors = {name.removeprefix('module.'): v for name, v in state.items() if isinstance(v, Tensor)}
    if not tensors:
        raise ValueError('the checkpoint holds no tensors')
    prefix = 'backbone.' if any(name.startswith('backbone.') for name in tensors) else ''
    head = {'fc.weight': 'head.fc.weight', 'fc.bias': 'head.fc.bias'} if not prefix else {}
    backbone = {n.removeprefix(prefix): v for n, v in tensors.items() if n.startswith(prefix) and n not in head}
    others = {head.get(n, n): v for n, v in tensors.items() if n in head or not n.startswith(prefix)}
    return backbone, others


def from_same_network(backbone: TiedBackbone, source: Mapping[str, Tensor]) -> WarmStart:
    """Load the source into the ordinary network, and tie that."""
    ordinary = MODELS.build(backbone.ordinary_cfg)
    ordinary.init_weights()
    shapes = {name: value.shape for name, value in ordinary.state_dict().items()}
    fits = {name: value for name, value in source.items() if shapes.get(name) == value.shape}
    ordinary.load_state_dict(fits, strict=False)
    backbone.project_from(ordinary)
    tensors = {}
    for name, value in backbone.network.state_dict().items():
        old = name
        if name not in shapes:  # TiedSE names its layers by what they do, SELayer by numbers.
            old = name.replace('.squeeze.', '.conv1.conv.').replace('.excite.', '.conv2.conv.')
        how = 'initialised' if old not in fits else 'matched' if shapes[old] == value.shape else 'projected'
        tensors[f'network.{name}'] = how
    return WarmStart(tensors)


def from_residual_network(backbone: ResidualBackbone, source: Mapping[str, Tensor]) -> WarmStart:
    """Fill stem and blocks, part by part."""
    backbone.init_weights()
    own = backbone.state_dict()
    fills = dict(fill_stem(backbone, source))
    for name, block in backbone.named_modules():
        if isinstance(block, Bottleneck):
            fills.update(fill_block(name, block, source))
    # A norm of another kind has other tensors.
    fills = {name: fill for name, fill in fills.items() if name in own and own[name].shape == fill.value.shape}
    backbone.load_state_dict({name: fill.value for name, fill in fills.items()}, strict=False)
    return WarmStart({name: fills[name].how if name in fills else 'initialised' for name in own})


def fill_stem(backbone: ResidualBackbone, source: Mapping[str, Tensor]) -> Iterator[tuple[str, Fill]]:
    """Yield the stem's tensors, if the ordinary one has as many convolutions."""
    modules = [(f'stem.{i}', module) for i, module in enumerate(backbone.stem) if isinstance(module, ConvModule)]
    convs, norms = layers_of(source, 'stem.', 'conv1.', 'bn1.')
    if len(convs) == len(norms) == len(modules):
        for (name, module), conv, norm in zip(modules, convs, norms):
            yield from fill_module(name, module, conv['weight'], norm)


def fill_block(name: str, block: Bottleneck, source: Mapping[str, Tensor]) -> Iterator[tuple[str, Fill]]:
    """Yield the tensors of a tied bottleneck that the ordinary one of the same name fills."""
    (entry, splits, leave) = (source.get(f'{name}.conv{i}.weight') for i in (1, 2, 3))
    norms = [layers_of(source, f'{name}.bn{i}.')[1] for i in (1, 2, 3)]
    entry_norm, splits_norm, leave_norm = (found[0] if found else {} for found in norms)
    if entry is not None:
        yield from fill_module(f'{name}.entry', block.entry, entry, entry_norm)
    if splits is not None and isinstance(block, TiedBottleneck):
        yield from fill_splits(f'{name}.splits', block.splits, splits, splits_norm)
    if leave is not None and leave.shape[1] == block.entry.out_channels:
        # The columns of the mixer, behind those of the splits, are zeros.
        mixed = block.exit.in_channels - leave.shape[1]
        leave = F.pad(leave, (0, 0, 0, 0, 0, mixed))
        yield from fill_module(f'{name}.exit', block.exit, leave, leave_norm, 'projected' if mixed else None)
    if block.shortcut is not None:
        last = len(block.shortcut) - 1
        for conv, norm in zip(*layers_of(source, f'{name}.downsample.')):
            yield from fill_module(f'{name}.shortcut.{last}', block.shortcut[last], conv['weight'], norm)
    for child, module in block.named_children():
        if isinstance(module, TiedSE):
            yield from fill_se(f'{name}.{child}', module, layers_of(source, f'{name}.se_layer.', f'{name}.se.')[0])


def fill_splits(name: str, splits: ModuleList, weight: Tensor, norm: dict[str, Tensor]) -> Iterator[tuple[str, Fill]]:
    """Yield the tensors of all splits: each has the rows and columns of its chunk of channels."""
    width = splits[0].out_channels
    if weight.shape[0] != len(splits) * width or weight.shape[0] % weight.shape[1]:
        return
    full = ungroup(weight, weight.shape[0] // weight.shape[1])
    for i, split in enumerate(splits):
        chunk = slice(i * width, (i + 1) * width)
        alone = full[chunk].count_nonzero() == full[chunk, chunk].count_nonzero()
        its_norm = {tensor: value[chunk] if value.dim() else value for tensor, value in norm.items()}
        yield from fill_module(f'{name}.{i}', split, full[chunk, chunk], its_norm, None if alone else 'projected')


def fill_module(
    name: str, module: ConvModule, weight: Tensor, norm: dict[str, Tensor], how: str | None = None
) -> Iterator[tuple[str, Fill]]:
    """Yield the tensors of a convolution and of its norm, if the ordinary weight, in one group, has its shape."""
    conv = module.conv
    if weight.shape != (conv.out_channels, conv.in_channels, *conv.kernel_size):
        return
    blocks, groups = getattr(conv, 'blocks', 1), conv.groups
    tied = project(regroup(weight, groups), blocks, groups)
    if how is None:
        same = torch.equal(ungroup(expand(tied, blocks, groups), groups), weight)
        how = 'matched' if same else 'projected'
    yield f'{name}.conv.weight', Fill(tied, how)
    for tensor, value in norm.items():
        yield f'{name}.{module.norm_name}.{tensor}', Fill(value, 'matched')


def fill_se(name: str, se: TiedSE, layers: list[dict[str, Tensor]]) -> Iterator[tuple[str, Fill]]:
    """Yield the tensors of TiedSE from the two layers of a squeeze-and-excitation, linear or 1x1 convolutions."""
    if [layer['weight'].shape[:2] for layer in layers] != [
        (linear.out_features, linear.in_features) for linear in (se.squeeze, se.excite)
    ]:
        return
    blocks = se.squeeze.blocks
    how = 'matched' if blocks == 1 else 'projected'
    for part, layer in zip(('squeeze', 'excite'), layers):
        yield f'{name}.{part}.weight', Fill(project(layer['weight'].flatten(1), blocks), how)
        yield f'{name}.{part}.bias', Fill(project_bias(layer['bias'], blocks), how)


def layers_of(source: Mapping[str, Tensor], *prefixes: str) -> tuple[list[dict], list[dict]]:
    """Return convolutions or linear layers, and norms, below the prefixes, in order, as tensors by their names."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in source.items():
        if name.startswith(prefixes):
            layer, _, tensor = name.rpartition('.')
            found.setdefault(layer, {})[tensor] = value
    layers = [layer for layer in found.values() if 'weight' in layer]
    return [x for x in layers if x['weight'].dim() > 1], [x for x in layers if x['weight'].dim() == 1]
