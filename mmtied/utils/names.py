"""Names that do not exist, and those that may have been meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def similar_names(name: str, names: Iterable[str]) -> list[str]:
    """Return up to five names, the nearest first: those that are spelt alike, or the first ones if none is."""
    names = list(names)
    return get_close_matches(name, names, n=5, cutoff=0.5) or names[:5]
