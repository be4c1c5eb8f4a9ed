"""Run what is missing of the study, several runs side by side, each on one core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ..datasets import write_scenes
from .plan import ARMS, Schedule

# Points of AP over the last third of the calibration.
MOST_RISE = 1
PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Folders:
    """Where the study lives.

    Attributes:
        results: One json for each run, which is all that tables and figures need.
        work: Scenes, configs, logs, checkpoints and detections; can be thrown away.
        nuclei: The nuclei, or None where there are none.
    """

    results: Path
    work: Path
    nuclei: Path | None = None

    def result(self, arm: str, seed: int) -> Path:
        """Return the json of a run."""
        return self.results / f'{arm}-{seed}.json'

    def data(self, arm: str) -> Path | None:
        """Return the data of an arm."""
        return self.work / 'scenes' if ARMS[arm].data == 'scenes' else self.nuclei

    def checkpoint(self, arm: str, seed: int) -> Path | None:
        """Return the trained weights of a run, None where they are not on this machine."""
        folder = self.run(arm, seed)
        tested = (folder / 'results.bbox.json').is_file()  # So the weights are whole.
        return next(iter(folder.glob('iter_*.pth')), None) if tested else None

    def run(self, arm: str, seed: int) -> Path:
        """Return the work folder of a run."""
        return self.work / f'{arm}-{seed}'


def make_scenes(folder: Path, schedule: Schedule) -> None:
    """Make the scenes of the study, unless they are there; those to test on have other textures."""
    for split, count, textures in zip(('train', 'val'), schedule.scenes, ('even', 'odd')):
        if not (folder / f'instances_{split}.json').is_file():
            print(f'making {count} scenes in {folder / split}', flush=True)
            write_scenes(folder, split, count, seed=schedule.seed, textures=textures)


def run_all(
    runs: Sequence[tuple[str, int]], folders: Folders, schedule: Schedule, workers: int, most: int | None = None
) -> list[str]:
    """Train and test what has no result yet, in order; what is interrupted starts anew the next time.

    Args:
        runs: Arms and seeds.
        folders: Of the study.
        schedule: Of the study.
        workers: How many run side by side.
        most: How many are made at most. Defaults to None: all.

    Returns:
        A sentence for each run that failed or had to be left out.
    """
    missing = [(arm, seed) for arm, seed in runs if not folders.result(arm, seed).is_file()]
    problems = []
    for arm in dict.fromkeys(arm for arm, _ in missing if folders.data(arm) is None):
        problems.append(f'{arm}: left out, its data is not given')
    missing = [(arm, seed) for arm, seed in missing if folders.data(arm) is not None]
    print(f'{len(runs) - len(missing)} of {len(runs)} runs are done or left out', flush=True)
    missing = missing[:most]
    if not missing:
        return problems
    make_scenes(folders.work / 'scenes', schedule)
    processes, began = Processes(), time.time()
    with ThreadPoolExecutor(workers) as pool:
        started = {pool.submit(processes.run, arm, seed, folders, schedule): (arm, seed) for arm, seed in missing}
        try:
            for done, future in enumerate(as_completed(started), 1):
                arm, seed = started[future]
                problem = future.result()
                if problem:
                    problems.append(problem)
                minutes = (time.time() - began) / 60
                left = minutes / done * (len(missing) - done)
                said = problem or f'{arm}-{seed} done'
                print(f'{said}; {done} of {len(missing)} in {minutes:.0f} min, about {left:.0f} min left', flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            processes.end()
            raise
    return problems


def check_level(calibration: Path) -> None:
    """Raise an error if the untied network still got better at the end of its calibration, as the protocol says."""
    validated = json.loads(calibration.read_text())['validated']
    rise = 100 * (validated[-1][1] - validated[-2][1])
    if rise > MOST_RISE:
        raise ValueError(
            f'{calibration}: AP rose by {rise:.1f} over the last third of the steps, and {MOST_RISE} is the most: make '
            '`Schedule.steps` half as many again in mmtied/study/plan.py, delete this file, and calibrate again'
        )


class Processes:
    """The processes of the runs, which end with the runner."""

    def __init__(self) -> None:
        self.running: set[subprocess.Popen] = set()
        # Of two runs that start from the same weights, one trains them if they are missing.
        self.locks: dict[tuple[str, int], threading.Lock] = defaultdict(threading.Lock)

    def run(self, arm: str, seed: int, folders: Folders, schedule: Schedule) -> str | None:
        """Train and test an arm in a process of one thread; return what went wrong, or None."""
        command = [sys.executable, '-m', 'mmtied.study.train', arm, str(seed)]
        command += [str(folders.data(arm)), str(folders.run(arm, seed)), str(folders.result(arm, seed))]
        source = ARMS[arm].start
        if source is not None:
            with self.locks[source, seed]:
                # Its result may be known and its weights gone, with the machine that trained them.
                known = folders.checkpoint(source, seed) is not None
                problem = None if known else self.run(source, seed, folders, schedule)
            if problem:
                return problem
            command += ['--source', str(folders.checkpoint(source, seed))]
        if schedule.small:
            command.append('--tiny')
        folder = folders.run(arm, seed)
        shutil.rmtree(folder, ignore_errors=True)  # What a killed run has left.
        folder.mkdir(parents=True)
        variables = {'MMTIED_SHAPES': str(folders.data(arm)), 'MMTIED_NUCLEI': str(folders.data(arm))}
        variables['PYTHONPATH'] = str(PACKAGE.parent)  # A checkout need not be installed.
        threads = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
        log = folder / 'output.log'
        with log.open('w') as file:
            process = subprocess.Popen(command, env=os.environ | variables | threads, stdout=file, stderr=file)
            self.running.add(process)
            status = process.wait()
            self.running.discard(process)
        return f'{arm}-{seed}: failed with exit status {status}, see {log}' if status else None

    def end(self) -> None:
        """End all of them."""
        for process in list(self.running):
            process.terminate()
