"""mmtied: tied block convolution for OpenMMLab.

Where mmengine is in use, as in every config with ``custom_imports = dict(imports=['mmtied'])``, importing this package
registers its layers and backbones. The occlusion evaluation alone, ``mmtied.evaluation``, needs no torch and loads
none.
"""

import sys
from importlib.util import find_spec

__version__ = '0.1.0'

if 'mmengine' in sys.modules and find_spec('mmcv'):
    from . import layers, models  # noqa: F401
    from .safe_loading import allow_runner_checkpoints

    allow_runner_checkpoints()
