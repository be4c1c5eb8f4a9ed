"""Networks as ONNX files: ordinary layers alone, no filter computed in the graph, any height and width if asked for."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..utils.files import written_aside
from .form import deploy

OPSETS = (11, 20)  # the oldest is mmdeploy's default, the newest what torch's exporter by tracing knows
INPUT = 'images'


class Outputs(nn.Module):
    """A network whose outputs are one tuple of tensors.

    Args:
        network: A backbone, a classifier or a detector of one stage.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        # Networks of mmengine return what a mode asks for: here the tensors of their dense part.
        self.mode = {'mode': 'tensor'} if hasattr(network, 'data_preprocessor') else {}

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs: of a backbone its features, of a classifier its logits, of a detector its dense maps.

        Args:
            images: As the network takes them after its preprocessing, (N, 3, H, W).
        """
        return tuple(flat(self.network(images, **self.mode)))


def export_onnx(
    network: nn.Module,
    path: str | Path,
    kind: str = 'backbone',
    size: tuple[int, int] = (224, 224),
    opset: int = 17,
    dynamic: bool = False,
) -> float | None:
    """Write a network's deployed form as an ONNX file; the network itself is left as it is.

    Args:
        network: A backbone, a classifier, or a detector of one stage, whose dense part is exported: what its head
            returns before boxes are decoded and suppressed.
        path: The file, in a folder that is made if it is missing.
        kind: 'backbone', 'classifier' or 'detector'. Defaults to 'backbone'.
        size: Height and width in pixels of the images. Defaults to (224, 224).
        opset: From 11 to 20. Defaults to 17.
        dynamic: Whether the number of images, height and width are left open. Defaults to False: 1 and ``size``.

    Returns:
        The largest difference of an output from the trained network's on one image of noise, in ONNX Runtime and as a
        share of that output's largest value; None where it is not installed.

    Raises:
        ValueError: If the opset is out of its range, or the network does not run on an image of the size.
    """
    low, high = OPSETS
    if not low <= opset <= high:
        raise ValueError(f'opset={opset} must be from {low} to {high}')
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(1, 3, *size, generator=generator)
    network = copy.deepcopy(network).cpu()
    network.eval()  # Not chained: mmdet's backbones return None.
    with torch.no_grad():
        try:
            wanted = Outputs(network)(images)
        except Exception as error:
            raise ValueError(f'{type(network).__name__} does not run on an image of {size}: {error!r}') from error
        deployed = Outputs(deploy(network))
        names = output_names(kind, len(wanted))
        axes = {0: 'images', 2: 'height', 3: 'width'}
        dynamic_axes = {INPUT: axes}
        for name, output in zip(names, wanted):
            dynamic_axes[name] = {axis: f'{name}_{word}' if axis else word for axis, word in axes.items()}
            if output.dim() < 4:
                dynamic_axes[name] = {0: 'images'}
        with written_aside(Path(path)) as part, warnings.catch_warnings():
            warnings.simplefilter('ignore')  # of the tracer, of what is constant in an exported network
            torch.onnx.export(
                deployed,
                (images,),
                str(part),
                input_names=[INPUT],
                output_names=names,
                opset_version=opset,
                dynamic_axes=dynamic_axes if dynamic else None,
                dynamo=False,
            )
    return difference(Path(path), images, wanted)


def output_names(kind: str, count: int) -> list[str]:
    """Return a name for each output of a network."""
    if kind == 'detector':
        # Classes of all levels, then boxes of all levels, as mmdet's dense heads return them.
        return [f'{what}_{i}' for what in ('cls_score', 'bbox_pred') for i in range(count // 2)]
    if kind == 'classifier' and count == 1:
        return ['logits']
    return [f'feature_{i}' for i in range(count)]


def difference(path: Path, images: Tensor, wanted: tuple[Tensor, ...]) -> float | None:
    """Return the largest difference of a file's outputs in ONNX Runtime, as a share of each; None without it."""
    try:
        import onnxruntime
    except ImportError:
        return None
    session = onnxruntime.InferenceSession(str(path), providers=['CPUExecutionProvider'])
    found = session.run(None, {INPUT: images.numpy()})
    shares = ((torch.from_numpy(own) - other).abs().max() / other.abs().max() for own, other in zip(found, wanted))
    return max(map(float, shares))


def flat(outputs: Any) -> Iterator[Tensor]:
    """Yield the tensors of nested tuples and lists in their order."""
    if isinstance(outputs, Tensor):
        yield outputs
    else:
        for output in outputs:
            yield from flat(output)
