"""Backbones built from tied layers. They import only torch, mmengine and mmcv.cnn, so mmcv-lite is enough."""

from .tied_resnet import TiedResNet

__all__ = ['TiedResNet']
