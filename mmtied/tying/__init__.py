"""Tie the layers of a network that exists already, and untie them. Imports only torch and mmcv.cnn."""

from .tie_model import LeftLayer, TiedLayer, TieReport, tie_model
from .tie_se import tie_se
from .untie import untie

__all__ = ['LeftLayer', 'TieReport', 'TiedLayer', 'tie_model', 'tie_se', 'untie']
