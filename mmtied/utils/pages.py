"""Pages from templates: what they are filled with is text and never markup, and nothing may be missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jinja2

ENVIRONMENT = jinja2.Environment(
    autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
)


def fill_template(template: Path, **content: Any) -> str:
    """Return the page of a template file of jinja2."""
    return ENVIRONMENT.from_string(template.read_text(encoding='utf-8')).render(**content)
