#!/usr/bin/env python3
"""Evaluate any detector's COCO results by the occlusion of the images: AP and AP75 per occlusion bin."""

import argparse
import json
import sys
from pathlib import Path

from mmtied.evaluation import InputError, OcclusionBins, OcclusionResult, evaluate_occlusion


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('ground_truth', help='COCO ground truth, json')
    parser.add_argument('results', help='COCO results (a list of detections), json')
    parser.add_argument(
        '--metric', nargs='+', choices=['bbox', 'segm'], help='what is matched (default: what the results hold)'
    )
    parser.add_argument(
        '--edges',
        nargs='+',
        type=float,
        default=OcclusionBins.edges,
        help='edges of the bins from 0 to 1; an edge given twice is a bin of that value alone '
        '(default: 0 0 .2 .4 .6 .8 1)',
    )
    parser.add_argument(
        '--out-dir', type=Path, help='folder for occlusion.json (every image, every score) and curve.png'
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
    try:
        args.bins = OcclusionBins(tuple(args.edges))
    except ValueError as error:
        parser.error(f'--edges: {error}')
    return args


def main() -> None:
    args = parse_args()
    result = evaluate_occlusion(args.ground_truth, args.results, args.metric, args.bins, args.engine)
    print(result)
    if args.out_dir:
        write(result, args.out_dir, args.image_dir)


def write(result: OcclusionResult, folder: Path, image_dir: Path | None) -> None:
    from mmtied.evaluation.curve import save_curve  # matplotlib takes a second to import
    from mmtied.evaluation.gallery import save_gallery

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / 'occlusion.json'
    aside = path.with_suffix('.json.part')
    aside.write_text(json.dumps(result.to_dict(), indent=1))
    written = [aside.replace(path), save_curve(result, folder / 'curve.png')]
    if image_dir:
        written.append(save_gallery(result, image_dir, folder / 'gallery.png'))
    print('wrote', *written)


if __name__ == '__main__':
    try:
        main()
    except InputError as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
