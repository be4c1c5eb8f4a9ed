"""The frame of every tied bottleneck: what surrounds the residual branch, and the layers that branches are made of."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import chain

import torch
import torch.utils.checkpoint as cp
from mmcv.cnn import ContextBlock, ConvModule, build_plugin_layer
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

# conv_cfg=dict(type='TiedConv') needs the layers registered.
from ..layers import TiedConv2d

PLUGIN_POSITIONS = ('after_conv1', 'after_conv2', 'after_conv3')


class Bottleneck(BaseModule):
    """The frame of a bottleneck: a residual branch that a subclass defines, plugins, shortcut and last ReLU.

    A subclass builds its layers in ``__init__`` and calls :meth:`build_plugins` with their widths. It defines the
    branch in :meth:`residual`, where it passes through :meth:`plug` at the three positions of mmdet's plugins.

    Args:
        shortcut: The projection of the input, or None for the identity.
        plugins: Configs of the plugins that this block has.
        with_cp: Whether to recompute the branch in the backward pass to save memory.
        zero_init_residual: Whether the block starts as the identity.
        drop_path_rate: The share of samples that leave out the branch in training.
    """

    expansion = 4

    def __init__(
        self,
        shortcut: nn.Module | None,
        plugins: Sequence[dict],
        with_cp: bool,
        zero_init_residual: bool,
        drop_path_rate: float,
    ) -> None:
        super().__init__()
        self.shortcut = shortcut
        self.plugins = plugins
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual
        self.drop_path = DropPath(drop_path_rate) if drop_path_rate else nn.Identity()
        self.relu = nn.ReLU(inplace=True)

    @abstractmethod
    def residual(self, x: Tensor) -> Tensor:
        """Return the residual branch of the input, before the addition: (N, in, H, W) -> (N, 4 p, H', W').

        Args:
            x: The input of the block, (N, in, H, W).
        """

    @abstractmethod
    def last_norm(self) -> nn.Module:
        """Return the norm that ends the residual branch: a zero weight makes the block an identity."""

    def build_plugins(self, *widths: int) -> None:
        """Build the plugins behind the entry, the 3x3 convolutions and the exit.

        Args:
            *widths: The channels in these three places.

        Raises:
            ValueError: If two plugins of the block have one name.
        """
        self.plugin_names: dict[str, list[str]] = {position: [] for position in PLUGIN_POSITIONS}
        for plugin in self.plugins:
            width = widths[PLUGIN_POSITIONS.index(plugin['position'])]
            cfg = dict(plugin['cfg'])
            name, layer = build_plugin_layer(cfg, postfix=cfg.pop('postfix', ''), in_channels=width)
            if hasattr(self, name):
                raise ValueError(f"plugins: two plugins are named '{name}' in one block; give each cfg a `postfix`")
            self.add_module(name, layer)
            self.plugin_names[plugin['position']].append(name)

    def plug(self, x: Tensor, position: str) -> Tensor:
        """Pass the features through the plugins of a position.

        Args:
            x: (N, C, H, W), with the width of the position.
            position: 'after_conv1', 'after_conv2' or 'after_conv3'.
        """
        for name in self.plugin_names[position]:
            x = getattr(self, name)(x)
        return x

    def forward(self, x: Tensor) -> Tensor:
        if self.with_cp and x.requires_grad:
            out = cp.checkpoint(self.residual, x, use_reentrant=False)
        else:
            out = self.residual(x)
        out = self.drop_path(out)
        return self.relu(out + (x if self.shortcut is None else self.shortcut(x)))

    def init_last(self, anew: bool) -> None:
        """Zero the last norm, if the block is to start as the identity, and let the plugins have their own start.

        Args:
            anew: Whether plugins that initialise themselves must do so again.
        """
        weight = self.last_norm().weight
        if self.zero_init_residual and weight is not None:
            nn.init.zeros_(weight)
        for name in chain(*self.plugin_names.values()):
            plugin = getattr(self, name)
            if isinstance(plugin, ContextBlock):  # mmcv's has no init_weights, only this.
                plugin.reset_parameters()
            elif anew and hasattr(plugin, 'init_weights'):
                if isinstance(plugin, BaseModule):
                    plugin.is_init = False
                plugin.init_weights()


class TiedConvModule(ConvModule):
    """mmcv's ``ConvModule`` of a tied convolution, whose filters one norm may scale differently in each block."""

    def turn_on_efficient_conv_bn_eval(self, efficient_conv_bn_eval: bool = True) -> None:
        """Fold a norm with fixed statistics into the convolution on the fly, as mmcv does, or do so no longer.

        Args:
            efficient_conv_bn_eval: Whether to. Defaults to True.
        """
        super().turn_on_efficient_conv_bn_eval(efficient_conv_bn_eval)
        self.efficient_conv_bn_eval_forward: Callable | None
        if self.efficient_conv_bn_eval_forward is not None and self.conv.blocks > 1:
            self.efficient_conv_bn_eval_forward = fold_norm_and_convolve


def fold_norm_and_convolve(norm: _BatchNorm, conv: TiedConv2d, x: Tensor) -> Tensor:
    """Return the norm of the convolution, whose norm keeps its statistics, by a single convolution.

    Args:
        norm: Of the convolution's outputs.
        conv: With more than one block.
        x: As of the convolution.
    """
    weight, bias = conv.repeated()
    scale = torch.rsqrt(norm.running_var + norm.eps)
    if norm.affine:
        scale = scale * norm.weight
    shift = (0 if bias is None else bias) - norm.running_mean
    shift = shift * scale + (norm.bias if norm.affine else 0)
    return conv.convolve_groups(x, weight * scale[:, None, None, None], shift)


def plugins_of_stage(plugins: Sequence[dict], stage: int, num_stages: int) -> list[dict]:
    """Return the plugins that a stage has; without ``stages`` a plugin is in all of them."""
    for plugin in plugins:
        if plugin.get('position') not in PLUGIN_POSITIONS:
            raise ValueError(f'plugins: position={plugin.get("position")!r} must be one of {PLUGIN_POSITIONS}')
        if plugin.get('stages') is not None and len(plugin['stages']) != num_stages:
            raise ValueError(f'plugins: stages={plugin["stages"]!r} must hold one bool for each of {num_stages} stages')
    return [plugin for plugin in plugins if plugin.get('stages') is None or plugin['stages'][stage]]


def width_of(planes: int, base_width: int) -> int:
    """Return w = p x base width / 64, the width of a split in a stage of p planes."""
    if planes * base_width % 64:
        raise ValueError(f'base_width={base_width} gives splits of {planes * base_width / 64} channels')
    return planes * base_width // 64


def tied_conv(layer: str, in_channels: int, out_channels: int, kernel_size: int, blocks: int, **kwargs) -> ConvModule:
    """Return a tied convolution with norm and ReLU, whose error for an indivisible width names the layer."""
    try:
        return TiedConvModule(
            in_channels, out_channels, kernel_size, conv_cfg=dict(type='TiedConv', blocks=blocks), **kwargs
        )
    except ValueError as error:
        raise ValueError(f'{layer}: {error}') from error
