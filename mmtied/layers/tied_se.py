"""Squeeze-and-excitation with tied fully connected layers (TiedSE).

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Fig. 5a; Hu, Shen, Sun: "Squeeze-and-Excitation Networks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmcv.cnn import build_activation_layer
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import Tensor

from .blocks import check_divisible
from .tied_linear import TiedLinear


@MODELS.register_module()
class TiedSE(BaseModule):
    """Channel attention: average pool, TFC, ReLU, TFC, sigmoid, scale.

    The pooled channels are cut into B equal blocks, and one pair of layers C/B -> C/(B r) -> C/B serves them all:
    B² fewer parameters than the squeeze-and-excitation block, which ``blocks=1`` is.

    As a plugin of a residual block: ``plugins=[dict(cfg=dict(type='TiedSE', blocks=4), position='after_conv3')]``.

    Args:
        in_channels: C, the channels of the input and of the output, divisible by ``blocks * ratio``.
        blocks: B, the number of equal blocks that share the layers. Defaults to 4.
        ratio: r, the reduction from C to the squeezed channels. Defaults to 16 (Table 3).
        squeeze_channels: The squeezed channels themselves, divisible by ``blocks``. Defaults to None: C / r.
        act_cfg: Activations behind the two layers. Defaults to ReLU and sigmoid.
        init_cfg: mmengine's initialisation config. Defaults to None: torch's own of ``nn.Linear``.

    Shape:
        Input and output (N, C, H, W).

    Raises:
        ValueError: If ``blocks * ratio`` does not divide the channels, or ``blocks`` the squeezed channels.

    Example:
        >>> import torch
        >>> from mmtied.layers import TiedSE
        >>> tuple(TiedSE(256, blocks=4)(torch.zeros(2, 256, 8, 8)).shape)
        (2, 256, 8, 8)
    """

    def __init__(
        self,
        in_channels: int,
        blocks: int = 4,
        ratio: int = 16,
        squeeze_channels: int | None = None,
        act_cfg: Sequence[dict] = (dict(type='ReLU'), dict(type='Sigmoid')),
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        check_divisible('TiedSE', blocks, f'blocks={blocks}')
        if squeeze_channels is None:
            check_divisible('TiedSE', blocks * ratio, f'blocks={blocks} x ratio={ratio}', in_channels=in_channels)
            squeeze_channels = in_channels // ratio
        channels = dict(in_channels=in_channels, squeeze_channels=squeeze_channels)
        check_divisible('TiedSE', blocks, f'blocks={blocks}', **channels)
        self.squeeze = TiedLinear(in_channels, squeeze_channels, blocks=blocks)
        self.excite = TiedLinear(squeeze_channels, in_channels, blocks=blocks)
        self.activate, self.gate = (build_activation_layer(dict(cfg)) for cfg in act_cfg)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.gate(self.excite(self.activate(self.squeeze(x.mean((2, 3))))))  # (N, C)
        return x * scale[:, :, None, None]
