"""Make a data set of occluded scenes in COCO's format: folder/{train,val}/*.jpg, folder/instances_{train,val}.json."""

import argparse
import json
from functools import partial

from tqdm import tqdm

from ..datasets import write_scenes
from .command import at_least, new_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('folder', type=new_folder, help='folder of the data set')
    parser.add_argument(
        '--train', type=at_least(1), default=400, help='number of training scenes (default: %(default)s)'
    )
    parser.add_argument(
        '--val', type=at_least(1), default=200, help='number of validation scenes (default: %(default)s)'
    )
    parser.add_argument('--size', type=at_least(64), default=128, help='height and width in pixels (default: 128)')
    parser.add_argument('--seed', type=at_least(0), default=0, help='the same seed gives the same scenes (default: 0)')
    parser.add_argument(
        '--disjoint-textures',
        action='store_true',
        help='give the objects of the two sets textures of other angles and periods (default: the same ranges)',
    )


def main(args: argparse.Namespace) -> None:
    halves = ('even', 'odd') if args.disjoint_textures else ('all', 'all')
    for split, images, textures in zip(('train', 'val'), (args.train, args.val), halves):
        path = args.folder / f'instances_{split}.json'
        wanted = {'split': split, 'images': images, 'size': args.size, 'seed': args.seed, 'textures': textures}
        if path.exists() and wanted.items() <= json.loads(path.read_text()).get('info', {}).items():
            print(f'{path} holds these {images} scenes already')
            continue
        progress = partial(tqdm, desc=f'{split} scenes', unit='')
        path = write_scenes(
            args.folder, split, images, size=args.size, seed=args.seed, progress=progress, textures=textures
        )
        print(f'wrote {path}')
