"""How a command takes whole numbers, and how it ends: with one sentence if the input is wrong."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable


def at_least(least: int) -> Callable[[str], int]:
    """Return argparse's type of a whole number that is not below a least one."""

    def number(text: str) -> int:
        if not text.lstrip('-').isdigit() or int(text) < least:
            raise argparse.ArgumentTypeError(f'{text} must be a whole number of at least {least}')
        return int(text)

    return number


def run(main: Callable[[], None]) -> None:
    """Run a command; what is wrong with its input is one sentence, and exit status 2."""
    try:
        main()
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        sys.exit(2)
