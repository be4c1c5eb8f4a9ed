"""Analyses of networks."""

from .complexity import Complexity, complexity

__all__ = ['Complexity', 'complexity']
