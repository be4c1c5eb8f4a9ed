"""Print the published sizes of the networks beside what ours count: parameters, and multiply-adds at 224x224.

The baselines are those of mmdet, mmpretrain and timm, so all three must be installed.
"""

import argparse
import sys
from pathlib import Path

from ..analysis.published.table import TABLES, complexity_rows, to_csv, to_page
from ..utils.files import write_text
from ..utils.logs import log_warnings_only


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--tables', nargs='+', choices=TABLES, default=TABLES, metavar='N', help='default: all')
    parser.add_argument('--out-dir', type=Path, help='write complexity.md and complexity.csv there')


def main(args: argparse.Namespace) -> None:
    log_warnings_only('complexity')
    rows = complexity_rows(args.tables)
    markdown = to_page(rows, with_variants=args.tables == TABLES)
    print(markdown)
    if args.out_dir:
        for name, text in (('complexity.md', markdown), ('complexity.csv', to_csv(rows))):
            print(f'wrote {write_text(args.out_dir / name, text)}', file=sys.stderr)
