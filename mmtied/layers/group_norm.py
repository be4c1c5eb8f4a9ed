"""Group norm for any width: -S has 18 channels in a split, which 32 groups do not divide.

Wu, He: "Group Normalization", ECCV 2018, https://arxiv.org/abs/1803.08494.
"""

from __future__ import annotations

import math

from mmengine.registry import MODELS
from torch import nn


@MODELS.register_module()
class FittedGroupNorm(nn.GroupNorm):
    """Group norm in at most ``num_groups`` groups: as many as their greatest common divisor with the channels.

    Where ``num_groups`` divides the channels it is ``GN``, with its state dict; 18 channels in at most 16 groups are 2
    groups of 9. In a config it is the type of a norm, ``norm_cfg=dict(type='mmtied.FittedGroupNorm', num_groups=16)``.

    Args:
        num_channels: Channels of the features.
        num_groups: Groups at most. Defaults to 32.
        eps: Added to the variance. Defaults to 1e-5.
        affine: Whether channels have a weight and a bias that are learnt. Defaults to True.

    Shape:
        Input and output (N, num_channels, …).

    Example:
        >>> from mmtied.layers import FittedGroupNorm
        >>> [FittedGroupNorm(channels, 16).num_groups for channels in (18, 36, 64, 72)]
        [2, 4, 16, 8]
    """

    def __init__(self, num_channels: int, num_groups: int = 32, eps: float = 1e-5, affine: bool = True) -> None:
        super().__init__(math.gcd(num_channels, num_groups), num_channels, eps=eps, affine=affine)
