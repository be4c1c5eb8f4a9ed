"""Evaluate any detector's COCO results by the occlusion of the images: AP and AP75 per occlusion bin.

Given the results of several detectors, also what each gains over the first in each bin.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..coco.other_formats import is_other_format
from ..evaluation import (
    InputError,
    OcclusionBins,
    OcclusionComparison,
    OcclusionResult,
    OcclusionSettings,
    compare_occlusion,
    evaluate_occlusion,
)
from ..evaluation.occlusion import MOST
from ..evaluation.report.objects_file import ENDINGS, NEEDED, save_objects
from ..utils.options import add_options, chosen_options
from .command import UsageError, new_folder

GATE_FAILED = 1  # exit status
BAD_INPUT = (InputError,)  # Any other error is the evaluation's own, and shown whole.


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'ground_truth',
        help="COCO ground truth, json; or Pascal VOC's, YOLO's or KITTI's folder, a list of ImageSets, Ultralytics' "
        "data.yaml, Open Images' csv",
    )
    parser.add_argument(
        'files',
        nargs='*',
        metavar='results',
        help='COCO results of one detector, or of up to eight that are compared with the first: json (a list of '
        "detections; Ultralytics' predictions.json), or a pickle of mmdet's test.py --out",
    )
    parser.add_argument('--results', nargs='+', default=[], help='the same, as a named argument')
    parser.add_argument('--names', nargs='+', help='names of the detectors (default: those of the files)')
    add_options(parser, OcclusionSettings, ['iou_type', 'lenient', 'classes'])

    occlusion = parser.add_argument_group('occlusion')
    names = ['by', 'by_file', 'visible', 'definition', 'region', 'same_class', 'ignored_occlude']
    names += ['per_instance', 'min_height']
    add_options(occlusion, OcclusionSettings, names)
    edges = occlusion.add_mutually_exclusive_group()
    add_options(edges, OcclusionBins, ['edges', 'citypersons'])
    edges.add_argument(
        '--centres',
        nargs='+',
        type=float,
        help='centres in place of edges: a bin holds the ratios nearest to its centre, such as 0 .2 .4 .6 .8',
    )
    add_options(occlusion, OcclusionBins, ['zero_bin', 'cumulative'])

    scores = parser.add_argument_group('scores')
    names = ['engine', 'max_dets', 'lvis', 'sizes', 'miss_rate', 'per_class', 'bootstrap', 'random_subsets', 'seed']
    names += ['gate', 'score_thr']
    add_options(scores, OcclusionSettings, names)

    output = parser.add_argument_group('output')
    output.add_argument(
        '--out-dir',
        type=new_folder,
        help='folder for occlusion.json, occlusion.csv, manifest.csv (ratio and bin of every image, with a key of '
        'the annotations of every instance), report.html, '
        'curve.png and curve.pdf',
    )
    output.add_argument(
        '--per-object',
        type=table_file,
        metavar='FILE',
        help='a table with a row for each instance and each false positive, .csv or .parquet (needs pandas and '
        'pyarrow): occlusion, size, best detection, whether it matches at IoU .5 and .75, kind of error',
    )
    add_options(output, OcclusionSettings, ['image_dir'])
    output.add_argument('--quiet', action='store_true', help='no progress bars')


def table_file(text: str) -> Path:
    """Be argparse's type of the table of objects: found out before the work and not after it."""
    path = Path(text)
    if path.suffix not in ENDINGS:
        raise argparse.ArgumentTypeError(f'{text} must end in {" or ".join(ENDINGS)}')
    if path.is_dir():
        raise argparse.ArgumentTypeError(f'{text} is a folder')
    new_folder(str(path.absolute().parent))
    if path.suffix == '.parquet' and not (find_spec('pandas') and find_spec('pyarrow')):
        raise argparse.ArgumentTypeError(f'{text}: {NEEDED}')
    return path


def checked(args: argparse.Namespace) -> dict[str, Any]:
    """Return the options of the evaluation, once all arguments go together.

    Raises:
        UsageError: If two do not, or one is out of its range.
    """
    args.files += args.results
    if not 1 <= len(args.files) <= MOST:
        raise UsageError(f'results: give the files of one to {MOST} detectors, found {len(args.files)}')
    if args.names and len(args.names) != len(args.files):
        raise UsageError(f'--names: {len(args.names)} names for {len(args.files)} files of results')
    if args.image_dir and not args.out_dir and not is_other_format(args.ground_truth):
        raise UsageError('--image-dir: pictures need an --out-dir')
    if args.image_dir and not Path(args.image_dir).is_dir():
        raise UsageError(f'--image-dir: {args.image_dir} is not a folder')
    if args.names and len(set(args.names)) < len(args.names):
        twice = next(name for name in args.names if args.names.count(name) > 1)
        raise UsageError(f'--names: {twice} is given twice')
    options = chosen_options(args, OcclusionSettings)
    try:
        if args.centres:
            options['bins'] = OcclusionBins.nearest(args.centres, args.cumulative)
        else:
            options['bins'] = OcclusionBins(**chosen_options(args, OcclusionBins))
        OcclusionSettings(**options)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return options


def main(args: argparse.Namespace) -> None:
    options = checked(args) | {'quiet': args.quiet}
    result: OcclusionResult | OcclusionComparison
    if len(args.files) == 1:
        result = evaluate_occlusion(args.ground_truth, *args.files, name=args.names and args.names[0], **options)
    else:
        first, second, *more = args.files
        result = compare_occlusion(args.ground_truth, first, second, more=more, names=args.names, **options)
    print(result)
    if args.per_object:
        print('wrote', save_objects(result, args.per_object))
    if args.out_dir:
        # The libraries of plots take a second to import.
        from ..evaluation.report.folder import save_all
        from ..evaluation.report.gallery import without_file

        try:
            files = save_all(result, args.out_dir, args.image_dir)
        except InputError:
            if args.image_dir:  # a picture may be missing: that must not cost the scores
                print('wrote', *save_all(result, args.out_dir))
            raise
        print('wrote', *files)
        if args.image_dir and without_file(result.models[0]):
            print(without_file(result.models[0]))
    if isinstance(result, OcclusionComparison) and result.gate:
        if not result.gate.passed:
            print(result.gate, file=sys.stderr)
            sys.exit(GATE_FAILED)
        print(result.gate)
