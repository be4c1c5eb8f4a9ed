"""Show side by side where networks look in the images of a folder: Grad-CAM of classifiers and detectors.

A network is a config file, the name of one of ours, mmpretrain::resnet/resnet50_8xb32_in1k.py, torchvision:vgg16 or
timm:resnet50. The map is that of the backbone's last convolutional output, for the class that the network finds.
"""

import argparse
from pathlib import Path

import torch
from tqdm import tqdm

from ..analysis.grad_cam.page import draw_panels, to_page
from ..analysis.grad_cam.panel import TARGETS, class_index, explain
from ..analysis.images import image_files
from ..analysis.network.arguments import add_networks, load_networks
from ..utils.figures import save_figure
from ..utils.files import write_text
from ..utils.logs import log_warnings_only
from ..utils.pictures import read_picture
from .command import at_least, new_folder


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_networks(parser)
    parser.add_argument('--image-dir', type=Path, required=True, help='folder of images')
    parser.add_argument('--images', type=at_least(1), default=8, help='how many at most, chosen at random (default: 8)')
    parser.add_argument(
        '--target',
        choices=TARGETS,
        default='class',
        help='of detectors: the scores of all detections of the class, or the best one with its box (default: class)',
    )
    parser.add_argument('--category', help='class to look for, name or index (default: what each network finds best)')
    parser.add_argument('--layer', help='of the backbones (default: the last that returns maps, layer4 of a ResNet)')
    parser.add_argument('--size', type=at_least(1), help="pixels that classifiers see (default: each one's own)")
    parser.add_argument('--seed', type=int, default=0, help='of the choice of images (default: 0)')
    parser.add_argument('--out-dir', type=new_folder, required=True, help='folder for grad_cam.png and grad_cam.html')


def main(args: argparse.Namespace) -> None:
    log_warnings_only('grad_cam')
    torch.manual_seed(args.seed)
    files = image_files(args.image_dir, args.images, args.seed)
    pictures = [read_picture(file) for file in files]
    networks = load_networks(args)
    categories = [class_index(network, args.category) for network in networks]
    rows = [
        [
            explain(network, picture, target=args.target, category=category, layer=args.layer, size=args.size)
            for network, category in zip(networks, categories)
        ]
        for picture in tqdm(pictures, 'images')
    ]
    names = [network.title for network in networks]
    save_figure(draw_panels(names, files, rows), args.out_dir / 'grad_cam.png')
    write_text(args.out_dir / 'grad_cam.html', to_page(names, files, rows, layer=args.layer))
    print(f'wrote {args.out_dir / "grad_cam.html"} and grad_cam.png')
