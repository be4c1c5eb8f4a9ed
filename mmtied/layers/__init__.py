"""Tied layers: one thin filter, shared over equal blocks of channels; and a group norm for their widths."""

from .group_norm import FittedGroupNorm
from .published import load_published
from .tied_conv import TiedConv2d
from .tied_gcb import TiedGCB
from .tied_linear import TiedLinear
from .tied_se import TiedSE

__all__ = ['FittedGroupNorm', 'TiedConv2d', 'TiedGCB', 'TiedLinear', 'TiedSE', 'load_published']
