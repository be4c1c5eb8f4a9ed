"""Networks as they are used: tied layers as grouped ones, norms folded, and files for other runtimes."""

from .form import deploy
from .hook import DeployHook
from .onnx import export_onnx

__all__ = ['DeployHook', 'deploy', 'export_onnx']
