"""Evaluate any detector's COCO results by the occlusion of the images: AP and AP75 per occlusion bin.

Given the results of two detectors, also what the second gains over the first in each bin.
"""

import argparse
from pathlib import Path
from typing import Any

from ..evaluation import InputError, OcclusionBins, OcclusionSettings, compare_occlusion, evaluate_occlusion
from .command import UsageError, new_folder

BAD_INPUT = (InputError,)  # Any other error is the evaluation's own, and shown whole.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = OcclusionSettings()
    parser.add_argument('ground_truth', help='COCO ground truth, json')
    parser.add_argument(
        'files',
        nargs='*',
        metavar='results',
        help="COCO results of one detector or two: json (a list of detections), or a pickle of mmdet's test.py --out",
    )
    parser.add_argument('--results', nargs='+', default=[], help='the same, by name')
    parser.add_argument('--names', nargs='+', help='names of the detectors (default: those of the files)')
    parser.add_argument('--iou-type', choices=['bbox', 'segm'], help='default: segm for masks without boxes, else bbox')

    occlusion = parser.add_argument_group('occlusion')
    occlusion.add_argument(
        '--definition',
        choices=['covered', 'union', 'pairwise', 'hybrid'],
        default=default.definition,
        help='what counts as overlap (default: covered); docs/occlusion.md has the formulas',
    )
    occlusion.add_argument(
        '--region', choices=['bbox', 'segm'], help='areas of boxes or of masks (default: bbox; hybrid uses both)'
    )
    occlusion.add_argument('--same-class', action='store_true', help='only overlap within a class counts')
    occlusion.add_argument('--per-instance', action='store_true', help='bin instances by their own occlusion')
    edges = occlusion.add_mutually_exclusive_group()
    edges.add_argument(
        '--edges', nargs='+', type=float, help='edges of the bins, from 0 to 1 (default: 0 .2 .4 .6 .8 1)'
    )
    edges.add_argument(
        '--centres', nargs='+', type=float, help='centres instead: each bin holds what is nearest, as 0 .2 .4 .6 .8'
    )
    occlusion.add_argument(
        '--no-zero-bin', action='store_true', help='no bin of its own for images whose ratio is exactly 0'
    )
    occlusion.add_argument('--cumulative', action='store_true', help='rows hold all from their lower edge up')

    scores = parser.add_argument_group('scores')
    scores.add_argument(
        '--engine',
        choices=['hotcoco', 'pycocotools'],
        default=default.engine,
        help='pycocotools is the reference: same numbers, slower (default: hotcoco)',
    )
    scores.add_argument('--per-class', action='store_true', help='also AP and AP75 of each class')
    scores.add_argument(
        '--bootstrap', type=int, default=0, metavar='N', help='N image resamples, for 95%% intervals (1000 is good)'
    )
    scores.add_argument(
        '--random-subsets', type=int, default=0, metavar='N', help="N random image subsets of each bin's size (200)"
    )
    scores.add_argument('--seed', type=int, default=default.seed, help='of both (default: 0)')
    scores.add_argument(
        '--score-thr',
        type=float,
        default=default.score_thr,
        help='detections from this score up count as errors and are drawn (default: .3)',
    )

    output = parser.add_argument_group('output')
    output.add_argument(
        '--out-dir',
        type=new_folder,
        help='folder for occlusion.json, occlusion.csv, manifest.csv (ratio and bin of every image), report.html, '
        'curve.png and curve.pdf',
    )
    output.add_argument('--image-dir', type=Path, help="folder of the images, for the report's and gallery.png's")
    output.add_argument('--quiet', action='store_true', help='no progress bars')


def checked(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the evaluation, once all arguments go together.

    Raises:
        UsageError: If two do not, or one is out of its range.
    """
    args.files += args.results
    if len(args.files) not in (1, 2):
        raise UsageError(f'results: give the file of one detector or of two, found {len(args.files)}')
    if args.names and len(args.names) != len(args.files):
        raise UsageError(f'--names: {len(args.names)} names for {len(args.files)} files of results')
    if args.image_dir and not args.out_dir:
        raise UsageError('--image-dir: pictures need an --out-dir')
    if args.image_dir and not args.image_dir.is_dir():
        raise UsageError(f'--image-dir: {args.image_dir} is no folder')
    if args.names and len(set(args.names)) < len(args.names):
        raise UsageError(f'--names: {args.names[0]} is given twice')
    names = ('definition', 'region', 'same_class', 'per_instance', 'engine', 'per_class', 'bootstrap')
    options = {name: getattr(args, name) for name in (*names, 'random_subsets', 'seed', 'score_thr')}
    try:
        if args.centres:
            options['bins'] = OcclusionBins.nearest(args.centres, args.cumulative)
        else:
            edges = tuple(args.edges or OcclusionBins.edges)
            options['bins'] = OcclusionBins(edges, not args.no_zero_bin, args.cumulative)
        OcclusionSettings(iou_type=args.iou_type, **options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return options | {'iou_type': args.iou_type, 'quiet': args.quiet}


def main(args: argparse.Namespace) -> None:
    options = checked(args)
    if len(args.files) == 1:
        result = evaluate_occlusion(args.ground_truth, *args.files, name=args.names and args.names[0], **options)
    else:
        result = compare_occlusion(args.ground_truth, *args.files, names=args.names, **options)
    print(result)
    if args.out_dir:
        # The libraries of plots take a second to import.
        from ..evaluation.report.folder import save_all

        try:
            files = save_all(result, args.out_dir, args.image_dir)
        except InputError:
            if args.image_dir:  # a picture may be missing: that must not cost the scores
                print('wrote', *save_all(result, args.out_dir))
            raise
        print('wrote', *files)
