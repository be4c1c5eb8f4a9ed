#!/usr/bin/env python3
"""Start ``mmtied.commands.grad_cam``."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # the checkout, whether it is installed or not

from mmtied.commands import grad_cam
from mmtied.commands.command import run

if __name__ == '__main__':
    run(grad_cam)
