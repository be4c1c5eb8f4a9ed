"""Backbones built from tied layers. They import only torch, mmengine and mmcv.cnn, so mmcv-lite is enough.

Importing this package registers layers and backbones, and lets the checkpoints of their runs load.
"""

from ..utils.checkpoints import allow_runner_checkpoints
from .ordinary_weights import WarmStart, split_checkpoint, warm_start
from .tied_backbone import TiedBackbone
from .tied_resnest import TiedResNeSt
from .tied_resnet import TiedResNet
from .tied_resnext import TiedResNeXt
from .tied_senet import TiedSENet
from .variants import VARIANTS

__all__ = [
    'VARIANTS',
    'TiedBackbone',
    'TiedResNeSt',
    'TiedResNeXt',
    'TiedResNet',
    'TiedSENet',
    'WarmStart',
    'split_checkpoint',
    'warm_start',
]

allow_runner_checkpoints()
