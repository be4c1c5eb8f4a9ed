"""What mmengine's loggers say."""

from __future__ import annotations

import logging

from mmengine.logging import MMLogger


def log_warnings_only(name: str) -> None:
    """Keep the logger of a command to warnings.

    Building and initialising networks writes what was tied and a line for every tensor, which belongs into the log of
    a training and not among a command's output.
    """
    MMLogger.get_instance(name).setLevel(logging.WARNING)
