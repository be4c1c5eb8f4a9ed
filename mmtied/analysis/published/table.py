"""The published sizes beside what our networks and the baselines of mmpretrain, mmdet and timm count."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import torch
from mmcv.cnn import ContextBlock
from mmengine.registry import MODELS
from torch import nn

from ...layers import TiedSE
from ...models import VARIANTS
from ...utils.complexity import Complexity, complexity
from .sizes import ROWS, PublishedRow

# ImageNet's.
CLASSES = 1000
TABLES = tuple(dict.fromkeys(row.table for row in ROWS))
COLUMNS = (
    *('table', 'network', 'parameters M published', 'parameters M ours', 'parameters difference %'),
    *('GMACs published', 'GMACs ours', 'GMACs difference %', 'remark'),
)
# A larger difference needs a remark.
TOLERANCE = 3
HEADER = """# The published sizes, and ours

Made by `tools/complexity.py --out-dir docs`. Published: as printed in the publication's tables; ours: counted on our
networks and, for the baselines, on those of mmpretrain, mmdet and timm. Parameters in millions, with the head of 1000
classes for whole networks and of the attention blocks alone in Tables 3 and 4; GMACs are multiply-adds of convolutions
and fully connected layers for one image of 224x224, in 10^9. A difference above 3% has a remark.

"""


def gcb(**cfg) -> dict:
    """Return ResNet-50 with a global context block behind every block of its last three stages, ratio 1/4."""
    plugin = dict(cfg=dict(ratio=1 / 4, **cfg), stages=(False, True, True, True), position='after_conv3')
    return dict(type='mmdet.ResNet', depth=50, plugins=[plugin])


SERESNET = dict(type='mmpretrain.SEResNet', depth=50)
EFFICIENTNET = dict(type='mmpretrain.EfficientNet', arch='b0')
BACKBONES: dict[str, dict] = VARIANTS | {
    'resnet50': dict(type='mmpretrain.ResNet', depth=50),
    'resnet101': dict(type='mmpretrain.ResNet', depth=101),
    'resnext101': dict(type='mmpretrain.ResNeXt', depth=101, groups=32, width_per_group=8),
    'senet101': dict(type='mmpretrain.SEResNet', depth=101),
    # "Fast" pools before the 3x3 convolution.
    'resnest50-fast': dict(
        type='mmpretrain.TIMMBackbone',
        model_name='resnest50d',
        block_args=dict(radix=2, avd=True, avd_first=True),
    ),
    'seresnet50': SERESNET,
    'efficientnet-b0': EFFICIENTNET,
}


def tied_se(cfg: dict, blocks: int) -> dict:
    """Return a backbone of mmpretrain with TiedSE."""
    return cfg | dict(type='TiedBackbone', network=cfg['type'], se_blocks=blocks)


ATTENTION: dict[str, dict] = {
    'seresnet50 se': SERESNET,
    **{f'seresnet50 tiedse{blocks}': tied_se(SERESNET, blocks) for blocks in (2, 4, 8)},
    'efficientnet-b0 se': EFFICIENTNET,
    **{f'efficientnet-b0 tiedse{blocks}': tied_se(EFFICIENTNET, blocks) for blocks in (2, 4)},
    'resnet50 gcb': gcb(type='ContextBlock'),
    'resnet50 groupgcb2': gcb(type='TiedGCB', blocks=1, groups=2),
    'resnet50 tiedgcb2': gcb(type='TiedGCB', blocks=2),
    'resnet50 tiedgcb4': gcb(type='TiedGCB', blocks=4),
}


class Classifier(nn.Module):
    """A backbone with a linear head on the pooled features of its last stage."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        backbone.eval()
        with torch.no_grad():
            channels = backbone(torch.zeros(1, 3, 64, 64))[-1].shape[1]
        self.head = nn.Linear(channels, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.backbone(x)[-1].mean((2, 3)))


@cache
def count(network: str) -> Complexity:
    """Count a network by its name: with its head at 224x224, or the parameters of its attention blocks alone."""
    if network in BACKBONES:
        return complexity(Classifier(MODELS.build(BACKBONES[network])))
    modules = MODELS.build(ATTENTION[network]).modules()
    blocks = [m for m in modules if isinstance(m, TiedSE | ContextBlock) or type(m).__name__ == 'SELayer']
    return Complexity(sum(p.numel() for block in blocks for p in block.parameters()), 0)


@dataclass(frozen=True)
class Comparison:
    """A published number beside ours, both in the unit of the table."""

    published: str | None
    ours: float | None

    @property
    def difference(self) -> float | None:
        """Of ours from the published one, in percent."""
        if self.published is None or self.ours is None:
            return None
        return 100 * (self.ours / float(self.published) - 1)

    @property
    def equal_as_printed(self) -> bool:
        """Whether ours has the published digits when it is rounded to as many."""
        decimals = len((self.published or '').partition('.')[2])
        return f'{self.ours:.{decimals}f}' == self.published

    @property
    def differs(self) -> bool:
        """Whether a reader must be told why."""
        return self.difference is not None and abs(self.difference) > TOLERANCE and not self.equal_as_printed

    def cells(self) -> tuple[str, str, str]:
        """Return published, ours and difference as text."""
        ours = '-' if self.ours is None else f'{self.ours:.2f}'
        # Adding 0 makes 0 of -0.
        difference = '-' if self.difference is None else f'{round(self.difference, 1) + 0:+.1f}'
        return self.published or '-', ours, difference


@dataclass(frozen=True)
class ComplexityRow:
    """A row of a published table, with what we count."""

    row: PublishedRow
    parameters: Comparison
    gmacs: Comparison

    def cells(self) -> tuple[str, ...]:
        """Return the row as text."""
        return (self.row.table, self.row.label, *self.parameters.cells(), *self.gmacs.cells(), self.remark)

    @property
    def remark(self) -> str:
        """Why ours differ; where they differ by rounding alone, that."""
        compared = (self.parameters, self.gmacs)
        rounded = any(abs(one.difference or 0) > TOLERANCE and one.equal_as_printed for one in compared)
        return self.row.remark or ('equal to the printed digits' if rounded else '')


def complexity_rows(tables: Iterable[str] = TABLES) -> list[ComplexityRow]:
    """Count all networks of some tables of the publication. It needs mmdet, mmpretrain and timm for the baselines.

    Args:
        tables: Numbers of tables, among 1 to 6, A.1 and A.2. Defaults to all.

    Raises:
        ValueError: If there is no such table.
    """
    unknown = set(tables) - set(TABLES)
    if unknown:
        raise ValueError(f'no table {min(unknown)!r}: there are {", ".join(TABLES)}')
    rows = []
    for row in ROWS:
        if row.table in tables:
            ours = count(row.network) if row.network else None
            macs = ours.macs / 1e9 if ours and row.gmacs else None
            parameters = Comparison(row.parameters, ours.parameters / 1e6 if ours else None)
            rows.append(ComplexityRow(row, parameters, Comparison(row.gmacs, macs)))
    return rows


def to_markdown(rows: Iterable[ComplexityRow]) -> str:
    """Return the rows in Markdown, a section for each table."""
    sections = []
    for table, section in groupby(rows, lambda row: row.row.table):
        lines = [COLUMNS[1:], ['---', *['---:'] * 6, '---'], *(row.cells()[1:] for row in section)]
        body = '\n'.join('| ' + ' | '.join(cells) + ' |' for cells in lines)
        sections.append(f'## Table {table}\n\n{body}\n')
    return '\n'.join(sections)


def variants_markdown() -> str:
    """Return all our networks in Markdown, with the arguments that make them."""
    lines = ['| network | backbone | parameters M | GMACs |', '| --- | --- | ---: | ---: |']
    for name, cfg in VARIANTS.items():
        arguments = ', '.join(f'{key}={value!r}' for key, value in cfg.items() if key != 'type')
        ours = count(name)
        lines.append(f'| {name} | `{cfg["type"]}({arguments})` | {ours.parameters / 1e6:.2f} | {ours.macs / 1e9:.2f} |')
    return '\n'.join(lines) + '\n'


def to_page(rows: Iterable[ComplexityRow], with_variants: bool = True) -> str:
    """Return docs/complexity.md: a section for each table, and one for all our networks if wanted."""
    page = HEADER + to_markdown(rows)
    return (
        page
        + '\n## All our networks\n\nThose on 16 channels a split, `-s16`, are ours and not published.\n\n'
        + variants_markdown()
        if with_variants
        else page
    )


def to_csv(rows: Iterable[ComplexityRow]) -> str:
    """Return the rows as csv."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator='\n')
    writer.writerows([COLUMNS, *(row.cells() for row in rows)])
    return out.getvalue()
