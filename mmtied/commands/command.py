"""How a command is started and how it ends: with one sentence if the input is wrong.

A command is a module: its docstring is the help, ``add_arguments(parser)`` adds what it takes, ``main(args)`` does the
work. What is raised for wrong input ends in one sentence; by default that is any ValueError or OSError, a command that
knows better has a tuple ``BAD_INPUT``.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from ..utils.errors import InputError

BAD_INPUT = (ValueError, OSError)
CLOSED_PIPE = 141  # as shells say it; 1 is for a gate that failed


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
        raise argparse.ArgumentTypeError(f'{existing} is not a folder that can be written to')
    return path


def make_parser(command: ModuleType, program: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of a command; ``program`` is its name in the help, by default that of the script."""
    parser = argparse.ArgumentParser(
        prog=program, description=command.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_arguments(parser)
    return parser


def run(command: ModuleType, arguments: Sequence[str] | None = None, program: str | None = None) -> None:
    """Run a command; what is wrong with its input is one sentence, and exit status 2.

    Args:
        command: A module of this folder.
        arguments: Defaults to None: those of the command line.
        program: Its name in the help. Defaults to None: that of the script.
    """
    bad_input = getattr(command, 'BAD_INPUT', BAD_INPUT)
    with ended_well(bad_input):
        parser = make_parser(command, program)
        args = parser.parse_args(arguments)
        if not getattr(command, 'SHOWS_WARNINGS_WHOLE', False):
            warnings.showwarning = lambda message, *_: print(f'warning: {message}', file=sys.stderr)
        try:
            command.main(args)
        except UsageError as error:
            parser.error(str(error))


@contextmanager
def ended_well(bad_input: tuple[type[Exception], ...] = (InputError,)) -> Iterator[None]:
    """End the process as a command ends: 2 and a sentence for bad input, 130 for Ctrl-C, 141 for a closed pipe.

    A character that the terminal's encoding lacks is shown as its number, instead of ending the command.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:  # The reader of the output, such as head, has enough of it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(CLOSED_PIPE)
    except bad_input as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
