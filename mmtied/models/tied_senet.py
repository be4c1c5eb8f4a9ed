"""TiedSENet: the tied bottleneck with tied squeeze-and-excitation (TiedSE) behind its exit.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Fig. 5a; Hu, Shen, Sun: "Squeeze-and-Excitation Networks", CVPR 2018.
Reconstructed; docs/architecture.md says how sure each part is.
"""

from __future__ import annotations

from mmengine.registry import MODELS
from torch import Tensor

from ..layers import TiedSE
from .tied_resnet import TiedBottleneck, TiedResNet


class TiedSEBottleneck(TiedBottleneck):
    """A tied bottleneck whose residual branch ends with TiedSE.

    Args:
        in_channels, planes, **kwargs: As in ``TiedBottleneck``.
        se_blocks, se_ratio: As in :class:`TiedSENet`.
    """

    def __init__(self, in_channels: int, planes: int, *, se_blocks: int, se_ratio: int, **kwargs) -> None:
        super().__init__(in_channels, planes, **kwargs)
        self.se = TiedSE(planes * self.expansion, se_blocks, se_ratio)

    def residual(self, x: Tensor) -> Tensor:
        return self.se(super().residual(x))


@MODELS.register_module(name=['TiedSENet', 'TiedSEResNet'])
class TiedSENet(TiedResNet):
    """TiedSENet for detection and classification: TiedResNet with TiedSE in every block.

    The defaults are TiedSENet-101. TiedSENet-101-S is ``base_width=18, blocks=(1, 1, 3, 6), mixer_blocks=1``. The
    stem of three convolutions, the ordinary shortcut and ``se_blocks=4`` are fitted to the published counts. It is
    registered as ``TiedSEResNet`` too.

    Args:
        depth: As in :class:`TiedResNet`. Defaults to 101.
        se_blocks: B of TiedSE; 1 is the ordinary squeeze-and-excitation. Defaults to 4.
        se_ratio: Reduction of TiedSE. Defaults to 16.
        shortcut_blocks: As in :class:`TiedResNet`. Defaults to 1, an ordinary convolution.
        deep_stem: Whether the stem has three 3x3 convolutions. Defaults to True.
        **kwargs: The other arguments of :class:`TiedResNet`.

    Shape:
        As in :class:`TiedResNet`.

    Raises:
        ValueError: As in :class:`TiedResNet`; ``se_blocks`` must divide the channels behind the squeeze.
    """

    block = TiedSEBottleneck

    def __init__(
        self,
        depth: int = 101,
        se_blocks: int = 4,
        se_ratio: int = 16,
        shortcut_blocks: int = 1,
        deep_stem: bool = True,
        **kwargs,
    ) -> None:
        block_cfg = dict(se_blocks=se_blocks, se_ratio=se_ratio)
        super().__init__(depth, shortcut_blocks=shortcut_blocks, deep_stem=deep_stem, block_cfg=block_cfg, **kwargs)
