"""TiedResNeSt: ResNeSt with tied block convolutions in its entry, split attention and shortcut.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Fig. 4c; Zhang et al.: "ResNeSt: Split-Attention Networks",
https://arxiv.org/abs/2004.08955. Reconstructed; docs/architecture.md says how sure each part is.
"""

from __future__ import annotations

from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor, nn

from .bottleneck import Bottleneck, tied_conv, width_of
from .residual_backbone import ResidualBackbone


class TiedSplitAttention(BaseModule):
    """A 3x3 TBC to ``radix`` maps, and their sum weighted per channel by a softmax over the maps.

    Args:
        width: w, the channels of the input and of each map.
        radix: Number of maps.
        reduction_factor: The attention has radix x w / reduction_factor hidden channels, and 32 at least.
        blocks: B of the TBC.
        dilation: Of the TBC.
        conv_cfg, norm_cfg: Of the two 1x1 convolutions of the attention.

    Shape:
        Input and output (N, w, H, W).
    """

    def __init__(
        self,
        width: int,
        radix: int,
        reduction_factor: int,
        blocks: int,
        dilation: int,
        conv_cfg: dict | None,
        norm_cfg: dict,
    ) -> None:
        super().__init__()
        self.width, self.radix = width, radix
        hidden = max(radix * width // reduction_factor, 32)
        self.conv = tied_conv(
            'split attention',
            width,
            out_channels=radix * width,
            kernel_size=3,
            blocks=blocks,
            padding=dilation,
            dilation=dilation,
            norm_cfg=norm_cfg,
        )
        self.squeeze = ConvModule(width, hidden, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg)
        self.excite = ConvModule(hidden, radix * width, 1, conv_cfg=conv_cfg, act_cfg=None)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.conv(x)
        maps = maps.view(-1, self.radix, self.width, maps.shape[-2], maps.shape[-1])  # (N, radix, w, H, W)
        pooled = maps.sum(1).mean((2, 3), keepdim=True)  # (N, w, 1, 1)
        weights = self.excite(self.squeeze(pooled)).view(-1, self.radix, self.width, 1, 1)  # (N, radix, w, 1, 1)
        weights = weights.softmax(1) if self.radix > 1 else weights.sigmoid()
        return (weights * maps).sum(1)


class TiedSplitAttentionBottleneck(Bottleneck):
    """Entry, average pooling where the block has a stride, split attention, exit.

    Args:
        in_channels: Channels of the input.
        planes: p; the branch is w = p x base_width / 64 channels wide, the output has 4 p channels.
        stride: Of the average pooling. dilation: Of the 3x3 convolution.
        style: Only 'pytorch'.
        conv_cfg, norm_cfg: As in ``ResidualBackbone``.
        base_width, radix, reduction_factor, blocks, entry_blocks: As in :class:`TiedResNeSt`.
        **frame: As in ``Bottleneck``.

    Shape:
        Input (N, in_channels, H, W), output (N, 4 p, H / stride, W / stride).
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
        radix: int,
        reduction_factor: int,
        blocks: int,
        entry_blocks: int,
        **frame,
    ) -> None:
        super().__init__(**frame)
        if style != 'pytorch':
            raise ValueError(f"style={style!r} must be 'pytorch': the stride is that of an average pooling")
        width = width_of(planes, base_width)
        self.entry = tied_conv(
            'entry', in_channels, out_channels=width, kernel_size=1, blocks=entry_blocks, norm_cfg=norm_cfg
        )
        self.pool = nn.AvgPool2d(3, stride, padding=1) if stride > 1 else None
        self.attention = TiedSplitAttention(
            width,
            radix,
            reduction_factor=reduction_factor,
            blocks=blocks,
            dilation=dilation,
            conv_cfg=conv_cfg,
            norm_cfg=norm_cfg,
        )
        out_channels = planes * self.expansion
        self.exit = ConvModule(width, out_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=None)
        self.build_plugins(width, width, out_channels)

    def residual(self, x: Tensor) -> Tensor:
        x = self.plug(self.entry(x), 'after_conv1')  # (N, w, H, W)
        if self.pool is not None:
            x = self.pool(x)
        x = self.plug(self.attention(x), 'after_conv2')  # (N, w, H', W')
        return self.plug(self.exit(x), 'after_conv3')

    def last_norm(self) -> nn.Module:
        return self.exit.norm


@MODELS.register_module()
class TiedResNeSt(ResidualBackbone):
    """TiedResNeSt for detection and classification. The defaults are TiedResNeSt-50-S.

    It follows the "fast" variant of ResNeSt, which pools before the 3x3 convolution. That convolution is a TBC whose
    blocks take the place of the groups that ResNeSt has for its radix. The text gives B = 2 for "all 3x3" and the
    entry; the form of the 3x3 and the tied shortcut are fitted to the published counts.

    The attention has a norm behind pooled features: with batch norm, train with two images a GPU or more.

    Args:
        depth: As in :class:`TiedResNet`. Defaults to 50.
        base_width: Width of the branch where a stage has 64 planes. Defaults to 64.
        radix: Maps that the split attention weighs. Defaults to 2.
        reduction_factor: Reduction of the attention's hidden channels. Defaults to 4.
        blocks: B of the 3x3 TBC. Defaults to 2.
        entry_blocks: B of the 1x1 TBC that enters a bottleneck. Defaults to 2.
        shortcut_blocks: B of the 1x1 TBC of a projection shortcut. Defaults to 2.
        deep_stem: Whether the stem has three 3x3 convolutions. Defaults to True.
        avg_down: Whether the projection shortcut averages before an unstrided 1x1. Defaults to True.
        **kwargs: The other arguments of mmdet's ResNet, as in :class:`TiedResNet`; ``style`` can only be 'pytorch'.

    Shape:
        As in :class:`TiedResNet`.

    Raises:
        ValueError: As in :class:`TiedResNet`.
    """

    block = TiedSplitAttentionBottleneck

    def __init__(
        self,
        depth: int = 50,
        base_width: int = 64,
        radix: int = 2,
        reduction_factor: int = 4,
        blocks: int = 2,
        entry_blocks: int = 2,
        shortcut_blocks: int = 2,
        deep_stem: bool = True,
        avg_down: bool = True,
        **kwargs,
    ) -> None:
        block_cfg = dict(
            base_width=base_width,
            radix=radix,
            reduction_factor=reduction_factor,
            blocks=blocks,
            entry_blocks=entry_blocks,
        )
        super().__init__(depth, block_cfg, shortcut_blocks, deep_stem=deep_stem, avg_down=avg_down, **kwargs)
