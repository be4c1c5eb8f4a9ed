"""Draw the detections of one detector or several on the most occluded images of a set, beside the ground truth.

The captions count redundant partial detections: those that hit only a part (IoU from .1 to .5) of an instance that
another detection finds (IoU of .5 or more).
"""

import argparse
from pathlib import Path

from ..evaluation import (
    OcclusionComparison,
    OcclusionResult,
    OcclusionSettings,
    compare_occlusion,
    evaluate_occlusion,
)
from ..evaluation.occlusion import MOST
from ..evaluation.report.samples import choose_samples, save_samples
from ..utils.options import add_options, chosen_options
from .command import UsageError, at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('ground_truth', help='COCO ground truth, json, or another format')
    parser.add_argument(
        'results',
        nargs='+',
        help="COCO results of one to eight detectors: json, or a pickle of mmdet's test.py --out",
    )
    parser.add_argument('--image-dir', type=Path, required=True, help='folder of the images')
    parser.add_argument('--out', type=Path, required=True, help='picture to write, png or pdf')
    parser.add_argument('--names', nargs='+', help='names of the detectors (default: those of the files)')
    parser.add_argument('--images', type=at_least(1), default=6, help='how many (default: 6)')
    # A lower score than the evaluation's: redundant detections often have low ones.
    add_options(
        parser, OcclusionSettings, ['score_thr', 'iou_type', 'definition', 'lenient', 'classes'], score_thr=0.05
    )


def main(args: argparse.Namespace) -> None:
    if len(args.results) > MOST:
        raise UsageError(f'results: give the files of one to {MOST} detectors, found {len(args.results)}')
    if args.names and len(args.names) != len(args.results):
        raise UsageError(f'--names: {len(args.names)} names for {len(args.results)} files of results')
    if args.out.suffix not in ('.png', '.pdf'):
        raise UsageError(f'--out: {args.out} must end in .png or .pdf')
    options = chosen_options(args, OcclusionSettings)
    result: OcclusionResult | OcclusionComparison
    if len(args.results) == 1:
        result = evaluate_occlusion(args.ground_truth, *args.results, name=args.names and args.names[0], **options)
    else:
        first, second, *more = args.results
        result = compare_occlusion(args.ground_truth, first, second, more=more, names=args.names, **options)
    samples = choose_samples(result, args.images)
    print(samples)
    print('wrote', save_samples(samples, args.image_dir, args.out))
