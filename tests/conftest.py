"""Fixtures of all tests."""

from __future__ import annotations

import functools
import os
import random
import runpy
import shutil
import sys
from pathlib import Path

import mmengine.config.utils
import numpy as np
import profiles
import pytest
import torch
from mmengine.logging import MessageHub, MMLogger
from mmengine.registry import DefaultScope
from mmengine.visualization import Visualizer
from pages import PATIENCE

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ.get('MMTIED_TEST_DATA', ROOT.parent / 'shared' / 'data'))
profiles.register()
# It reads all of mmdet's metafiles anew for each config that inherits from one of mmdet's.
mmengine.config.utils._get_cfg_metainfo = functools.cache(mmengine.config.utils._get_cfg_metainfo)
if 'PYTEST_XDIST_WORKER_COUNT' in os.environ:
    # Side by side they share the cores, and so do the processes that they start.
    threads = max(1, (os.cpu_count() or 1) // int(os.environ['PYTEST_XDIST_WORKER_COUNT']))
    torch.set_num_threads(threads)
    os.environ['OMP_NUM_THREADS'] = str(threads)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Side by side, begin with the files that have slow tests: what is quick fills the gaps at the end."""
    if 'PYTEST_XDIST_WORKER' in os.environ:
        slow = {item.path for item in items if item.get_closest_marker('slow')}
        items.sort(key=lambda item: item.path not in slow)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log):
    """Hand the tests of a file to one worker, since they share what is built for it."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            # Each builds a network of its own, so any worker may take one.
            return nodeid if '::test_trains_a_step_and_infers' in nodeid else super()._split_scope(nodeid)

    config.option.loadscopereorder = False
    return ByFile(config, log)


@pytest.fixture(autouse=True)
def alone():
    """Start each test as if it were the only one: seeded, and without what earlier ones left in mmengine."""
    random.seed(0)
    np.random.seed(0)
    torch.manual_seed(0)
    # A logger writes to what was the standard output when it was made, which pytest has closed by the next test.
    for manager in (DefaultScope, MMLogger, MessageHub, Visualizer, *Visualizer.__subclasses__()):
        manager._instance_dict.clear()


@pytest.fixture
def real_data():
    """Return a function that gives the path of a real data file, and skips the test where it is absent."""

    def path(name: str) -> Path:
        if not (REAL_DATA / name).exists():
            pytest.skip(f'needs the real data {name} in {REAL_DATA} (set MMTIED_TEST_DATA)')
        return REAL_DATA / name

    return path


@pytest.fixture
def run_tool(monkeypatch, capsys):
    """Return a function that runs a command in this process and gives its exit status, output and errors."""

    def run(name: str, *arguments) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', [name, *map(str, arguments)])
        status = 0
        try:
            runpy.run_path(str(ROOT / 'tools' / name), run_name='__main__')
        except SystemExit as exit:
            status = exit.code
        return status, *capsys.readouterr()

    return run


@pytest.fixture(scope='module')
def uninitialised():
    """Build networks with whatever numbers, where only their sizes are looked at: that takes half the time."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ('kaiming_uniform_', 'kaiming_normal_', 'uniform_', 'normal_', 'trunc_normal_'):
            patch.setattr(f'torch.nn.init.{name}', lambda tensor, *_, **__: tensor)
        yield


@pytest.fixture(scope='session')
def browser():
    """A real browser, on pages that are opened from disk."""
    sync_api = pytest.importorskip('playwright.sync_api')
    path = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
    if path is None:
        pytest.skip('needs a chromium on the PATH (Debian: apt-get install chromium)')
    flags = '--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update'
    with sync_api.sync_playwright() as playwright:
        args = [*flags.split(), '--disable-sync']
        browser = playwright.chromium.launch(executable_path=path, args=args, timeout=PATIENCE)
        yield browser
        browser.close()
