"""Content for json, which has no word for NaN."""

from __future__ import annotations

from typing import Any


def without_nan(content: Any) -> Any:
    """Return content with None for every NaN, however deep in lists and dictionaries; tuples become lists."""
    if isinstance(content, dict):
        return {key: without_nan(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [without_nan(value) for value in content]
    return None if content != content else content
