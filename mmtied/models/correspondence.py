"""Which layers of an ordinary network fill which of a tied one.

The parts of ResNet's bottleneck correspond to those of the tied ones: conv1 to the entry, the diagonal chunks of
conv2 to the splits, conv3 to the exit, downsample to the shortcut. A part whose shape fits is projected
(``mmtied.tying``). The mixer has no counterpart: it is initialised, and its columns in the exit are zeros, so that it
starts without influence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmcv.cnn import ContextBlock, ConvModule
from torch import Tensor

from ..layers import TiedConv2d, TiedSE
from ..tying.projection import expand, project, project_bias, regroup, ungroup
from .bottleneck import Bottleneck
from .residual_backbone import ResidualBackbone
from .tied_resnest import TiedSplitAttention
from .tied_resnet import TiedBottleneck

# What mmdet, mmpretrain and timm call the norms, by their kind.
NORMS = ('bn', 'gn', 'ln', 'in')


class Layer(NamedTuple):
    """A layer of the source: its name and its tensors."""

    name: str
    tensors: dict[str, Tensor]


class Fill(NamedTuple):
    """A tensor's value, whether all of the source is in it ('matched') or not ('projected'), and the source's name."""

    value: Tensor
    how: str
    source: str


Fills = Iterator[tuple[str, Fill]]


def fill_stem(backbone: ResidualBackbone, source: Mapping[str, Tensor]) -> Fills:
    """Yield the stem's tensors, if the ordinary one has as many convolutions."""
    modules = [(f'stem.{i}', module) for i, module in enumerate(backbone.stem) if isinstance(module, ConvModule)]
    convs, norms = layers_of(source, 'stem.', 'conv1.', *(f'{norm}1.' for norm in NORMS))
    if len(convs) == len(modules):
        for i, (name, module) in enumerate(modules):
            yield from fill_module(name, module, conv=convs[i], norms=norms[i : i + 1])


def fill_block(name: str, block: Bottleneck, source: Mapping[str, Tensor]) -> Fills:
    """Yield the tensors of a tied bottleneck that the ordinary one of the same name fills."""
    convs, norms = {}, {}
    for i in (1, 2, 3):
        convs[i], inner_norms = layers_of(source, f'{name}.conv{i}.')
        norms[i] = inner_norms + layers_of(source, *(f'{name}.{norm}{i}.' for norm in NORMS))[1]
    if convs[1]:
        yield from fill_module(f'{name}.entry', block.entry, conv=convs[1][0], norms=norms[1])
    if convs[2] and isinstance(block, TiedBottleneck):
        yield from fill_splits(f'{name}.splits', block.splits, conv=convs[2][0], norms=norms[2])
    elif convs[2]:
        yield from fill_attention(f'{name}.attention', block.attention, convs=convs[2], norms=norms[2])
    if convs[3]:
        yield from fill_exit(f'{name}.exit', block, conv=convs[3][0], norms=norms[3])
    if block.shortcut is not None:
        last = len(block.shortcut) - 1
        shortcut_convs, shortcut_norms = layers_of(source, f'{name}.downsample.')
        for conv in shortcut_convs:
            yield from fill_module(f'{name}.shortcut.{last}', block.shortcut[last], conv=conv, norms=shortcut_norms)
    for child, module in block.named_children():
        if isinstance(module, TiedSE):
            yield from fill_se(f'{name}.{child}', module, layers_of(source, f'{name}.se_layer.', f'{name}.se.')[0])
        elif isinstance(module, ContextBlock):
            yield from fill_context(f'{name}.{child}', module, source)


def fill_splits(name: str, splits: Sequence[ConvModule], conv: Layer, norms: list[Layer]) -> Fills:
    """Yield the tensors of all splits: each has the rows and columns of its chunk of channels."""
    weight = conv.tensors['weight']
    width = splits[0].out_channels
    if weight.shape[0] != len(splits) * width or weight.shape[0] % weight.shape[1]:
        return
    full = ungroup(weight, weight.shape[0] // weight.shape[1])
    for i, split in enumerate(splits):
        chunk = slice(i * width, (i + 1) * width)
        alone = full[chunk].count_nonzero() == full[chunk, chunk].count_nonzero()
        of_chunk = [Layer(n.name, {k: v[chunk] if v.dim() else v for k, v in n.tensors.items()}) for n in norms]
        part = Layer(conv.name, {'weight': full[chunk, chunk]})
        yield from fill_module(f'{name}.{i}', split, conv=part, norms=of_chunk, how=None if alone else 'projected')


def fill_attention(name: str, attention: TiedSplitAttention, convs: list[Layer], norms: list[Layer]) -> Fills:
    """Yield the tensors of a split attention from ResNeSt's, whose convolution has a group for each map."""
    if len(convs) != 3 or len(norms) != 2:
        return
    conv, squeeze, excite = convs
    weight = conv.tensors['weight']
    groups = attention.conv.in_channels // weight.shape[1]
    if groups and weight.shape[0] % groups == 0:
        full = Layer(conv.name, {'weight': ungroup(weight, groups)})
        yield from fill_module(f'{name}.conv', attention.conv, conv=full, norms=norms[:1])
    norm = dict(norms[1].tensors)
    if 'bias' in squeeze.tensors and 'running_mean' in norm:
        # Ours has no bias in front of the norm.
        norm['running_mean'] = norm['running_mean'] - squeeze.tensors['bias']
    yield from fill_module(f'{name}.squeeze', attention.squeeze, conv=squeeze, norms=[Layer(norms[1].name, norm)])
    yield from fill_module(f'{name}.excite', attention.excite, conv=excite, norms=[])
    if 'bias' in excite.tensors:
        yield f'{name}.excite.conv.bias', Fill(excite.tensors['bias'], 'matched', f'{excite.name}.bias')


def fill_exit(name: str, block: Bottleneck, conv: Layer, norms: list[Layer]) -> Fills:
    """Yield the tensors of the exit; the columns of a mixer, behind those of the splits, are zeros."""
    weight = conv.tensors['weight']
    if weight.shape[1] == block.entry.out_channels:
        mixed = block.exit.in_channels - weight.shape[1]
        padded = Layer(conv.name, {'weight': F.pad(weight, (0, 0, 0, 0, 0, mixed))})
        yield from fill_module(name, block.exit, conv=padded, norms=norms, how='projected' if mixed else None)


def fill_module(name: str, module: ConvModule, conv: Layer, norms: list[Layer], how: str | None = None) -> Fills:
    """Yield the tensors of a convolution and of its norm, if the ordinary weight, in one group, has its shape."""
    layer, weight = module.conv, conv.tensors['weight']
    if weight.shape != (layer.out_channels, layer.in_channels, *layer.kernel_size):
        return
    blocks, groups = getattr(layer, 'blocks', 1), layer.groups
    tied = project(regroup(weight, groups), blocks, groups)
    if how is None:
        same = torch.equal(ungroup(expand(tied, blocks, groups), groups), weight)
        how = 'matched' if same else 'projected'
    yield f'{name}.conv.weight', Fill(tied, how, f'{conv.name}.weight')
    for norm in norms[:1]:
        for tensor, value in norm.tensors.items():
            yield f'{name}.{module.norm_name}.{tensor}', Fill(value, 'matched', f'{norm.name}.{tensor}')


def fill_se(name: str, se: TiedSE, layers: list[Layer]) -> Fills:
    """Yield the tensors of TiedSE from the two layers of a squeeze-and-excitation, linear or 1x1 convolutions."""
    if [layer.tensors['weight'].shape[:2] for layer in layers] != [
        (linear.out_features, linear.in_features) for linear in (se.squeeze, se.excite)
    ]:
        return
    blocks = se.squeeze.blocks
    how = 'matched' if blocks == 1 else 'projected'
    for part, layer in zip(('squeeze', 'excite'), layers):
        weight = project(layer.tensors['weight'].flatten(1), blocks)
        yield f'{name}.{part}.weight', Fill(weight, how, f'{layer.name}.weight')
        if 'bias' in layer.tensors:
            bias = project_bias(layer.tensors['bias'], blocks)
            yield f'{name}.{part}.bias', Fill(bias, how, f'{layer.name}.bias')


def fill_context(name: str, block: ContextBlock, source: Mapping[str, Tensor]) -> Fills:
    """Yield the tensors of a global context block from the ordinary one of the same name."""
    for child, layer in block.named_modules():
        for tensor, own in layer.named_parameters(recurse=False):
            key = f'{name}.{child}.{tensor}'
            value = source.get(key)
            if value is None:
                continue
            how = 'matched'
            if isinstance(layer, TiedConv2d) and (layer.blocks, layer.groups) != (1, 1):
                if value.shape[0] != layer.out_channels or value[0].numel() not in (1, layer.in_channels):
                    continue
                whole = value.shape
                if tensor == 'weight':
                    value = project(regroup(value, layer.groups), layer.blocks, layer.groups)
                else:
                    value = project_bias(value, layer.blocks, layer.groups)
                how = 'matched' if value.shape == whole else 'projected'
            if value.shape == own.shape:
                yield key, Fill(value, how, key)


def layers_of(source: Mapping[str, Tensor], *prefixes: str) -> tuple[list[Layer], list[Layer]]:
    """Return convolutions or linear layers, and norms, below the prefixes, in order."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, value in source.items():
        if name.startswith(prefixes):
            layer, _, tensor = name.rpartition('.')
            found.setdefault(layer, {})[tensor] = value
    layers = [Layer(name, tensors) for name, tensors in found.items() if 'weight' in tensors]
    return [x for x in layers if x.tensors['weight'].dim() > 1], [x for x in layers if x.tensors['weight'].dim() == 1]
