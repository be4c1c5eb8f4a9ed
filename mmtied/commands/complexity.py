#!/usr/bin/env python3
"""Print the published sizes of the networks beside what ours count: parameters, and multiply-adds at 224x224.

The baselines are those of mmdet, mmpretrain and timm, so all three must be installed.
"""

import argparse
import logging
import sys
from pathlib import Path

from command import run
from mmengine.logging import MMLogger

from mmtied.analysis.published.table import TABLES, complexity_rows, to_csv, to_markdown, variants_markdown
from mmtied.utils.files import written_aside

HEADER = """# The published sizes, and ours

Made by `tools/complexity.py --out-dir docs`. Published: as printed in the publication's tables; ours: counted on our
networks and, for the baselines, on those of mmpretrain, mmdet and timm. Parameters in millions, with the head of 1000
classes for whole networks and of the attention blocks alone in Tables 3 and 4; GMACs are multiply-adds of convolutions
and fully connected layers for one image of 224x224, in 10^9. A difference above 3% has a remark.

"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--tables', nargs='+', choices=TABLES, default=TABLES, metavar='N', help='default: all')
    parser.add_argument('--out-dir', type=Path, help='write complexity.md and complexity.csv there')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    # Building TiedBackbone tells what it tied, which belongs into a training log.
    MMLogger.get_instance('complexity', log_level=logging.WARNING)
    rows = complexity_rows(args.tables)
    markdown = HEADER + to_markdown(rows)
    if args.tables == TABLES:
        markdown += '\n## All our networks\n\n' + variants_markdown()
    print(markdown)
    if args.out_dir:
        for name, text in (('complexity.md', markdown), ('complexity.csv', to_csv(rows))):
            with written_aside(args.out_dir / name) as part:
                part.write_text(text, encoding='utf-8')
            print(f'wrote {args.out_dir / name}', file=sys.stderr)


if __name__ == '__main__':
    run(main)
