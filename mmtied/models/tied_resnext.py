"""TiedResNeXt: the tied bottleneck with tied block group convolutions (TGC) in its splits.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Fig. 4b and Eq. 4. Reconstructed; docs/architecture.md says how sure each part is.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmengine.registry import MODELS

from .tied_resnet import TiedResNet


@MODELS.register_module()
class TiedResNeXt(TiedResNet):
    """TiedResNeXt for detection and classification: TiedResNet with groups in the 3x3 of its splits.

    The defaults are TiedResNeXt-50, 4s x 64w with 8 groups in each split, which is 32x8d in all; ``depth=101``
    likewise. TiedResNeXt-50-S and -101-S, 4s x 36w, are
    ``base_width=36, blocks=(1, 1, 3, 6), groups=6, mixer_blocks=2``: 36 channels have no 8 groups.

    Splits and base width are published; the groups of a split, the mixer and all of -S but its width are fitted to
    the published counts or, where there are none, chosen in proportion to TiedResNet's.

    Args:
        depth: As in :class:`TiedResNet`. Defaults to 50.
        splits, base_width, blocks, mixer_blocks: As in :class:`TiedResNet`. Default to 4, 64, (1, 2, 4, 8) and 4.
        groups: G of the TGC in each split; the mixer has none. Defaults to 8.
        **kwargs: The other arguments of :class:`TiedResNet`.

    Shape:
        As in :class:`TiedResNet`.

    Raises:
        ValueError: As in :class:`TiedResNet`; ``groups`` times B must divide the width of a split.
    """

    def __init__(
        self,
        depth: int = 50,
        splits: int = 4,
        base_width: int = 64,
        blocks: Sequence[int] = (1, 2, 4, 8),
        groups: int = 8,
        mixer_blocks: int = 4,
        **kwargs,
    ) -> None:
        block_cfg = dict(groups=groups)
        super().__init__(
            depth,
            splits,
            base_width=base_width,
            blocks=blocks,
            mixer_blocks=mixer_blocks,
            block_cfg=block_cfg,
            **kwargs,
        )
