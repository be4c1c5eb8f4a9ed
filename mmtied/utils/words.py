"""Words of a sentence from data."""

from __future__ import annotations

from collections.abc import Collection, Sequence


def listed(names: Sequence[str], conjunction: str = 'and') -> str:
    """Return one name or more in a row: 'a, b and c'."""
    *before, last = names
    return f'{", ".join(before)} {conjunction} {last}' if before else last


def some(names: Collection[str], count: int = 5, between: str = ', ') -> str:
    """Return the first of any number of names, and that there are more: 'a, b, …'; 'none' if there is none."""
    first = [name for name, _ in zip(names, range(count))]
    return between.join([*first, '…'] if len(names) > count else first) or 'none'
