"""Backbones built from tied layers. They import only torch, mmengine and mmcv.cnn, so mmcv-lite is enough.

Importing this package registers layers and backbones, and lets the checkpoints of their runs load.
"""

from ..safe_loading import allow_runner_checkpoints
from .tied_resnet import TiedResNet

__all__ = ['TiedResNet']

allow_runner_checkpoints()
