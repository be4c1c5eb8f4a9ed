"""Tied block fully connected layer (TFC): tied block convolution without space.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021.
"""

from __future__ import annotations

import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import Tensor, nn

from .blocks import check_divisible


@MODELS.register_module()
class TiedLinear(nn.Linear):
    """A fully connected layer whose connections are shared by ``blocks`` equal blocks of features.

    B² fewer parameters and B times fewer FLOPs than ``nn.Linear``; the bias is shared as the weight is.
    ``blocks=1`` is exactly ``nn.Linear``.

    Args:
        in_features: Features of the input, divisible by ``blocks``.
        out_features: Features of the output, divisible by ``blocks``.
        bias, device, dtype: As in ``nn.Linear``.
        blocks: B, the number of equal blocks that share the connections. Defaults to 1.

    Attributes:
        weight: Of shape (out_features / B, in_features / B).
        bias: Of shape (out_features / B,), or None.

    Shape:
        Input (..., in_features), output (..., out_features).

    Raises:
        ValueError: If ``blocks`` does not divide the features.

    Example:
        >>> import torch
        >>> from mmtied.layers import TiedLinear
        >>> layer = TiedLinear(64, 16, blocks=4)
        >>> tuple(layer.weight.shape), tuple(layer(torch.zeros(2, 64)).shape)
        ((4, 16), (2, 16))
    """

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, device=None, dtype=None, *, blocks: int = 1
    ) -> None:
        meaning = f'blocks={blocks}'
        check_divisible('TiedLinear', blocks, meaning, in_features=in_features, out_features=out_features)
        super().__init__(in_features // blocks, out_features // blocks, bias=bias, device=device, dtype=dtype)
        self.in_features = in_features
        self.out_features = out_features
        self.blocks = int(blocks)  # It may be numpy's.

    def forward(self, x: Tensor) -> Tensor:
        if self.blocks == 1:
            return F.linear(x, self.weight, self.bias)
        x = x.unflatten(-1, (self.blocks, self.in_features // self.blocks))
        return F.linear(x, self.weight, self.bias).flatten(-2)

    def extra_repr(self) -> str:
        return f'{super().extra_repr()}, blocks={self.blocks}'
