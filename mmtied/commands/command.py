"""How a command is started and how it ends: with one sentence if the input is wrong.

A command is a module: its docstring is the help, ``add_arguments(parser)`` adds what it takes, ``main(args)`` does the
work. What is raised for wrong input ends in one sentence; by default that is any ValueError or OSError, a command that
knows better has a tuple ``BAD_INPUT``: an empty one shows all errors, and warnings, whole.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

BAD_INPUT = (ValueError, OSError)


class UsageError(ValueError):
    """Arguments that do not go together: the message follows the command's usage, as argparse's own do."""


def at_least(least: int) -> Callable[[str], int]:
    """Return argparse's type of a whole number that is not below a least one."""

    def number(text: str) -> int:
        if not text.lstrip('-').isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f'{text} must be a whole number of at least {least}')
        return int(text)

    return number


def new_folder(text: str) -> Path:
    """Be argparse's type of a folder to write to: found out before the work and not after it."""
    path = Path(text)
    existing = next(one for one in (path.absolute(), *path.absolute().parents) if one.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK):
        raise argparse.ArgumentTypeError(f'{existing} is no folder that can be written to')
    return path


def make_parser(command: ModuleType) -> argparse.ArgumentParser:
    """Return the parser of a command."""
    parser = argparse.ArgumentParser(description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    command.add_arguments(parser)
    return parser


def run(command: ModuleType, arguments: Sequence[str] | None = None) -> None:
    """Run a command; what is wrong with its input is one sentence, and exit status 2.

    Args:
        command: A module of this folder.
        arguments: Defaults to None: those of the command line.
    """
    parser = make_parser(command)
    args = parser.parse_args(arguments)
    bad_input = getattr(command, 'BAD_INPUT', BAD_INPUT)
    if bad_input:
        warnings.showwarning = lambda message, *_: print(f'warning: {message}', file=sys.stderr)
    try:
        command.main(args)
    except UsageError as error:
        parser.error(str(error))
    except BrokenPipeError:  # the reader of the output, such as head, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
    except bad_input as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
