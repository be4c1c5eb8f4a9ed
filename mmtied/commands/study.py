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
from .command import UsageError, at_least, new_folder

# Results and work.
STUDY = Path('docs/study'), Path('work_dirs/study')
TINY = Path('work_dirs/study_tiny/results'), Path('work_dirs/study_tiny')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('--results', type=new_folder, help='results, tables and figures (default: docs/study)')
    parser.add_argument('--work-dir', type=new_folder, help='scenes, logs, weights (default: work_dirs/study)')
    parser.add_argument('--nuclei', type=Path, help='folder of the nuclei; without it the runs on them are left out')
    parser.add_argument('--workers', type=at_least(1), default=2, help='runs side by side, of one thread (default: 2)')
    parser.add_argument('--arms', nargs='+', choices=ARMS, metavar='ARM', help='only these (default: all, in order)')
    parser.add_argument('--seeds', nargs='+', type=at_least(0), help='of --arms, in the place of those of the protocol')
    parser.add_argument('--runs', type=at_least(0), help='at most so many (default: all); 0 only rebuilds the report')
    parser.add_argument(
        '--tiny',
        action='store_true',
        help='a few steps on a few scenes, all in work_dirs/study_tiny: tries the machinery',
    )


def main(args: argparse.Namespace) -> None:
    if args.seeds and not args.arms:
        raise UsageError('--seeds: are those of --arms, which are missing')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    schedule = Schedule.tiny() if args.tiny else Schedule()
    results, work = TINY if args.tiny else STUDY
    results, work = (args.results or results).resolve(), (args.work_dir or work).resolve()
    folders = Folders(results, work, args.nuclei and args.nuclei.resolve())
    wanted = [one for one in runs() if args.arms is None or one[0] in args.arms]
    if args.seeds:
        wanted = [(arm, seed) for seed in args.seeds for arm in args.arms]
    try:
        problems = make_runs(wanted, folders, schedule=schedule, workers=args.workers, most=args.runs)
    finally:
        for path in save_report(folders.results, QUESTIONS):
            print(f'wrote {path}')
    if problems:
        raise ValueError('; '.join(problems))


def make_runs(
    wanted: list[tuple[str, int]], folders: Folders, schedule: Schedule, workers: int, most: int | None
) -> list[str]:
    """Make the calibration alone and first: only a network that has levelled off says how long the others train."""
    if CALIBRATION in wanted and most != 0:
        wanted.remove(CALIBRATION)
        problems = run_all([CALIBRATION], folders, schedule=schedule, workers=1)
        if problems:
            return problems
        if not schedule.small:
            check_level(folders.result(*CALIBRATION))
    return run_all(wanted, folders, schedule=schedule, workers=workers, most=most)
