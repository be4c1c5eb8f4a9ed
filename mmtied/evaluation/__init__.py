"""Evaluation by occlusion: ratio -> bins -> AP per bin. It imports only numpy and the COCO libraries.

`metric.py`, the form for mmdet's val and test loops, is imported by name: it needs mmdet.
"""

from .bins import OcclusionBins
from .coco_input import InputError
from .evaluate import OcclusionResult, evaluate_occlusion
from .ratio import image_ratios, occlusion_ratio

__all__ = ['InputError', 'OcclusionBins', 'OcclusionResult', 'evaluate_occlusion', 'image_ratios', 'occlusion_ratio']
