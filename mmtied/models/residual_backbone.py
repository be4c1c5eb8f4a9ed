"""The frame of every tied backbone: ResNet's stem, stages and training habits around a bottleneck of its own.

It follows mmdet's ``ResNet`` argument by argument, but imports neither mmdet nor mmpretrain, so one class serves both
and needs no compiled operators.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch.utils.checkpoint as cp
from mmcv.cnn import ConvModule, build_plugin_layer
from mmengine.logging import print_log
from mmengine.model import BaseModule, Sequential, initialize
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

PLUGIN_POSITIONS = ('after_conv1', 'after_conv2', 'after_conv3')


class Bottleneck(BaseModule):
    """The frame of a bottleneck: a residual branch that a subclass defines, plugins, shortcut and last ReLU.

    A subclass builds its layers in ``__init__`` and calls :meth:`add_plugins` with their widths. It defines the
    branch in :meth:`residual`, where it passes through :meth:`plug` at the three positions of mmdet's plugins.

    Args:
        shortcut: The projection of the input, or None for the identity.
        with_cp: Whether to recompute the branch in the backward pass to save memory.
        zero_init_residual: Whether the block starts as the identity.
    """

    expansion = 4

    def __init__(self, shortcut: nn.Module | None, with_cp: bool, zero_init_residual: bool) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual
        self.relu = nn.ReLU(inplace=True)

    @abstractmethod
    def residual(self, x: Tensor) -> Tensor:
        """Return the residual branch of the input, before the addition."""

    @abstractmethod
    def last_norm(self) -> nn.Module:
        """Return the norm that ends the residual branch: a zero weight makes the block an identity."""

    def add_plugins(self, plugins: Sequence[dict], *widths: int) -> None:
        """Build the plugins behind the entry, the 3x3 convolutions and the exit, which have the given widths."""
        self.plugin_names: dict[str, list[str]] = {position: [] for position in PLUGIN_POSITIONS}
        for plugin in plugins:
            width = widths[PLUGIN_POSITIONS.index(plugin['position'])]
            cfg = dict(plugin['cfg'])
            name, layer = build_plugin_layer(cfg, postfix=cfg.pop('postfix', ''), in_channels=width)
            if hasattr(self, name):
                raise ValueError(f"plugins: two plugins are named '{name}' in one block; give each cfg a `postfix`")
            self.add_module(name, layer)
            self.plugin_names[plugin['position']].append(name)

    def plug(self, x: Tensor, position: str) -> Tensor:
        """Pass the features through the plugins of a position."""
        for name in self.plugin_names[position]:
            x = getattr(self, name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            out = cp.checkpoint(self.residual, x, use_reentrant=False)
        else:
            out = self.residual(x)
        return self.relu(out + (x if self.shortcut is None else self.shortcut(x)))

    def zero_init_last(self) -> None:
        """Make the block start as the identity, if it is to."""
        if self.zero_init_residual:
            nn.init.zeros_(self.last_norm().weight)


class ResidualBackbone(BaseModule):
    """Stem and stages of ResNet around the bottleneck of a subclass, with mmdet's arguments and training habits.

    A subclass sets :attr:`block` and passes what only its block knows as ``block_cfg``.

    Args:
        depth: A key of :attr:`stage_blocks`.
        block_cfg: Arguments of the block beyond the frame's own.
        shortcut_blocks: Blocks of the projection shortcut. Defaults to 1, an ordinary convolution.
        in_channels: Channels of the image. Defaults to 3.
        stem_channels: Channels behind the stem. Defaults to ``base_channels``.
        base_channels: Planes of the first stage; every stage doubles them. Defaults to 64.
        num_stages: Number of stages, 1 to 4. Defaults to 4.
        strides, dilations: Stride and dilation of each stage. Default to (1, 2, 2, 2) and (1, 1, 1, 1).
        out_indices: Stages whose output is returned. Defaults to (0, 1, 2, 3).
        style: Where a block has its stride: 'pytorch' in the 3x3 convolutions, 'caffe' in the 1x1 before them.
            Defaults to 'pytorch'.
        deep_stem: Whether three 3x3 convolutions replace the 7x7 of the stem. Defaults to False.
        avg_down: Whether the projection shortcut averages before an unstrided 1x1. Defaults to False.
        frozen_stages: Stages kept as they are: -1 none, 0 the stem, k the stem and the first k. Defaults to -1.
        conv_cfg: The ordinary convolutions (stem and exit). Defaults to None, ``nn.Conv2d``.
        norm_cfg: The norm layers. Defaults to ``dict(type='BN', requires_grad=True)``.
        norm_eval: Whether batch norms keep their statistics while training. Defaults to False: unlike mmdet's
            ResNet, no pretrained weights are implied.
        plugins: mmdet's plugins, a list of ``dict(cfg=dict(type=…), position='after_conv1|2|3', stages=…)``.
        with_cp: Whether to recompute blocks in the backward pass to save memory. Defaults to False.
        zero_init_residual: Whether every block starts as an identity. Defaults to True.
        init_cfg: mmengine's initialisation config, such as ``dict(type='Pretrained', checkpoint=…)``. Defaults to
            None: Kaiming for the convolutions, 1 for the norms. Any other is applied on top of that.

    Shape:
        Input (N, in_channels, H, W). Output a tuple with (N, 4 * base_channels * 2^i, H / s_i, W / s_i) for every
        i of ``out_indices``, where s_i is 4, 8, 16, 32 with the default strides.

    Raises:
        ValueError: If an argument is out of its range; the message names it and the values that are right.
    """

    block: type[Bottleneck]
    stage_blocks = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

    def __init__(
        self,
        depth: int,
        block_cfg: dict,
        shortcut_blocks: int = 1,
        in_channels: int = 3,
        stem_channels: int | None = None,
        base_channels: int = 64,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        style: str = 'pytorch',
        deep_stem: bool = False,
        avg_down: bool = False,
        frozen_stages: int = -1,
        conv_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        norm_eval: bool = False,
        plugins: Sequence[dict] | None = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_arguments(type(self), depth, num_stages, strides, dilations, out_indices, style, frozen_stages)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.norm_eval = norm_eval
        norm_cfg = norm_cfg or dict(type='BN', requires_grad=True)
        stem_channels = stem_channels or base_channels
        self.stem = make_stem(in_channels, stem_channels, deep_stem, conv_cfg, norm_cfg)

        channels = stem_channels
        self.stage_names = [f'layer{i + 1}' for i in range(num_stages)]
        for i, name in enumerate(self.stage_names):
            planes = base_channels * 2**i
            out_channels = planes * self.block.expansion
            stage_plugins = plugins_of_stage(plugins or (), i)
            blocks = []
            for j in range(self.stage_blocks[depth][i]):
                stride = strides[i] if j == 0 else 1
                try:
                    shortcut = None
                    if stride != 1 or channels != out_channels:
                        shortcut = make_shortcut(channels, out_channels, stride, avg_down, shortcut_blocks, norm_cfg)
                    block = self.block(
                        channels,
                        planes,
                        stride=stride,
                        dilation=dilations[i],
                        style=style,
                        shortcut=shortcut,
                        conv_cfg=conv_cfg,
                        norm_cfg=norm_cfg,
                        plugins=stage_plugins,
                        with_cp=with_cp,
                        zero_init_residual=zero_init_residual,
                        **block_cfg,
                    )
                except ValueError as error:
                    raise ValueError(f'{type(self).__name__} {name}.{j}: {error}') from error
                blocks.append(block)
                channels = out_channels
            self.add_module(name, Sequential(*blocks))
        self.feat_dim = channels
        self._freeze_stages()

    def init_weights(self) -> None:
        """Initialise once: from a checkpoint, or Kaiming, then what ``init_cfg`` says, then the blocks' zeros.

        Raises:
            ValueError: If a checkpoint holds none of the backbone's tensors, as an untied network's does.
        """
        if self.is_init:
            return super().init_weights()  # It warns.
        configs = [self.init_cfg] if isinstance(self.init_cfg, dict) else self.init_cfg or []
        pretrained = [config for config in configs if config['type'] == 'Pretrained']
        for config in pretrained:
            report_matches(self, config)
        super().init_weights()
        if pretrained:
            return None
        # Once more after the children, whose ConvModules initialise themselves.
        if configs:
            initialize(self, configs)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                module.zero_init_last()
        return None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        outs = []
        for i, name in enumerate(self.stage_names):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    def _freeze_stages(self) -> None:
        frozen = [self.stem, *(getattr(self, name) for name in self.stage_names)][: self.frozen_stages + 1]
        for module in frozen:
            module.eval()
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> ResidualBackbone:
        """Set the mode, but keep frozen stages, and batch norms if ``norm_eval``, as they are in evaluation."""
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def report_matches(backbone: ResidualBackbone, pretrained: dict) -> None:
    """Log how many of the backbone's tensors a checkpoint holds, and raise an error where it holds none."""
    content = CheckpointLoader.load_checkpoint(pretrained['checkpoint'], map_location='cpu')
    prefix = pretrained.get('prefix') or ''
    prefix += '.' if prefix and not prefix.endswith('.') else ''
    state = content.get('state_dict', content)
    shapes = {
        name[len(prefix) :]: value.shape
        for name, value in ((name.removeprefix('module.'), value) for name, value in state.items())
        if name.startswith(prefix)
    }
    own = backbone.state_dict()
    matched = sum(shapes.get(name) == value.shape for name, value in own.items())
    network, source = type(backbone).__name__, pretrained['checkpoint']
    print_log(f'{matched} of {len(own)} tensors of {network} are in {source}', 'current')
    if not matched:
        raise ValueError(
            f'{network}: init_cfg: {source} holds none of its tensors; a config made for another network needs '
            "init_cfg=None, and a classifier's checkpoint prefix='backbone.'"
        )


def check_arguments(
    cls: type[ResidualBackbone],
    depth: int,
    num_stages: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    out_indices: Sequence[int],
    style: str,
    frozen_stages: int,
) -> None:
    """Raise an error that names the argument, its value and what would be right."""
    rules = [
        ('depth', depth, depth in cls.stage_blocks, f'one of {tuple(cls.stage_blocks)}'),
        ('num_stages', num_stages, 1 <= num_stages <= 4, '1 to 4'),
        ('strides', strides, len(strides) == num_stages, f'{num_stages} numbers, one for each stage'),
        ('dilations', dilations, len(dilations) == num_stages, f'{num_stages} numbers, one for each stage'),
        (
            *('out_indices', out_indices, bool(out_indices) and all(0 <= i < num_stages for i in out_indices)),
            f'stages among {tuple(range(num_stages))}',
        ),
        ('style', style, style in ('pytorch', 'caffe'), "'pytorch' or 'caffe'"),
        ('frozen_stages', frozen_stages, -1 <= frozen_stages <= num_stages, f'-1 to {num_stages}'),
    ]
    for name, value, holds, right in rules:
        if not holds:
            raise ValueError(f'{cls.__name__}: {name}={value!r} must be {right}')


def plugins_of_stage(plugins: Sequence[dict], stage: int) -> list[dict]:
    """Return the plugins that a stage has; without ``stages`` a plugin is in all of them."""
    for plugin in plugins:
        if plugin.get('position') not in PLUGIN_POSITIONS:
            raise ValueError(f'plugins: position={plugin.get("position")!r} must be one of {PLUGIN_POSITIONS}')
    return [plugin for plugin in plugins if plugin.get('stages') is None or plugin['stages'][stage]]


def make_stem(in_channels: int, channels: int, deep: bool, conv_cfg: dict | None, norm_cfg: dict) -> Sequential:
    """Return ResNet's stem, 7x7 or three 3x3, with its max pooling: 4 times smaller."""
    cfg = dict(conv_cfg=conv_cfg, norm_cfg=norm_cfg)
    if deep:
        half = channels // 2
        convs = [
            ConvModule(in_channels, half, 3, stride=2, padding=1, **cfg),
            ConvModule(half, half, 3, padding=1, **cfg),
            ConvModule(half, channels, 3, padding=1, **cfg),
        ]
    else:
        convs = [ConvModule(in_channels, channels, 7, stride=2, padding=3, **cfg)]
    return Sequential(*convs, nn.MaxPool2d(3, stride=2, padding=1))


def make_shortcut(
    in_channels: int, out_channels: int, stride: int, avg_down: bool, blocks: int, norm_cfg: dict
) -> Sequential:
    """Return a projection shortcut, 1x1 with the stride or, with ``avg_down``, behind an average pooling."""
    pool = []
    if avg_down and stride != 1:
        pool = [nn.AvgPool2d(stride, stride, ceil_mode=True, count_include_pad=False)]
        stride = 1
    conv = tied_conv('shortcut', in_channels, out_channels, 1, blocks, stride=stride, norm_cfg=norm_cfg, act_cfg=None)
    return Sequential(*pool, conv)


def tied_conv(layer: str, in_channels: int, out_channels: int, kernel_size: int, blocks: int, **kwargs) -> ConvModule:
    """Return a tied convolution with norm and ReLU, whose error for an indivisible width names the layer."""
    try:
        return ConvModule(
            in_channels, out_channels, kernel_size, conv_cfg=dict(type='TiedConv', blocks=blocks), **kwargs
        )
    except ValueError as error:
        raise ValueError(f'{layer}: {error}') from error
