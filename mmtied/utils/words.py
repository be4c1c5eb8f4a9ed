"""Words of a sentence from data."""

from __future__ import annotations

from collections.abc import Sequence


def listed(names: Sequence[str], conjunction: str = 'and') -> str:
    """Return one name or more in a row: 'a, b and c'."""
    *before, last = names
    return f'{", ".join(before)} {conjunction} {last}' if before else last
