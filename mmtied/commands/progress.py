"""A training or test that shows a bar, while its log goes to the file in the work dir alone."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm


@contextlib.contextmanager
def log_to_file_alone() -> Iterator[None]:
    """Build a runner so that its logger writes to no terminal: it takes the standard output that it finds then."""
    nowhere = open(os.devnull, 'w')  # noqa: SIM115 (the logger's handler keeps it)
    with contextlib.redirect_stdout(nowhere):
        yield


class ProgressHook(Hook):
    """A bar on the terminal for training or testing; warnings go to the log."""

    priority = 'VERY_LOW'

    bar: tqdm

    def before_run(self, runner: Runner) -> None:
        warnings.showwarning = lambda message, category, *_: runner.logger.warning(f'{category.__name__}: {message}')

    def before_train(self, runner: Runner) -> None:
        self._begin('training', runner.max_iters, 'step')
        self.bar.update(runner.iter)  # What a resumed run has done before.

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.bar.set_postfix(loss=f'{float(outputs["loss"]):.3f}', refresh=False)
        self.bar.update()

    def after_train(self, runner: Runner) -> None:
        self.bar.close()

    def before_test(self, runner: Runner) -> None:
        self._begin('testing', len(runner.test_dataloader), 'batch')

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        self.bar.update()

    def after_test(self, runner: Runner) -> None:
        self.bar.close()

    def _begin(self, title: str, total: int, unit: str) -> None:
        self.bar = tqdm(desc=title, total=total, unit=unit, file=sys.stderr)
