"""Global context block with tied convolutions (TiedGCB).

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Fig. 5b; Cao et al.: "GCNet: Non-local Networks Meet Squeeze-Excitation Networks and
Beyond", https://arxiv.org/abs/1904.11492.
"""

from __future__ import annotations

from collections.abc import Sequence

from mmcv.cnn import ContextBlock
from mmengine.registry import MODELS
from torch import Tensor

from .blocks import check_divisible
from .tied_conv import TiedConv2d


@MODELS.register_module()
class TiedGCB(ContextBlock):
    """Global context: attention pooling over all places, a transform by two 1x1 TBC, added to every place.

    B² fewer parameters in the transform than mmcv's ``ContextBlock``, which ``blocks=1`` is: same outputs, same state
    dict. With ``groups=2, blocks=1`` it is the block of group convolutions that the publication compares it with.
    It starts as an identity, and stays one when the backbone's ``init_weights`` initialises its convolutions.

    As a plugin of a residual block:
    ``plugins=[dict(cfg=dict(type='TiedGCB', ratio=1/16, blocks=2), stages=(False, True, True, True),
    position='after_conv3')]``.

    Args:
        in_channels: C, the channels of the input and of the output.
        ratio: The transform has int(C * ratio) hidden channels. Defaults to 1 / 16; the publication's counts are
            those of 1 / 4 (Table 4).
        blocks: B of the two convolutions. Defaults to 2.
        groups: G of the two convolutions. Defaults to 1.
        pooling_type: 'att', attention pooling, or 'avg'. Defaults to 'att'.
        fusion_types: How the context is fused: 'channel_add', 'channel_mul' or both. Defaults to ('channel_add',).

    Shape:
        Input and output (N, C, H, W).

    Raises:
        ValueError: If ``blocks * groups`` does not divide C or the hidden channels, or ``ratio`` leaves none.

    Example:
        >>> import torch
        >>> from mmtied.layers import TiedGCB
        >>> tuple(TiedGCB(256)(torch.zeros(2, 256, 8, 8)).shape)
        (2, 256, 8, 8)
    """

    # The name that the plugin has in a block: checkpoints of networks with ContextBlock fit.
    _abbr_ = 'context_block'

    def __init__(
        self,
        in_channels: int,
        ratio: float = 1 / 16,
        blocks: int = 2,
        groups: int = 1,
        pooling_type: str = 'att',
        fusion_types: Sequence[str] = ('channel_add',),
    ) -> None:
        if in_channels * ratio < 1:
            raise ValueError(f'TiedGCB: ratio={ratio} leaves no hidden channel of in_channels={in_channels}')
        super().__init__(in_channels, ratio, pooling_type=pooling_type, fusion_types=tuple(fusion_types))
        check_divisible('TiedGCB', blocks, f'blocks={blocks}')
        meaning = f'blocks={blocks}' if groups == 1 else f'blocks={blocks} x groups={groups}'
        check_divisible('TiedGCB', blocks * groups, meaning, in_channels=in_channels, hidden=self.planes)
        for transform in (self.channel_add_conv, self.channel_mul_conv):
            if transform is not None:
                transform[0] = TiedConv2d(in_channels, self.planes, 1, groups=groups, blocks=blocks)
                transform[3] = TiedConv2d(self.planes, in_channels, 1, groups=groups, blocks=blocks)
        self.reset_parameters()

    def init_weights(self) -> None:
        """Restore the zeros of the last convolution, which the Kaiming of a backbone overwrites."""
        self.reset_parameters()

    def spatial_pool(self, x: Tensor) -> Tensor:
        if self.pooling_type == 'avg':
            return self.avg_pool(x)
        weights = self.conv_mask(x).flatten(2).softmax(2)  # (N, 1, H W)
        return (x.flatten(2) @ weights.transpose(1, 2)).unsqueeze(3)  # (N, C, 1, 1)
