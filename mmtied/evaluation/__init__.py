"""Evaluation by occlusion: ratio -> bins -> AP per bin. It imports numpy, the COCO libraries, msgspec and tqdm alone.

`metric.py`, the form for mmdet's val and test loops, is imported by name: it needs mmdet. So are `curve.py` and what
is in `report`, the page and the pictures: they need matplotlib and plotly.
"""

from ..utils.errors import InputError
from .bins import OcclusionBins
from .objects import object_table
from .occlusion import compare_occlusion, evaluate_occlusion
from .ratio import image_ratios, instance_occlusion, instance_ratios, occlusion_ratio
from .result import OcclusionComparison, OcclusionResult
from .settings import OcclusionSettings

__all__ = [
    'InputError',
    'OcclusionBins',
    'OcclusionComparison',
    'OcclusionResult',
    'OcclusionSettings',
    'compare_occlusion',
    'evaluate_occlusion',
    'image_ratios',
    'instance_occlusion',
    'instance_ratios',
    'object_table',
    'occlusion_ratio',
]
