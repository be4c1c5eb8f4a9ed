"""Analyses of networks."""

from .complexity import Complexity, complexity, macs_by_module

__all__ = ['Complexity', 'complexity', 'macs_by_module']
