"""Figures as files, and data's strings as matplotlib shows them unchanged."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from .files import written_aside


def readable(text: str) -> str:
    """Return a text with question marks for what no character is, as in file names of another encoding."""
    return text.encode('utf-8', 'replace').decode()


def plain(text: str) -> str:
    """Return a text that matplotlib shows as it is: no formula between dollars, no underscore that hides it."""
    text = readable(text).replace('$', r'\$')
    return f' {text}' if text.startswith('_') else text


def save_figure(figure: Figure, path: str | Path) -> Path:
    """Write a figure aside and rename it, so that no half-written picture is left.

    Args:
        figure: What is drawn.
        path: File to write, in a folder that is made if it is missing; its ending chooses the format: png, pdf, ...

    Returns:
        The path.
    """
    path = Path(path)
    with written_aside(path) as part:
        figure.savefig(part, dpi=150, format=path.suffix[1:])
    return path
