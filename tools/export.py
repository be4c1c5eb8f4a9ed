#!/usr/bin/env python3
"""Start ``mmtied.commands.export``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, whether it is installed or not

from mmtied.commands import export
from mmtied.commands.command import run

if __name__ == '__main__':
    run(export)
