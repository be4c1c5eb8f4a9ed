"""Run what is missing of the study, several runs side by side, each on one core."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from ..datasets import write_scenes
from .plan import ARMS, Schedule

# Points of AP over the last third of the calibration.
MOST_RISE = 1
STEPS = 'steps.txt'  # in a run's folder: how many it is to make
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
    """Make the scenes of the study, unless they are there; those to test on have other textures.

    Raises:
        ValueError: If there are others.
    """
    for split, count, textures in zip(('train', 'val'), schedule.scenes, ('even', 'odd')):
        path = folder / f'instances_{split}.json'
        if path.is_file():
            found = json.loads(path.read_text())['info']
            if (found.get('images'), found.get('seed'), found.get('textures')) != (count, schedule.seed, textures):
                raise ValueError(f'{path}: not the {count} scenes of this schedule; choose another --work-dir')
        else:
            print(f'making {count} scenes in {folder / split}', flush=True)
            write_scenes(folder, split, count, seed=schedule.seed, textures=textures)


def run_all(
    runs: Sequence[tuple[str, int]], folders: Folders, schedule: Schedule, workers: int, most: int | None = None
) -> list[str]:
    """Train and test what has no result yet, in order; what is interrupted goes on the next time.

    Args:
        runs: Arms and seeds.
        folders: Of the study.
        schedule: Of the study.
        workers: How many run side by side.
        most: How many are made at most. Defaults to None: all.

    Returns:
        A sentence for each run that failed.

    Raises:
        ValueError: If a stored run or the scenes are of another schedule.
    """
    missing = [(arm, seed) for arm, seed in runs if not folders.result(arm, seed).is_file()]
    for arm, seed in set(runs) - set(missing):
        check_schedule(folders.result(arm, seed), schedule)
    print(f'{len(runs) - len(missing)} of {len(runs)} runs are done', flush=True)
    for arm in dict.fromkeys(arm for arm, _ in missing if folders.data(arm) is None):
        print(f'{arm} is left out: its data is not given', flush=True)
    missing = [(arm, seed) for arm, seed in missing if folders.data(arm) is not None][:most]
    problems: list[str] = []
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


def check_schedule(path: Path, schedule: Schedule) -> None:
    """Raise an error if a stored run trained for another number of steps."""
    run = json.loads(path.read_text())
    steps = schedule.steps_of(ARMS[run['arm']])
    if run['steps'] != steps:
        raise ValueError(
            f'{path}: a run of {run["steps"]} steps, where the schedule has {steps}; choose other --results'
        )


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
        # A run that others start from is made once, by whoever needs it first.
        self.locks: dict[tuple[str, int], threading.Lock] = {}

    def run(self, arm: str, seed: int, folders: Folders, schedule: Schedule, weights: bool = False) -> str | None:
        """Train and test an arm in a process of one thread, unless that is done; return what went wrong, or None.

        Args:
            arm, seed: Of the run.
            folders: Of the study.
            schedule: Of the study.
            weights: Whether its weights are needed as well, which may be gone with the machine that trained them.
        """
        with self.locks.setdefault((arm, seed), threading.Lock()):
            known = folders.result(arm, seed).is_file()
            if known and (not weights or folders.checkpoint(arm, seed) is not None):
                return None
            source = ARMS[arm].start
            if source is not None:
                problem = self.run(source, seed, folders=folders, schedule=schedule, weights=True)
                if problem:
                    return problem
            folder = folders.run(arm, seed)
            steps = str(schedule.steps_of(ARMS[arm]))
            if known or not (folder / 'last_checkpoint').is_file() or (folder / STEPS).read_text() != steps:
                # Nothing that a killed run of this schedule has left could be gone on from.
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir(parents=True)
                (folder / STEPS).write_text(steps)
            # A stored result stays what it is.
            out = folder / 'again.json' if known else folders.result(arm, seed)
            command = [sys.executable, '-m', 'mmtied.study.train', arm, str(seed)]
            command += [str(folders.data(arm)), str(folder), str(out)]
            if source is not None:
                command += ['--source', str(folders.checkpoint(source, seed))]
            if schedule.small:
                command.append('--tiny')
            return self._wait_for(command, folders.data(arm), folder / 'output.log')

    def _wait_for(self, command: Sequence[str], data: Path | None, log: Path) -> str | None:
        variables = {'MMTIED_SHAPES': str(data), 'MMTIED_NUCLEI': str(data)}
        variables['PYTHONPATH'] = str(PACKAGE.parent)  # A checkout need not be installed.
        threads = {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
        with log.open('a') as file:
            process = subprocess.Popen(command, env=os.environ | variables | threads, stdout=file, stderr=file)
            self.running.add(process)
            status = process.wait()
            self.running.discard(process)
        return f'{log.parent.name}: failed with exit status {status}, see {log}' if status else None

    def end(self) -> None:
        """End all of them."""
        for process in list(self.running):
            process.terminate()
