"""List all configs in Markdown: the backbone's parameters, the published result, and the command that trains them.

Also draw the published AP on COCO over the backbone's parameters (Fig. 6).
"""

import argparse
from pathlib import Path

from ..analysis.published.zoo import draw_published, page
from ..utils.figures import save_figure
from ..utils.files import write_text
from ..utils.logs import log_warnings_only
from ..zoo import zoo_root
from .command import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--out', type=Path, help='file to write; default: print')
    parser.add_argument('--figure', type=Path, help='picture to draw, png or pdf')


def main(args: argparse.Namespace) -> None:
    if args.figure is not None and args.figure.suffix not in ('.png', '.pdf'):
        raise UsageError(f'--figure: {args.figure} must end in .png or .pdf')
    log_warnings_only('zoo')
    if args.figure is not None:
        print('wrote', save_figure(draw_published(zoo_root()), args.figure))
        if args.out is None:
            return
    text = page(zoo_root())
    if args.out is None:
        print(text)
    else:
        print('wrote', write_text(args.out, text))
