#!/usr/bin/env python3
"""Evaluate any detector's COCO results by the occlusion of the images: AP and AP75 per occlusion bin."""

import argparse
import csv
import json
import sys
from collections.abc import Callable
from pathlib import Path

from mmtied.evaluation import InputError, OcclusionBins, OcclusionResult, evaluate_occlusion


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ground_truth', help='COCO ground truth, json')
    parser.add_argument('results', help='COCO results (a list of detections), json')
    parser.add_argument('--iou-type', choices=['bbox', 'segm'], help='default: segm for masks without boxes, else bbox')
    parser.add_argument(
        '--edges',
        nargs='+',
        type=float,
        default=OcclusionBins.edges,
        help='edges of the bins, from 0 to 1 (default: 0 .2 .4 .6 .8 1)',
    )
    parser.add_argument(
        '--no-zero-bin', action='store_true', help='no bin of its own for images whose ratio is exactly 0'
    )
    parser.add_argument(
        '--out-dir', type=Path, help='folder for occlusion.json, manifest.csv (ratio and bin of every image), curve.png'
    )
    parser.add_argument('--image-dir', type=Path, help='folder of the images, for gallery.png in the --out-dir')
    parser.add_argument(
        '--engine',
        choices=['hotcoco', 'pycocotools'],
        default='hotcoco',
        help='pycocotools is the reference: same numbers, slower (default: hotcoco)',
    )
    args = parser.parse_args()
    if args.image_dir and not args.out_dir:
        parser.error('--image-dir: pictures need an --out-dir')
    if args.out_dir and args.out_dir.exists() and not args.out_dir.is_dir():
        parser.error(f'--out-dir: {args.out_dir} is a file')
    try:
        args.bins = OcclusionBins(tuple(args.edges), not args.no_zero_bin)
    except ValueError as error:
        parser.error(f'--edges: {error}')
    return args


def write(result: OcclusionResult, folder: Path, image_dir: Path | None) -> None:
    # matplotlib takes a second to import.
    from mmtied.evaluation.curve import save_curve
    from mmtied.evaluation.gallery import save_gallery

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    if image_dir:  # first, for it may find a picture missing
        written.append(save_gallery(result, image_dir, folder / 'gallery.png'))
    written.append(save_curve(result, folder / 'curve.png'))

    def scores(file) -> None:
        json.dump(result.to_dict(), file, indent=1, allow_nan=False)

    def manifest(file) -> None:
        table = csv.writer(file)
        table.writerow(['image_id', 'ratio', 'bin'])
        table.writerows(result.manifest())

    written += [aside(folder / 'occlusion.json', scores), aside(folder / 'manifest.csv', manifest)]
    print('wrote', *written)


def aside(path: Path, fill: Callable) -> Path:
    """Write a file under another name and rename it, so that no half-written one is left."""
    part = path.with_name(f'{path.name}.part')
    with part.open('w', newline='') as file:
        fill(file)
    return part.replace(path)


def main() -> None:
    args = parse_args()
    result = evaluate_occlusion(args.ground_truth, args.results, args.iou_type, args.bins, args.engine)
    print(result)
    if args.out_dir:
        write(result, args.out_dir, args.image_dir)


if __name__ == '__main__':
    try:
        main()
    except InputError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
