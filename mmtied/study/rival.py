"""The other reading of the publication's bottleneck: every branch sees the whole entry.

The text says "split the filters" in one place and "split the input feature map" in another. ``TiedResNet`` takes the
second; this is the first, kept here for the comparison alone. docs/architecture.md has the evidence.
"""

from __future__ import annotations

from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList, Sequential
from mmengine.registry import MODELS
from torch import Tensor, nn

from ..models.bottleneck import Bottleneck, tied_conv, width_of
from ..models.tied_resnet import TiedResNet

MIXER_LAYERS = 3


class WholeEntryBottleneck(Bottleneck):
    """Entry, branches that each see all of it, a mixer that is added to every branch, exit.

    1. entry: 1x1 TBC, in -> 2 w channels;
    2. branches: each a 3x3 TBC, 2 w -> w channels, with its own B;
    3. mixer: the sum of the branches through three 3x3 TBC, added to each branch;
    4. exit: an ordinary 1x1 convolution, branches x w -> 4 x planes channels.

    Args:
        in_channels, planes, **kwargs: As in ``TiedBottleneck``; the mixer is always the sum.
    """

    def __init__(
        self,
        in_channels: int,
        planes: int,
        *,
        stride: int,
        dilation: int,
        style: str,
        conv_cfg: dict | None,
        norm_cfg: dict,
        base_width: int,
        blocks: tuple[int, ...],
        entry_blocks: int,
        mixer: str,
        mixer_blocks: int,
        **frame: Any,
    ) -> None:
        super().__init__(**frame)
        if (style, mixer) != ('pytorch', 'sum'):
            raise ValueError(f"style={style!r}, mixer={mixer!r} must be 'pytorch' and 'sum'")
        width = width_of(planes, base_width)
        self.entry = tied_conv(
            'entry', in_channels, out_channels=2 * width, kernel_size=1, blocks=entry_blocks, norm_cfg=norm_cfg
        )
        self.branches = ModuleList(
            tied_conv(
                f'branches.{i}',
                2 * width,
                out_channels=width,
                kernel_size=3,
                blocks=branch_blocks,
                stride=stride,
                padding=dilation,
                dilation=dilation,
                norm_cfg=norm_cfg,
            )
            for i, branch_blocks in enumerate(blocks)
        )
        layers = [
            tied_conv(
                f'mixer.{i}',
                width,
                out_channels=width,
                kernel_size=3,
                blocks=mixer_blocks,
                padding=1,
                norm_cfg=norm_cfg,
            )
            for i in range(MIXER_LAYERS)
        ]
        self.mixer = Sequential(*layers)
        out_channels = planes * self.expansion
        exit_width = len(blocks) * width
        self.exit = ConvModule(exit_width, out_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=None)
        self.build_plugins(2 * width, exit_width, out_channels)

    def residual(self, x: Tensor) -> Tensor:
        x = self.plug(self.entry(x), 'after_conv1')  # (N, 2 w, H, W)
        outs = [branch(x) for branch in self.branches]  # (N, w, H', W') each
        mixed = self.mixer(sum(outs[1:], outs[0]))
        x = self.plug(torch.cat([out + mixed for out in outs], 1), 'after_conv2')
        return self.plug(self.exit(x), 'after_conv3')

    def last_norm(self) -> nn.Module:
        return self.exit.norm


@MODELS.register_module()
class WholeEntryTiedResNet(TiedResNet):
    """TiedResNet with the other reading of the bottleneck; the arguments are those of ``TiedResNet``."""

    block = WholeEntryBottleneck
