"""What training and testing share: mmdet's command line, and the config that it makes."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..utils.errors import InputError
from ..zoo import config_files
from .progress import ProgressHook, log_to_file_alone

# Any other error of a training or test is shown whole.
BAD_INPUT = (InputError, FileNotFoundError)


class KeysAndValues(DictAction):
    """mmengine's action for KEY=VALUE, which says so where that is not what it gets."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: list[str],
        option_string: str | None = None,
    ) -> None:
        for value in values:
            if '=' not in value:
                raise argparse.ArgumentError(self, f'{value} must be KEY=VALUE')
        super().__call__(parser, namespace, values, option_string)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that mmdet's train and test commands have in common."""
    parser.add_argument('config', help='config file, or the name of one that `mmtied zoo` lists')
    parser.add_argument(
        '--data-root',
        help="folder of the data, in the place of the config's data_root wherever the config names a file in it; "
        'data_root=DIR among --cfg-options is the same',
    )
    parser.add_argument('--work-dir', help='folder of logs and checkpoints (default: work_dirs/CONFIG)')
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        action=KeysAndValues,
        help='settings that override the config\'s, as key=value; a list as key="[a,b]" or key=a,b',
    )
    parser.add_argument(
        '--launcher', choices=['none', 'pytorch', 'slurm', 'mpi'], default='none', help='job launcher (default: none)'
    )
    parser.add_argument(
        '--progress', action='store_true', help='show a progress bar; the log goes to its file in the work dir alone'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, default=0, help=argparse.SUPPRESS)


def load_config(args: argparse.Namespace, adapt: Callable[[Config], None] | None = None) -> Config:
    """Return the config of the command line; --work-dir goes before the config's own, and that before the default.

    Args:
        args: Those of :func:`add_config_arguments`.
        adapt: Changes that a command makes to the config with --cfg-options, which can change them again. Defaults to
            None.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    with wrong_is_input(args.config):
        config = Config.fromfile(config_files().get(args.config, args.config))
    config.launcher = args.launcher
    options = dict(args.cfg_options or {})
    data_root = args.data_root or options.pop('data_root', None)
    if data_root is not None:
        move_data(config, data_root)
    with wrong_is_input('--cfg-options'):
        config.merge_from_dict(options)
    if adapt is not None:
        adapt(config)
        config.merge_from_dict(options)  # They have the last word.
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        join_processes_on_cpu(config)
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return config


def move_data(config: Config, folder: str) -> None:
    """Put another folder in the place of the config's data root, in every text that begins with it.

    Raises:
        InputError: If the config's data sets have no root, or several.
    """
    roots = {root.rstrip('/') for root in data_roots(config)}
    if len(roots) != 1:
        found = f'several: {", ".join(sorted(roots))}' if roots else 'none'
        raise InputError(f"--data-root: takes the place of the data sets' one data_root, and the config has {found}")
    (root,) = roots
    parts = re.compile(rf'{re.escape(root)}(?=/|$)')

    def moved(value: Any) -> Any:
        if isinstance(value, str):
            return parts.sub(lambda _: folder.rstrip('/'), value, count=1) if parts.match(value) else value
        if isinstance(value, dict):
            for key in value:
                value[key] = moved(value[key])
        return type(value)(map(moved, value)) if isinstance(value, list | tuple) else value

    for key in [*config]:
        config[key] = moved(config[key])


def data_roots(value: Any) -> Iterator[str]:
    """Yield the data roots of all data sets of a config."""
    if isinstance(value, dict | Config):
        for key, inner in value.items():
            if key == 'data_root' and isinstance(inner, str) and inner:
                yield inner
            else:
                yield from data_roots(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from data_roots(inner)


def build_runner(config: Config, args: argparse.Namespace, loop: str) -> Runner:
    """Return the runner of a config, its data sets built; what cannot be built is the config's fault.

    Args:
        config: Of :func:`load_config`.
        args: Those of :func:`add_config_arguments`.
        loop: The runner's loop that is to run, 'train_loop' or 'test_loop'.
    """
    with wrong_is_input(args.config), log_to_file_alone() if args.progress else nullcontext():
        runner = RUNNERS.build(config) if 'runner_type' in config else Runner.from_cfg(config)
        getattr(runner, loop)  # Built when it is asked for.
    if args.progress:
        runner.register_hook(ProgressHook())
    return runner


@contextmanager
def wrong_is_input(source: str) -> Iterator[None]:
    """Take whatever goes wrong for a fault of the input, and name that: configs are code, and raise anything."""
    try:
        yield
    except InputError:
        raise
    except Exception as error:
        raise InputError(f'{source}: {type(error).__name__}: {error}') from error


def join_processes_on_cpu(config: Config) -> None:
    """Let the processes of the launcher work together without a GPU, which mmengine's own start takes for granted."""
    torch.distributed.init_process_group('gloo')
    wrapper = dict(type='MMDistributedDataParallel', broadcast_buffers=False)
    wrapper['find_unused_parameters'] = config.get('find_unused_parameters', False)
    config.model_wrapper_cfg = wrapper | (config.get('model_wrapper_cfg') or {}) | dict(device_ids=None)
