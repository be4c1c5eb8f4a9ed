"""Analyses of networks."""

from ..utils.complexity import Complexity, complexity, macs_by_module

__all__ = ['Complexity', 'complexity', 'macs_by_module']
