"""What training and testing share: mmdet's command line, and the config that it makes."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import torch
import torch.distributed
from mmengine.config import Config, DictAction
from mmengine.registry import RUNNERS
from mmengine.runner import Runner

from ..utils.errors import InputError
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
    parser.add_argument('config', help='config file')
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
        adapt: Changes that a command makes, which --cfg-options can change again. Defaults to None.
    """
    os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    with wrong_is_input(args.config):
        config = Config.fromfile(args.config)
    config.launcher = args.launcher
    if adapt is not None:
        adapt(config)
    if args.cfg_options is not None:
        with wrong_is_input('--cfg-options'):
            config.merge_from_dict(args.cfg_options)
    if args.launcher == 'pytorch' and not torch.cuda.is_available():
        join_processes_on_cpu(config)
    if args.work_dir is not None:
        config.work_dir = args.work_dir
    elif config.get('work_dir') is None:
        config.work_dir = str(Path('work_dirs') / Path(args.config).stem)
    return config


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
