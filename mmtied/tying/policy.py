"""Tie chosen layers of any network, as ``torch.nn.SyncBatchNorm.convert_sync_batchnorm`` converts norms."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from mmcv.cnn import Conv2d as MMCVConv2d
from mmcv.cnn import Linear as MMCVLinear
from torch import nn

from ..layers import TiedConv2d, TiedLinear
from ..layers.blocks import is_whole
from ..utils.complexity import Run, macs_by_module
from ..utils.text_table import align
from ..utils.words import some
from .projection import project, project_bias

Policy = Mapping[str, int] | Callable[[str, nn.Module], int | None]

# Other subclasses compute something else than these (adaptive padding, parametrised weights); a tied layer would not.
PLAIN = (nn.Conv2d, nn.Linear, MMCVConv2d, MMCVLinear)
HOOKS = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')


@dataclass(frozen=True)
class TiedLayer:
    """A layer that was tied.

    Attributes:
        name: In the network, such as 'layer4.0.conv2'.
        layer: Its class before, such as 'Conv2d'.
        blocks: B.
        parameters: How many it has, before and after.
        macs: Its multiply-adds for one image, before and after; None where they were not counted.
    """

    name: str
    layer: str
    blocks: int
    parameters: tuple[int, int]
    macs: tuple[int, int] | None = None


@dataclass(frozen=True)
class LeftLayer:
    """A layer that was chosen but left as it is.

    Attributes:
        name: In the network.
        layer: Its class.
        reason: Why, in words.
    """

    name: str
    layer: str
    reason: str


@dataclass(frozen=True)
class TieReport:
    """What :func:`tie_model` did. As a string it is a table of the layers and of the whole network.

    Attributes:
        tied, left: The layers, in the network's order.
        parameters: Of the whole network, before and after.
        macs: Multiply-adds of the whole network for one image, before and after; None where they were not counted.
    """

    tied: tuple[TiedLayer, ...]
    left: tuple[LeftLayer, ...]
    parameters: tuple[int, int]
    macs: tuple[int, int] | None = None

    def __str__(self) -> str:
        heading = ('layer', 'was', 'B', 'parameters', 'tied') + (('MACs', 'tied') if self.macs else ())
        rows = [heading]
        for layer in (*self.tied, TiedLayer('whole network', '', blocks=0, parameters=self.parameters, macs=self.macs)):
            counts = (*layer.parameters, *(layer.macs or ()))
            rows.append((layer.name, layer.layer, str(layer.blocks or ''), *(f'{count:,}' for count in counts)))
        lines = [align(rows, left=2)]
        lines += [f'left as it is: {layer.name} ({layer.layer}): {layer.reason}' for layer in self.left]
        return '\n'.join(lines)


def tie_model(model: nn.Module, policy: Policy, run: Run | None = None) -> TieReport:
    """Replace chosen ``nn.Conv2d`` and ``nn.Linear`` of a network by tied ones, in place.

    Weights start from the least-squares projection of the old ones: the mean of the diagonal blocks. The names of all
    tensors stay. Layers that cannot be tied are left and listed: those whose channels B does not divide, subclasses
    with a computation of their own, layers with hooks and layers that share their parameters.

    It works for what is called as a module. A network that reads ``layer.weight`` itself, as some fused attention does,
    fails with a tied layer when it runs.

    Args:
        model: Any network, of mmdet, mmpretrain, timm or your own. Tie before the optimizer is built.
        policy: Which layers get how many blocks. Either a mapping of name patterns with ``*``, ``?`` and ``[…]`` to B,
            such as ``{'*.downsample.*': 1, 'layer[34].*.conv2': 4}``, where the first pattern that fits decides and 1
            leaves a layer; or a function of name and layer that returns B, or None to leave it.
        run: If given, multiply-adds are counted, before and after: for one image of this height and width in pixels, or
            in the run of a function, ``lambda model: model.predict(images, samples)``. Defaults to None.

    Returns:
        What was tied, and what was left and why.

    Raises:
        ValueError: If a pattern decides for no layer, B is not a whole number of at least 1, the model is itself a
            layer, or it does not run; it is unchanged then.

    Example:
        >>> from torch import nn
        >>> from mmtied.tying import tie_model
        >>> print(tie_model(nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)), {'*': 2}, (8, 8)))
        layer          was     B  parameters  tied    MACs    tied
        1              Conv2d  2         584   148   9,216   4,608
        whole network                    808   372  16,992  12,384
        left as it is: 0 (Conv2d): in_channels=3 cannot be cut into 2 equal blocks
    """
    if isinstance(model, nn.Conv2d | nn.Linear):
        raise ValueError(f'tie_model: the model is itself a {type(model).__name__}; tie the network that has it')
    owners = Counter(id(parameter) for module in model.modules() for parameter in module._parameters.values())
    layers = {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}
    chosen, left = {}, []
    for name, blocks in choose(layers, policy).items():
        layer = layers[name]
        reason = why_not(layer, blocks)
        if reason is None and any(owners[id(parameter)] > 1 for parameter in layer.parameters()):
            reason = 'it shares parameters with another layer'
        if reason is None:
            chosen[name] = (tied_layer(layer, blocks), blocks)
        else:
            left.append(LeftLayer(name, type(layer).__name__, reason))
    return replace(model, chosen, left=left, run=run)


def choose(layers: Mapping[str, nn.Module], policy: Policy) -> dict[str, int]:
    """Return B of the layers that the policy chooses, by their names."""
    if not callable(policy) and not isinstance(policy, Mapping):
        raise ValueError(f"tie_model: policy={policy!r} must map name patterns to blocks, such as {{'layer4.*': 2}}")
    patterns = () if callable(policy) else tuple(policy)
    unused = set(patterns)
    chosen = {}
    for name, layer in layers.items():
        if callable(policy):
            source, blocks = 'policy', policy(name, layer)
        else:
            source = next((pattern for pattern in patterns if fnmatchcase(name, pattern)), '')
            unused.discard(source)
            blocks = policy.get(source) if source else None
        if blocks is None:
            continue
        if not is_whole(blocks):
            raise ValueError(f'tie_model: {source!r} gives blocks={blocks!r} for {name}: a whole number of 1 or more')
        if blocks > 1:
            chosen[name] = blocks
    for pattern in patterns:
        fits = [name for name in layers if fnmatchcase(name, pattern)]
        if pattern in unused and fits:
            raise ValueError(
                f'tie_model: the pattern {pattern!r} decides nothing: earlier ones fit {fits[0]} and all else'
            )
        if pattern in unused:
            raise ValueError(
                f'tie_model: no layer fits the pattern {pattern!r}; of nn.Conv2d and nn.Linear there are {some(layers)}'
            )
    return chosen


def why_not(layer: nn.Module, blocks: int) -> str | None:
    """Return the reason for which a layer cannot be tied, or None."""
    if isinstance(layer, TiedConv2d | TiedLinear):
        return f'it is tied already, blocks={layer.blocks}'
    if type(layer) not in PLAIN:
        return f'{type(layer).__module__}.{type(layer).__name__} is a subclass that may compute something of its own'
    if any(getattr(layer, hooks) for hooks in HOOKS):
        return 'it has hooks'
    if isinstance(layer, nn.Linear):
        channels = dict(in_features=layer.in_features, out_features=layer.out_features)
        parts, meaning = blocks, f'{blocks} equal blocks'
    else:
        channels = dict(in_channels=layer.in_channels, out_channels=layer.out_channels)
        parts, meaning = blocks * layer.groups, f'{blocks} equal blocks'
        if layer.groups > 1:
            meaning += f' in each of {layer.groups} groups'
    indivisible = [f'{name}={count}' for name, count in channels.items() if count % parts]
    return f'{" and ".join(indivisible)} cannot be cut into {meaning}' if indivisible else None


def tied_layer(layer: nn.Conv2d | nn.Linear, blocks: int) -> TiedConv2d | TiedLinear:
    """Return the tied layer in place of an ordinary one, with its projected weights."""
    bias = layer.bias is not None
    # On 'meta' nothing is initialised: the weights follow.
    if isinstance(layer, nn.Linear):
        groups = 1
        tied = TiedLinear(layer.in_features, layer.out_features, bias=bias, device='meta', blocks=blocks)
    else:
        groups = layer.groups
        tied = TiedConv2d(
            layer.in_channels,
            layer.out_channels,
            kernel_size=layer.kernel_size,
            stride=layer.stride,
            padding=layer.padding,
            dilation=layer.dilation,
            groups=groups,
            bias=bias,
            padding_mode=layer.padding_mode,
            device='meta',
            blocks=blocks,
        )
    weight = project(layer.weight.detach(), blocks, groups)
    tied.weight = nn.Parameter(weight, requires_grad=layer.weight.requires_grad)
    if bias:
        tied.bias = nn.Parameter(project_bias(layer.bias.detach(), blocks, groups), layer.bias.requires_grad)
    return tied.train(layer.training)


def replace(
    model: nn.Module, chosen: Mapping[str, tuple[nn.Module, int]], left: list[LeftLayer], run: Run | None
) -> TieReport:
    """Put new modules, and their B, where those with the given names are, and return what was done."""
    modules = dict(model.named_modules())
    before = {name: modules[name] for name in chosen}
    parameters = {name: count(module) for name, module in (*before.items(), ('', model))}
    macs = macs_by_module(model, run) if run else {}
    swap(model, {before[name]: new for name, (new, _) in chosen.items()})
    try:
        macs_after = macs_by_module(model, run) if run else {}
    except ValueError as error:
        swap(model, {new: before[name] for name, (new, _) in chosen.items()})
        raise ValueError(f'undone, for with these layers tied {error}') from error

    def cost(name: str) -> tuple[int, int] | None:
        return (macs.get(name, 0), macs_after.get(name, 0)) if run else None

    tied = tuple(
        TiedLayer(
            name, type(before[name]).__name__, blocks=blocks, parameters=(parameters[name], count(new)), macs=cost(name)
        )
        for name, (new, blocks) in chosen.items()
    )
    return TieReport(tied, tuple(left), parameters=(parameters[''], count(model)), macs=cost(''))


def swap(model: nn.Module, new: Mapping[nn.Module, nn.Module]) -> None:
    """Replace modules, with their hooks, in all their places: a head shared by several levels stays shared."""
    places = defaultdict(list)
    for parent in model.modules():
        for attribute, child in parent._modules.items():
            if child in new:
                places[child].append((parent, attribute))
    for child, its_places in places.items():
        for hooks in HOOKS:
            getattr(new[child], hooks).update(getattr(child, hooks))
        for parent, attribute in its_places:
            setattr(parent, attribute, new[child])


def count(module: nn.Module) -> int:
    """Return the number of parameters, trainable or not."""
    return sum(parameter.numel() for parameter in module.parameters())
