"""Tied block convolution (TBC) and tied block group convolution (TGC).

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Eq. 3 and 4.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import get_proxy_mode

from .blocks import check_divisible


@MODELS.register_module(name=['TiedConv', 'TiedConv2d'])
class TiedConv2d(nn.Conv2d):
    """A 2D convolution whose filters span one block of channels and are shared by all ``blocks`` of them.

    The input channels are cut into B equal blocks, every block is convolved with the same filters, and the results
    are concatenated (Eq. 3): B² fewer parameters and B times fewer FLOPs than ``nn.Conv2d``. With ``groups`` > 1 it
    is the tied block group convolution (Eq. 4): the channels are cut into G groups first, each group into B blocks,
    and the blocks of a group share the group's filters; the channel order is group-major, in and out.

    The bias belongs to the filters and is shared with them. ``blocks=1`` is exactly ``nn.Conv2d``: same outputs, same
    state dict. All arguments of ``nn.Conv2d`` have their ordinary meaning; in an mmcv ``ConvModule`` use
    ``conv_cfg=dict(type='TiedConv', blocks=2)``.

    Args:
        in_channels: Channels of the input, divisible by ``blocks * groups``.
        out_channels: Channels of the output, divisible by ``blocks * groups``.
        kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype: As in ``nn.Conv2d``.
        blocks: B, the number of equal blocks that share the filters. Defaults to 1.

    Attributes:
        weight: Of shape (out_channels / B, in_channels / (B G), k, k).
        bias: Of shape (out_channels / B,), or None.

    Shape:
        Input (N, in_channels, H, W) or (in_channels, H, W), output (N, out_channels, H', W') or
        (out_channels, H', W'), with H' and W' as in ``nn.Conv2d``.

    Raises:
        ValueError: If ``blocks * groups`` does not divide the channels.

    Example:
        >>> import torch
        >>> from mmtied.layers import TiedConv2d
        >>> conv = TiedConv2d(64, 128, 3, padding=1, blocks=4)
        >>> tuple(conv.weight.shape), tuple(conv(torch.zeros(2, 64, 8, 8)).shape)
        ((32, 16, 3, 3), (2, 128, 8, 8))
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = 'zeros',
        device=None,
        dtype=None,
        *,
        blocks: int = 1,
    ) -> None:
        check_divisible('TiedConv2d', blocks, f'blocks={blocks}')
        meaning = f'blocks={blocks}' if groups == 1 else f'blocks={blocks} x groups={groups}'
        check_divisible('TiedConv2d', blocks * groups, meaning, in_channels=in_channels, out_channels=out_channels)
        super().__init__(
            in_channels // blocks,
            out_channels // blocks,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
            device=device,
            dtype=dtype,
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.blocks = int(blocks)  # It may be numpy's.
        # Nothing but a place in the graph: mmengine's `efficient_conv_bn_eval` looks for the module in front of every
        # norm, and finds the functions of :meth:`forward` otherwise.
        self.output = nn.Identity()
        self._choose_form()

    def _apply(self, fn: Callable, recurse: bool = True) -> TiedConv2d:
        # A move to another device or memory layout: from now on the form that suits it.
        super()._apply(fn, recurse)
        self._choose_form()
        return self

    def _choose_form(self) -> None:
        """Decide between the two forms by where the weight lies, so that tracing a network finds no decision."""
        contiguous = self.weight.stride(3) == 1  # channels last it is the number of input channels
        self.folds = self.blocks > 1 and self.groups == 1 and self.weight.is_cuda and contiguous

    def forward(self, x: Tensor) -> Tensor:
        if self.blocks == 1:
            return self.output(self._conv_forward(x, self.weight, self.bias))
        if torch.jit.is_scripting():  # What is scripted may be moved to another device.
            return self.output(self.repeat_filters(x))
        return self.output(self.fold_blocks(x) if self.folds else self.repeat_filters(x))

    def repeated(self) -> tuple[Tensor, Tensor | None]:
        """Return weight and bias of the convolution in B x G groups that computes the same.

        Returns:
            The weight, (out, in / (B G), k, k), and the bias, (out,) or None, with a group's filters once for each of
            its blocks.
        """
        groups, blocks = self.groups, self.blocks
        filters, channels = self.out_channels // (blocks * groups), self.in_channels // (blocks * groups)
        height, width = self.kernel_size
        weight = self.weight.view(groups, 1, filters, channels, height, width)
        weight = weight.expand(-1, blocks, -1, -1, -1, -1).reshape(-1, channels, height, width)
        bias = self.bias
        if bias is not None:
            # By indices, since torch's compiler takes no view of a tensor for a bias.
            index = torch.arange(self.out_channels, device=bias.device)
            bias = bias.index_select(0, index // (blocks * filters) * filters + index % filters)
        return weight, bias

    def repeat_filters(self, x: Tensor) -> Tensor:
        """Convolve in B x G groups, with the filters of a group repeated for each of its blocks.

        It reads any memory layout without a copy of the features and serves groups as well. On a CPU it is up to 2.7
        times as quick as :meth:`fold_blocks`, and nowhere takes more than 1.3 times its time
        (``benchmarks/results/tied_conv_forms_cpu.csv``).

        Args:
            x: As of the layer.
        """
        weight, bias = self.repeated()
        return self.convolve_groups(x, weight, bias)

    def convolve_groups(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Convolve in B x G groups.

        Args:
            x: As of the layer.
            weight, bias: As :meth:`repeated` returns them.
        """
        groups = self.blocks * self.groups
        if self.padding_mode == 'zeros':
            return F.conv2d(x, weight, bias, self.stride, self.padding, self.dilation, groups)
        x = F.pad(x, self._reversed_padding_repeated_twice, mode=self.padding_mode)
        return F.conv2d(x, weight, bias, self.stride, (0, 0), self.dilation, groups)

    def fold_blocks(self, x: Tensor) -> Tensor:
        """Convolve the blocks as if they were samples: one dense convolution over a view of contiguous features.

        On CUDA this is the published form: its time stays level where that of group convolution grows with the
        number of groups (Fig. 3). Features of another layout are copied, and in a graph that is to hold for every
        layout (``is_recorded``) all are.

        Args:
            x: As of the layer, which has no groups.
        """
        blocks = (self.blocks,)
        recorded = is_recorded()
        if recorded:
            x = x.clone(memory_format=torch.contiguous_format)
        folded = x.unflatten(-3, blocks + (-1,)).flatten(0, -4)  # (N B, in / B, H, W)
        folded = self._conv_forward(folded, self.weight, self.bias)
        if recorded:
            folded = folded.clone(memory_format=torch.contiguous_format)
        return folded.unflatten(0, x.shape[:-3] + blocks).flatten(-4, -3)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, blocks={self.blocks}'


def is_recorded() -> bool:
    """Return whether ``torch.export`` or ``make_fx`` records the operators that run.

    They write down whether a change of shape was a view or a copy, which the layout of the features decides.
    ``torch.compile`` looks at the layout before it uses what it recorded; other tracers write down the change itself.
    """
    # Inside of the compiler, the public function of this flag is always true.
    exporting = getattr(torch.compiler, '_is_exporting_flag', False)
    return exporting or (not torch.compiler.is_compiling() and get_proxy_mode() is not None)
