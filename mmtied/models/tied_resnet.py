"""TiedResNet: ResNet with tied block convolutions in its bottlenecks.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Fig. 4a. No code of this network was published: the bottleneck is reconstructed
from the text and fitted to all published parameter and FLOP counts; docs/architecture.md says how sure each part is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import ModuleList
from mmengine.registry import MODELS
from torch import Tensor, nn

from .bottleneck import Bottleneck, tied_conv, width_of
from .residual_backbone import ResidualBackbone, each_stage

MIXERS = ('sum', 'concat', 'none')


class TiedBottleneck(Bottleneck):
    """Entry, splits with their own numbers of blocks, mixer, exit.

    1. entry: 1x1 TBC, in -> W = splits x w channels;
    2. splits: W is cut into chunks of w channels, each through a 3x3 TBC with its own B;
    3. mixer: the sum (or concatenation) of the splits' outputs through one more 3x3 TBC to w channels, concatenated
       to the splits' outputs as a further branch;
    4. exit: an ordinary 1x1 convolution to 4 x planes channels.

    Args:
        in_channels: Channels of the input.
        planes: p; the width of a split is w = p x base_width / 64, the output has 4 p channels.
        stride, dilation: Of the 3x3 convolutions of the splits; with style 'caffe' the entry has the stride.
        style, conv_cfg, norm_cfg: As in ``ResidualBackbone``.
        base_width, blocks, entry_blocks, mixer, mixer_blocks: As in :class:`TiedResNet`.
        groups: G of each split's convolution, which is a TGC above 1. Defaults to 1.
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
        blocks: Sequence[int],
        entry_blocks: int,
        mixer: str,
        mixer_blocks: int,
        groups: int = 1,
        **frame,
    ) -> None:
        super().__init__(**frame)
        self.width = width = width_of(planes, base_width)
        entry_stride, split_stride = (stride, 1) if style == 'caffe' else (1, stride)
        entry_width = len(blocks) * width
        self.entry = tied_conv(
            'entry',
            in_channels,
            out_channels=entry_width,
            kernel_size=1,
            blocks=entry_blocks,
            stride=entry_stride,
            norm_cfg=norm_cfg,
        )
        self.splits = ModuleList(
            tied_conv(
                f'splits.{i}',
                width,
                out_channels=width,
                kernel_size=3,
                blocks=split_blocks,
                stride=split_stride,
                padding=dilation,
                dilation=dilation,
                groups=groups,
                norm_cfg=norm_cfg,
            )
            for i, split_blocks in enumerate(blocks)
        )
        self.mixer_input = mixer
        if mixer != 'none':
            mixed_width = width if mixer == 'sum' else entry_width
            self.mixer = tied_conv(
                'mixer',
                mixed_width,
                out_channels=width,
                kernel_size=3,
                blocks=mixer_blocks,
                padding=1,
                norm_cfg=norm_cfg,
            )
        exit_width = entry_width + (width if mixer != 'none' else 0)
        out_channels = planes * self.expansion
        self.exit = ConvModule(exit_width, out_channels, 1, conv_cfg=conv_cfg, norm_cfg=norm_cfg, act_cfg=None)
        self.build_plugins(entry_width, exit_width, out_channels)

    def residual(self, x: Tensor) -> Tensor:
        x = self.plug(self.entry(x), 'after_conv1')  # (N, W, H, W)
        outs = [
            split(x[:, i * self.width : (i + 1) * self.width]) for i, split in enumerate(self.splits)
        ]  # (N, w, H', W')
        if self.mixer_input == 'sum':
            outs.append(self.mixer(sum(outs[1:], outs[0])))
        elif self.mixer_input == 'concat':
            outs.append(self.mixer(torch.cat(outs, 1)))
        x = self.plug(torch.cat(outs, 1), 'after_conv2')  # (N, (splits + 1) w, H', W')
        return self.plug(self.exit(x), 'after_conv3')

    def last_norm(self) -> nn.Module:
        return self.exit.norm


@MODELS.register_module()
class TiedResNet(ResidualBackbone):
    """TiedResNet for detection and classification, in place of mmdet's and mmpretrain's ``ResNet``.

    The defaults are TiedResNet-50; ``depth=101`` and 152 likewise. TiedResNet-50-S and -101-S are
    ``base_width=18, blocks=(1, 1, 3, 6), mixer_blocks=1``.

    The published parts are splits, base width, the blocks at 4 splits, ``entry_blocks`` and the choice of the mixer;
    ``shortcut_blocks``, ``mixer_blocks`` and all blocks of other widths are fitted to the published counts.

    Args:
        depth: 26, 50, 101 or 152; 26, with two blocks a stage, is for small machines and is not published.
            Defaults to 50.
        splits: Chunks that a bottleneck's 3x3 convolutions are cut into. Defaults to 4.
        base_width: Width of a split where a stage has 64 planes; in the following stages it doubles with the planes.
            Defaults to 32.
        blocks: B of each split's 3x3 TBC, or a list of such lists, one for each stage. Defaults to (1, 2, 4, 8) in
            all stages.
        entry_blocks: B of the 1x1 TBC that enters a bottleneck; as the two below, one number or one for each stage.
            Defaults to 2.
        shortcut_blocks: B of the 1x1 TBC of a projection shortcut. Defaults to 2.
        mixer: What enters the mixer: the 'sum' of the splits' outputs, their 'concat', or 'none' for no mixer
            (Table 6). Defaults to 'sum'.
        mixer_blocks: B of the mixer's 3x3 TBC. Defaults to 2.
        num_stages: Stages, 1 to 4. Defaults to 4.
        **kwargs: Arguments of mmdet's ResNet: ``in_channels, stem_channels, base_channels, strides, dilations,
            out_indices, style, deep_stem, avg_down, frozen_stages, conv_cfg, norm_cfg, norm_eval, plugins, with_cp,
            zero_init_residual, init_cfg``, see :class:`~mmtied.models.residual_backbone.ResidualBackbone`. A ``dcn``
            is refused: a deformable convolution has no tied form.
        block_cfg: What the block of a subclass takes beyond these. Defaults to None.

    Shape:
        Input (N, 3, H, W). Output by default (N, 256, H/4, W/4), (N, 512, H/8, W/8), (N, 1024, H/16, W/16) and
        (N, 2048, H/32, W/32).

    Raises:
        ValueError: If an argument is out of its range, or a width cannot be cut into its blocks; the message names
            the layer, its channels and its blocks.

    Example:
        >>> import torch
        >>> from mmtied.models import TiedResNet
        >>> backbone = TiedResNet(depth=50, base_width=18, blocks=(1, 1, 3, 6), mixer_blocks=1).eval()
        >>> [tuple(out.shape) for out in backbone(torch.zeros(1, 3, 64, 64))]
        [(1, 256, 16, 16), (1, 512, 8, 8), (1, 1024, 4, 4), (1, 2048, 2, 2)]
    """

    block: type[Any] = TiedBottleneck

    def __init__(
        self,
        depth: int = 50,
        splits: int = 4,
        base_width: int = 32,
        blocks: Sequence[int] | Sequence[Sequence[int]] = (1, 2, 4, 8),
        entry_blocks: int | Sequence[int] = 2,
        shortcut_blocks: int | Sequence[int] = 2,
        mixer: str = 'sum',
        mixer_blocks: int | Sequence[int] = 2,
        num_stages: int = 4,
        block_cfg: dict | None = None,
        **kwargs,
    ) -> None:
        cls = type(self)
        if mixer not in MIXERS:
            raise ValueError(f'{cls.__name__}: mixer={mixer!r} must be one of {MIXERS}')
        of_stages = zip(
            split_blocks(cls, blocks, splits=splits, num_stages=num_stages),
            each_stage(cls, 'entry_blocks', value=entry_blocks, num_stages=num_stages),
            each_stage(cls, 'mixer_blocks', value=mixer_blocks, num_stages=num_stages),
        )
        block_cfgs = [
            dict(
                base_width=base_width,
                blocks=stage_blocks,
                entry_blocks=stage_entry,
                mixer=mixer,
                mixer_blocks=stage_mixer,
                **block_cfg or {},
            )
            for stage_blocks, stage_entry, stage_mixer in of_stages
        ]
        super().__init__(depth, block_cfgs, shortcut_blocks, num_stages=num_stages, **kwargs)


def split_blocks(cls: type[TiedResNet], blocks: Sequence, splits: int, num_stages: int) -> list[Sequence[int]]:
    """Return the blocks of the splits for each stage, of an argument that holds one list for all or one for each."""
    each = isinstance(blocks, Sequence) and all(isinstance(stage, Sequence) for stage in blocks)
    stages = list(blocks) if each else [blocks] * num_stages
    if len(stages) != num_stages or not all(isinstance(stage, Sequence) and len(stage) == splits for stage in stages):
        raise ValueError(
            f'{cls.__name__}: blocks={blocks!r} must hold one number for each of splits={splits}, or such a list for '
            f'each of {num_stages} stages'
        )
    return stages
