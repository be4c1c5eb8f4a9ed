"""List configs: the backbone's parameters, the published result, and the commands that train and test.

A pattern chooses among their names, `'*tiedr50*_coco'`, or any part of a name, `tiedr50`. Also write the page of all
configs in Markdown, and draw the published AP on COCO over the backbone's parameters (Fig. 6).
"""

import argparse
from pathlib import Path

from ..analysis.published.zoo import draw_published, listing, page
from ..utils.figures import save_figure
from ..utils.files import write_text
from ..zoo import config_files, zoo_root
from .command import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'pattern', nargs='?', default='*', help='of the names, with * and ?, or a part of them (default: all)'
    )
    parser.add_argument('--out', type=Path, help='write the page of all configs there, in Markdown')
    parser.add_argument('--figure', type=Path, help='picture to draw, png or pdf')


def main(args: argparse.Namespace) -> None:
    if args.figure is not None and args.figure.suffix not in ('.png', '.pdf'):
        raise UsageError(f'--figure: {args.figure} must end in .png or .pdf')
    if args.pattern != '*' and (args.out or args.figure):
        raise UsageError('pattern: chooses what is listed; --out and --figure are of all configs')
    if args.figure is not None:
        print('wrote', save_figure(draw_published(zoo_root()), args.figure))
    if args.out is not None:
        print('wrote', write_text(args.out, page(zoo_root())))
    if args.figure is None and args.out is None:
        print(listing(zoo_root(), config_files(args.pattern)))
