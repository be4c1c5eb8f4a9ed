"""Tie the layers of a network that exists already, and untie them. Imports only torch and mmcv.cnn."""

from .ordinary import untie
from .policy import LeftLayer, TiedLayer, TieReport, tie_model
from .squeeze_excitation import tie_se

__all__ = ['LeftLayer', 'TieReport', 'TiedLayer', 'tie_model', 'tie_se', 'untie']
