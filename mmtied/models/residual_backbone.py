"""The frame of every tied backbone: ResNet's stem, stages and training habits around a bottleneck of its own.

It follows mmdet's ``ResNet`` argument by argument, but imports neither mmdet nor mmpretrain, so one class serves both
and needs no compiled operators.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule, Sequential, initialize
from torch import Tensor, nn
from torch.fx import symbolic_trace
from torch.nn.modules.batchnorm import _BatchNorm

from .bottleneck import Bottleneck, plugins_of_stage, tied_conv
from .pretrained import check_what_stays, in_order, run_steps, spell_out_below


class ResidualBackbone(BaseModule):
    """Stem and stages of ResNet around the bottleneck of a subclass, with mmdet's arguments and training habits.

    A subclass sets ``block`` and passes what only its block knows as ``block_cfg``. Arguments and attributes have the
    names of mmdet's, mmpretrain's and mmsegmentation's ``ResNet``; docs/architecture.md compares them one by one.

    Args:
        depth: 26, 50, 101 or 152, a key of ``blocks_by_depth``.
        block_cfg: Arguments of the block beyond the frame's own: of all blocks, or a list with those of each stage.
        shortcut_blocks: Blocks of the projection shortcut, one number or one for each stage. Defaults to 1, an
            ordinary convolution.
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
        dcn, stage_with_dcn: mmdet's deformable convolution. It has no tied form, so only None is taken.
        plugins: mmdet's plugins, a list of ``dict(cfg=dict(type=…), position='after_conv1|2|3', stages=…)``.
        with_cp: Whether to recompute blocks in the backward pass to save memory. Defaults to False.
        zero_init_residual: Whether every block starts as an identity. Defaults to True.
        drop_path_rate: mmpretrain's stochastic depth: the share of samples that leave out the last block's branch in
            training; it grows linearly from 0 at the first block. Defaults to 0.
        contract_dilation: mmsegmentation's: whether the first block of a dilated stage has half its dilation. Defaults
            to False.
        multi_grid: mmsegmentation's: the dilation of each block of the last stage, instead of the stage's. Defaults to
            None.
        pretrained: The checkpoint of ``init_cfg=dict(type='Pretrained', checkpoint=…)``, as older configs write it and
            mmsegmentation's models hand it on. Defaults to None.
        init_cfg: mmengine's initialisation config, such as ``dict(type='Pretrained', checkpoint=…)``. Defaults to
            None: Kaiming for the convolutions, 1 for the norms. Any other is applied on top of that.

    Attributes:
        block: The class of the blocks.
        blocks_by_depth: How many blocks each stage has, by depth.
        stage_blocks: How many blocks each stage of this network has.
        res_layers: The names of the stages, 'layer1' and so on.
        feat_dim: Channels behind the last stage.

    Shape:
        Input (N, in_channels, H, W). Output a tuple with (N, 4 * base_channels * 2^i, H / s_i, W / s_i) for every
        i of ``out_indices``, where s_i is 4, 8, 16, 32 with the default strides.

    Raises:
        ValueError: If an argument is out of its range; the message names it and the values that are right.
    """

    block: type[Any]  # A Bottleneck; what it takes beyond the frame's arguments, only its backbone knows.
    init_cfg: dict | list[dict] | None
    blocks_by_depth = {26: (2, 2, 2, 2), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}

    def __init__(
        self,
        depth: int,
        block_cfg: dict | Sequence[dict],
        shortcut_blocks: int | Sequence[int] = 1,
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
        dcn: None = None,
        stage_with_dcn: Sequence[bool] = (False, False, False, False),
        plugins: Sequence[dict] | None = None,
        with_cp: bool = False,
        zero_init_residual: bool = True,
        drop_path_rate: float = 0.0,
        contract_dilation: bool = False,
        multi_grid: Sequence[int] | None = None,
        pretrained: str | None = None,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg_of(type(self), pretrained, init_cfg))
        check_arguments(
            type(self),
            depth,
            num_stages=num_stages,
            strides=strides,
            dilations=dilations,
            out_indices=out_indices,
            style=style,
            frozen_stages=frozen_stages,
            drop_path_rate=drop_path_rate,
        )
        refuse_dcn(type(self), dcn, stage_with_dcn)
        norm_cfg = norm_cfg or dict(type='BN', requires_grad=True)
        stem_channels = stem_channels or base_channels
        self.depth = depth
        self.stem_channels = stem_channels
        self.base_channels = base_channels
        self.num_stages = num_stages
        self.strides = strides
        self.dilations = dilations
        self.out_indices = tuple(out_indices)
        self.style = style
        self.deep_stem = deep_stem
        self.avg_down = avg_down
        self.frozen_stages = frozen_stages
        self.conv_cfg = conv_cfg
        self.norm_cfg = norm_cfg
        self.norm_eval = norm_eval
        self.plugins = plugins
        self.with_cp = with_cp
        self.zero_init_residual = zero_init_residual
        self.contract_dilation = contract_dilation
        self.multi_grid = multi_grid
        self.stem = make_stem(in_channels, stem_channels, deep=deep_stem, conv_cfg=conv_cfg, norm_cfg=norm_cfg)

        channels = stem_channels
        self.res_layers = [f'layer{i + 1}' for i in range(num_stages)]
        self.stage_blocks = self.blocks_by_depth[depth][:num_stages]
        # As in mmpretrain, stages that are left out count.
        drop_path_rates = iter(
            torch.linspace(0, drop_path_rate, sum(self.blocks_by_depth[depth]), device='cpu').tolist()
        )
        block_cfgs = [block_cfg] * num_stages if isinstance(block_cfg, dict) else block_cfg
        shortcuts = each_stage(type(self), 'shortcut_blocks', value=shortcut_blocks, num_stages=num_stages)
        for i, name in enumerate(self.res_layers):
            planes = base_channels * 2**i
            out_channels = planes * self.block.expansion
            block_dilations = [dilations[i]] * self.stage_blocks[i]
            if contract_dilation and dilations[i] > 1:
                block_dilations[0] //= 2
            if multi_grid is not None and i == num_stages - 1:
                block_dilations = check_multi_grid(type(self), multi_grid, self.stage_blocks[i])
            blocks = []
            for j, dilation in enumerate(block_dilations):
                stride = strides[i] if j == 0 else 1
                try:
                    shortcut = None
                    if stride != 1 or channels != out_channels:
                        shortcut = make_shortcut(
                            channels,
                            out_channels,
                            stride=stride,
                            avg_down=avg_down,
                            blocks=shortcuts[i],
                            norm_cfg=norm_cfg,
                        )
                    block = self.block(
                        channels,
                        planes,
                        stride=stride,
                        dilation=dilation,
                        style=style,
                        shortcut=shortcut,
                        conv_cfg=conv_cfg,
                        norm_cfg=norm_cfg,
                        plugins=plugins_of_stage(plugins or (), i, num_stages),
                        with_cp=with_cp,
                        zero_init_residual=zero_init_residual,
                        drop_path_rate=next(drop_path_rates),
                        **block_cfgs[i],
                    )
                except ValueError as error:
                    raise ValueError(f'{type(self).__name__} {name}.{j}: {error}') from error
                blocks.append(block)
                channels = out_channels
            self.add_module(name, Sequential(*blocks))
        self.feat_dim = channels
        self._freeze_stages()

    def init_weights(self) -> None:
        """Initialise once: Kaiming, then ``init_cfg``, then the zeros of blocks and plugins, then checkpoints.

        What is frozen, or kept by ``norm_eval``, without weights from a checkpoint is said in a warning.

        Raises:
            ValueError: If a checkpoint holds none of the backbone's tensors, as an untied network's does, or not all
                that are frozen.
        """
        if self.is_init:
            return super().init_weights()  # It warns.
        init_cfg = self.init_cfg
        first, last = in_order(init_cfg)
        spell_out_below(self)
        self.init_cfg = first
        super().init_weights()
        self.init_cfg = init_cfg
        # Once more after the children, whose ConvModules initialise themselves.
        if first:
            initialize(self, first)
        for module in self.modules():
            if isinstance(module, Bottleneck):
                module.init_last(anew=bool(first))
        loaded, new = run_steps(self, last)
        check_what_stays(self, loaded, new)
        return None

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        outs = []
        for i, name in enumerate(self.res_layers):
            x = getattr(self, name)(x)
            if i in self.out_indices:
                outs.append(x)
        return tuple(outs)

    @property
    def conv1(self) -> nn.Module:
        """The convolution of a stem that has one; as in mmdet, a deep stem's are in ``stem`` alone."""
        return self.stem[0].conv if not self.deep_stem else self.__getattr__('conv1')

    @property
    def norm1(self) -> nn.Module:
        """The norm of a stem that has one; as in mmdet, a deep stem's are in ``stem`` alone."""
        return self.stem[0].norm if not self.deep_stem else self.__getattr__('norm1')

    @property
    def maxpool(self) -> nn.Module:
        """The pooling that ends the stem."""
        return self.stem[-1]

    def get_layer_depth(self, param_name: str, prefix: str = '') -> tuple[int, int]:
        """Return how deep a parameter lies, for learning rates that decay from layer to layer.

        ``LearningRateDecayOptimWrapperConstructor`` of mmpretrain asks for it. The numbers are those of its ResNet:
        the stem is 0, and two to four blocks in a row have one number.

        Args:
            param_name: Its name in the model.
            prefix: That of the backbone in the model, such as 'backbone.'. Defaults to ''.

        Returns:
            The parameter's number, and how many numbers there are, that of what follows the backbone included.
        """
        together = (3, 4, 4, 3) if self.depth == 152 else (3, 2, 3, 3)
        numbers = [math.ceil(blocks / k) for blocks, k in zip(self.stage_blocks, together)]
        head = 1 + sum(numbers)
        stage, _, rest = param_name.removeprefix(prefix).partition('.')
        if not param_name.startswith(prefix):
            number = head
        elif stage in self.res_layers:
            i = self.res_layers.index(stage)
            number = 1 + sum(numbers[:i]) + int(rest.partition('.')[0]) // together[i]
        else:
            number = 0
        return number, head + 1

    def __prepare_scriptable__(self) -> nn.Module:
        # TorchScript reads neither mmcv's ConvModule nor plugins that are found by their names; a graph it does, if no
        # argument is annotated by text.
        traced = symbolic_trace(self)
        for node in traced.graph.nodes:
            node.type = None
        traced.recompile()
        return traced

    def _freeze_stages(self) -> None:
        frozen = [self.stem, *(getattr(self, name) for name in self.res_layers)][: self.frozen_stages + 1]
        for module in frozen:
            module.eval()
            module.requires_grad_(False)

    def train(self, mode: bool = True) -> ResidualBackbone:
        """Set the mode, but keep frozen stages, and batch norms if ``norm_eval``, as they are in evaluation.

        Args:
            mode: Whether it is that of training. Defaults to True.
        """
        super().train(mode)
        self._freeze_stages()
        if mode and self.norm_eval:
            for module in self.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()
        return self


def check_arguments(
    cls: type[ResidualBackbone],
    depth: int,
    num_stages: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    out_indices: Sequence[int],
    style: str,
    frozen_stages: int,
    drop_path_rate: float,
) -> None:
    """Raise an error that names the argument, its value and what would be right."""
    rules = [
        ('depth', depth, depth in cls.blocks_by_depth, f'one of {tuple(cls.blocks_by_depth)}'),
        ('num_stages', num_stages, 1 <= num_stages <= 4, '1 to 4'),
        ('strides', strides, len(strides) == num_stages, f'{num_stages} numbers, one for each stage'),
        ('dilations', dilations, len(dilations) == num_stages, f'{num_stages} numbers, one for each stage'),
        (
            'out_indices',
            out_indices,
            bool(out_indices) and all(0 <= i < num_stages for i in out_indices),
            f'stages among {tuple(range(num_stages))}',
        ),
        ('style', style, style in ('pytorch', 'caffe'), "'pytorch' or 'caffe'"),
        ('frozen_stages', frozen_stages, -1 <= frozen_stages <= num_stages, f'-1 to {num_stages}'),
        ('drop_path_rate', drop_path_rate, 0 <= drop_path_rate < 1, '0 or more and below 1'),
    ]
    for name, value, holds, right in rules:
        if not holds:
            raise ValueError(f'{cls.__name__}: {name}={value!r} must be {right}')


def check_multi_grid(cls: type[ResidualBackbone], multi_grid: Sequence[int], blocks: int) -> list[int]:
    """Return the dilations of the blocks of a stage if there is one for each."""
    if len(multi_grid) != blocks:
        raise ValueError(
            f'{cls.__name__}: multi_grid={multi_grid!r} must be {blocks} numbers, one for each block of the last stage'
        )
    return list(multi_grid)


def init_cfg_of(
    cls: type[ResidualBackbone], pretrained: str | None, init_cfg: dict | list[dict] | None
) -> dict | list[dict] | None:
    """Return the ``init_cfg`` that ``pretrained``, its older form, stands for, or the one that is given."""
    if pretrained is None:
        return init_cfg
    if not isinstance(pretrained, str):
        raise ValueError(f'{cls.__name__}: pretrained={pretrained!r} must be the path of a checkpoint, or None')
    if init_cfg:
        raise ValueError(f'{cls.__name__}: pretrained={pretrained!r} and init_cfg={init_cfg!r}: only one can be given')
    return dict(type='Pretrained', checkpoint=pretrained)


def each_stage(cls: type[ResidualBackbone], name: str, value: int | Sequence[int], num_stages: int) -> Sequence[int]:
    """Return a number for each stage, of an argument that is one for all or a sequence with one for each."""
    if not isinstance(value, Sequence):
        return [value] * num_stages
    if len(value) != num_stages:
        raise ValueError(f'{cls.__name__}: {name}={value!r} must be a number, or one for each of {num_stages} stages')
    return value


def refuse_dcn(cls: type[ResidualBackbone], dcn: dict | None, stage_with_dcn: Sequence[bool]) -> None:
    """Raise an error if a config, as one made for mmdet's ResNet may, asks for deformable convolutions."""
    if dcn is not None or any(stage_with_dcn):
        raise ValueError(
            f'{cls.__name__}: dcn={dcn!r}, stage_with_dcn={stage_with_dcn!r}: a deformable convolution has no tied '
            'form; leave both out'
        )


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
    conv = tied_conv(
        'shortcut',
        in_channels,
        out_channels=out_channels,
        kernel_size=1,
        blocks=blocks,
        stride=stride,
        norm_cfg=norm_cfg,
        act_cfg=None,
    )
    return Sequential(*pool, conv)
