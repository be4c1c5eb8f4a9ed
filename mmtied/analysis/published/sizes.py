"""The sizes that the publication prints: every number here is copied from it, none is ours.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Tables 1 to 6 and, of its supplement, A.1 and A.2.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    """A row of a published table.

    Args:
        table: The table's number.
        label: What it calls the network.
        network: Our name of it, a key of ``BACKBONES`` or ``ATTENTION`` in ``table``; None where another method's is
            meant.
        parameters: In millions, as printed. None where there is none, here and for ``gmacs``.
        gmacs: What it calls GFlops: multiply-adds in 10^9 at 224x224.
        remark: Why ours differ, or what the row means.
    """

    table: str
    label: str
    network: str | None
    parameters: str | None = None
    gmacs: str | None = None
    remark: str = ''


OTHERS = 'another method, compared with in the publication: not built here'
LABEL = 'the row says -S, but the size is that of 4s x 64w, which Table A.2 calls TiedResNeXt-101'
COPY = 'unexplained; the row 8s x 18w prints the same pair of numbers, so one of the two may be a copy'
CONCAT = (
    'unexplained: a 3x3 TBC on the concatenation is smaller; a rival reading, in which every split sees the whole '
    'entry, has this size but contradicts the text'
)
GCB4 = 'by the formula and by the text (16 times fewer) B = 4 has a quarter of what B = 2 has, the table prints a half'
SLIP = 'the table contradicts Table 1, which prints 26.4 for the same network; ours is that'

ROWS = (
    PublishedRow('1', 'ResNet50', 'resnet50', '25.6', '4.2'),
    PublishedRow('1', 'TiedResNet50-S', 'tiedresnet50-s', '13.9', '2.5'),
    PublishedRow('1', 'TiedResNet50', 'tiedresnet50', '22.0', '4.4'),
    PublishedRow('1', 'ResNet101', 'resnet101', '44.6', '7.9'),
    PublishedRow('1', 'TiedResNet101-S', 'tiedresnet101-s', '24.0', '4.8'),
    PublishedRow('1', 'TiedResNet101', 'tiedresnet101', '39.4', '8.6'),
    PublishedRow('1', 'ResNeXt101-32x8d', 'resnext101', '88.8', '16.5'),
    PublishedRow('1', 'TiedResNeXt101-S', 'tiedresnext101', '64.0', '14.6', LABEL),
    PublishedRow('1', 'SENet101', 'senet101', '49.1', '7.9'),
    PublishedRow('1', 'TiedSENet101-S', 'tiedsenet101-s', '26.4', '5.2'),
    PublishedRow('1', 'TiedSENet101', 'tiedsenet101', '41.8', '9.1'),
    PublishedRow('1', 'ResNeSt-50-fast', 'resnest50-fast', '27.5', '4.4'),
    PublishedRow('1', 'TiedResNeSt50-S', 'tiedresnest50-s', '16.5', '3.6'),
    PublishedRow('1', 'Taylor-FO-BN', None, '14.2', '2.3', OTHERS),
    PublishedRow('1', 'ShuffleNet-50', None, None, '2.3', OTHERS),
    PublishedRow('1', 'GhostNet-50 (s=2)', None, '13.0', '2.2', OTHERS),
    PublishedRow('2', 'ResNet50', 'resnet50', '25.6'),
    PublishedRow('2', 'TiedResNet50-S', 'tiedresnet50-s', '13.9'),
    PublishedRow('2', 'TiedResNet50', 'tiedresnet50', '22.0'),
    PublishedRow('3', 'SEResNet-50, whole network', 'seresnet50', '28.1'),
    PublishedRow('3', 'SEResNet-50, SE', 'seresnet50 se', '2.53'),
    PublishedRow('3', 'SEResNet-50, TiedSE B=2', 'seresnet50 tiedse2', '0.64'),
    PublishedRow('3', 'SEResNet-50, TiedSE B=4', 'seresnet50 tiedse4', '0.16'),
    PublishedRow('3', 'SEResNet-50, TiedSE B=8', 'seresnet50 tiedse8', '0.04'),
    PublishedRow('3', 'EfficientNet-B0, whole network', 'efficientnet-b0', '5.3'),
    PublishedRow('3', 'EfficientNet-B0, SE', 'efficientnet-b0 se', '0.65'),
    PublishedRow('3', 'EfficientNet-B0, TiedSE B=2', 'efficientnet-b0 tiedse2', '0.16'),
    PublishedRow('3', 'EfficientNet-B0, TiedSE B=4', 'efficientnet-b0 tiedse4', '0.04'),
    PublishedRow('4', 'GCB', 'resnet50 gcb', '10'),
    PublishedRow('4', 'GCB of group convolutions', 'resnet50 groupgcb2', None, None, 'the text says half of GCB'),
    PublishedRow('4', 'TiedGCB B=2', 'resnet50 tiedgcb2', '2.5'),
    PublishedRow('4', 'TiedGCB B=4', 'resnet50 tiedgcb4', '1.3', None, GCB4),
    PublishedRow('5', 'TiedResNet-50 2s x 48w', 'tiedresnet50-2s48w', '23.8', '4.4', COPY),
    PublishedRow('5', 'TiedResNet-50 4s x 32w', 'tiedresnet50', '22.0', '4.4'),
    PublishedRow('5', 'TiedResNet-50 6s x 24w', 'tiedresnet50-6s24w', '23.0', '4.6'),
    PublishedRow('5', 'TiedResNet-50 8s x 18w', 'tiedresnet50-8s18w', '23.8', '4.4'),
    PublishedRow('6', 'mixer: element-sum', 'tiedresnet50', '22.0'),
    PublishedRow('6', 'mixer: concatenate', 'tiedresnet50-concat', '26.7', None, CONCAT),
    PublishedRow('A.1', 'ResNet-50', 'resnet50', '25.6'),
    PublishedRow('A.1', 'TiedResNet-50-S', 'tiedresnet50-s', '13.9'),
    PublishedRow('A.1', 'TiedResNet-50', 'tiedresnet50', '22.0'),
    PublishedRow('A.1', 'ResNet-101', 'resnet101', '44.6'),
    PublishedRow('A.1', 'TiedResNet-101-S', 'tiedresnet101-s', '24.0'),
    PublishedRow('A.1', 'TiedResNet-101', 'tiedresnet101', '39.4'),
    PublishedRow('A.2', 'ResNet-50', 'resnet50', '25.6'),
    PublishedRow('A.2', 'TiedResNet-50-S', 'tiedresnet50-s', '13.9'),
    PublishedRow('A.2', 'TiedResNet-50', 'tiedresnet50', '22.0'),
    PublishedRow('A.2', 'ResNet-101', 'resnet101', '44.6'),
    PublishedRow('A.2', 'TiedResNet-101-S', 'tiedresnet101-s', '24.0'),
    PublishedRow('A.2', 'TiedResNet-101', 'tiedresnet101', '39.4'),
    PublishedRow('A.2', 'SENet-101', 'senet101', '49.1'),
    PublishedRow('A.2', 'TiedSENet-101-S', 'tiedsenet101-s', '22.8', None, SLIP),
    PublishedRow('A.2', 'TiedSENet-101', 'tiedsenet101', '41.8'),
    PublishedRow('A.2', 'ResNeXt-101-32x8d', 'resnext101', '88.8'),
    PublishedRow('A.2', 'TiedResNeXt-101-32x8d', 'tiedresnext101', '64.0'),
)
