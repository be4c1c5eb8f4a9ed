"""How a command takes numbers and folders, and how it ends: with one sentence if the input is wrong."""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable
from pathlib import Path


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


def run(main: Callable[[], None]) -> None:
    """Run a command; what is wrong with its input is one sentence, and exit status 2."""
    warnings.showwarning = lambda message, *_: print(f'warning: {message}', file=sys.stderr)
    try:
        main()
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        sys.exit(130)
