"""Run the study of docs/study.md, or go on with it, and rebuild its tables and figures from what has been run.

Every run that has a json in the results folder is skipped; what was interrupted starts anew. Ctrl-C ends it, and the
same command goes on.
"""

import argparse
import signal
import sys
from pathlib import Path

from ..study.plan import ARMS, CALIBRATION, QUESTIONS, Schedule, runs
from ..study.report import save_report
from ..study.runner import Folders, check_level, run_all
from .command import at_least


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--results',
        type=Path,
        default=Path('docs/study'),
        help='folder of results, tables, figures (default: docs/study)',
    )
    parser.add_argument(
        '--work-dir',
        type=Path,
        default=Path('work_dirs/study'),
        help='of scenes, logs, weights (default: work_dirs/study)',
    )
    parser.add_argument('--nuclei', type=Path, help='folder of the nuclei; without it the runs on them are left out')
    parser.add_argument(
        '--workers', type=at_least(1), default=2, help='runs side by side, each one thread (default: 2)'
    )
    parser.add_argument('--arms', nargs='+', choices=ARMS, metavar='ARM', help='only these (default: all, in order)')
    parser.add_argument('--runs', type=at_least(0), help='at most so many (default: all); 0 only rebuilds the report')
    parser.add_argument('--tiny', action='store_true', help='a few steps on a few scenes: a test of the machinery')


def main(args: argparse.Namespace) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    schedule = Schedule.tiny() if args.tiny else Schedule()
    folders = Folders(args.results.resolve(), args.work_dir.resolve(), args.nuclei and args.nuclei.resolve())
    problems: list[str] = []
    wanted = [one for one in runs() if args.arms is None or one[0] in args.arms]
    if CALIBRATION in wanted and args.runs != 0:
        # Alone and before all others: only a network that has levelled off says how long they train.
        wanted.remove(CALIBRATION)
        problems = run_all([CALIBRATION], folders, schedule=schedule, workers=1)
        if not problems and not args.tiny:
            check_level(folders.result(*CALIBRATION))
    if not problems:
        problems = run_all(wanted, folders, schedule=schedule, workers=args.workers, most=args.runs)
    for path in save_report(folders.results, QUESTIONS):
        print(f'wrote {path}')
    if problems:
        raise ValueError('; '.join(problems))
