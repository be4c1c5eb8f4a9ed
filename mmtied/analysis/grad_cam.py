"""Grad-CAM: where in an image a network finds what it says (Fig. 8 and A.1), by the pytorch-grad-cam library.

Selvaraju et al.: "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from PIL import Image
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.image import show_cam_on_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FasterRCNNBoxScoreTarget
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.transforms.v2 import functional as F

from .image_folder import crop
from .network import Network

TARGETS = ('class', 'box')


@dataclass(frozen=True)
class Panel:
    """What a network looks at in one picture.

    Attributes:
        picture: What the network saw, in RGB: the middle of the picture for a classifier, all of it for a detector.
        cam: (H, W) of the picture, from 0 to 1; None where there was no detection to explain.
        caption: The class and its score.
        box: The detection that is explained: x1, y1, x2, y2 in pixels of the picture. None for the others.
    """

    picture: Image.Image
    cam: np.ndarray | None
    caption: str
    box: tuple[float, float, float, float] | None = None

    def drawn(self) -> np.ndarray:
        """Return the heat map over the picture, (H, W, 3) uint8."""
        pixels = np.asarray(self.picture)
        return pixels if self.cam is None else show_cam_on_image(pixels / 255, self.cam, use_rgb=True)


def class_index(network: Network, category: str | None) -> int | None:
    """Return the index of the class that is asked for, None for whatever the network finds.

    Args:
        network: A classifier or a detector.
        category: Name of a class, or its index.

    Raises:
        ValueError: If the network is a backbone alone, or has no such class.
    """
    if network.kind == 'backbone':
        raise ValueError(f'{network.name}: is a backbone alone, which tells no classes; give a classifier or detector')
    classes = network.classes or ()
    if category is None:
        return None
    if category in classes:
        return classes.index(category)
    if category.isdigit() and (not classes or int(category) < len(classes)):
        return int(category)
    known = f'its classes are {", ".join(classes)}' if classes else 'its classes have no names: give an index'
    raise ValueError(f'{network.name}: has no class {category!r}; {known}')


def explain(
    network: Network,
    picture: Image.Image,
    target: str = 'class',
    category: int | None = None,
    layer: str | None = None,
    size: int = 224,
) -> Panel:
    """Return where a network looks for what it finds in a picture.

    Args:
        network: A classifier or a detector.
        picture: In RGB.
        target: Of a detector: 'class', the sum of the scores of all detections of the class, or 'box', score and place
            of the best detection. A classifier's target is the logit of the class. Defaults to 'class'.
        category: Index of the class. Defaults to None: the classifier's first, that of the detector's best detection.
        layer: Of the backbone. Defaults to None: the last module with convolutions that returns a map.
        size: Pixels of the square that a classifier sees. Defaults to 224.

    Raises:
        ValueError: If the layer is unknown, or the network has no such class.
    """
    if network.kind == 'detector':
        return explain_detector(network, picture, target, category, layer)
    return explain_classifier(network, crop(picture, size), category, layer)


def explain_classifier(network: Network, picture: Image.Image, category: int | None, layer: str | None) -> Panel:
    """Explain the class of a picture as it is."""
    x = network.normalise(F.pil_to_tensor(picture)[None]).requires_grad_()
    (logits,), layer = last_map(network, layer, lambda: network.model(x))
    if category is not None and category >= len(logits):
        raise ValueError(f'{network.name}: has {len(logits)} classes, and none of index {category}')
    category = int(logits.argmax()) if category is None else category
    cam = compute(network.model, layer, x, ClassifierOutputTarget(category))
    return Panel(picture, cam, caption(network, category, logits.softmax(0)[category]))


def explain_detector(
    network: Network, picture: Image.Image, target: str, category: int | None, layer: str | None
) -> Panel:
    """Explain the detections of a class, or the best one."""
    data = detector_input(network, picture)
    x, samples = data['inputs'].requires_grad_(), data['data_samples']
    outputs = DetectorOutputs(network.model, samples)
    (found,), layer = last_map(network, layer, lambda: outputs(x))
    wanted = (found['boxes'][:, 2:] > found['boxes'][:, :2]).all(1)  # An empty box overlaps nothing, not even itself.
    if category is not None:
        wanted &= found['labels'] == category
    rows = wanted.nonzero().flatten()
    if not len(rows):
        return Panel(picture, None, 'no detection' if category is None else f'no {class_name(network, category)}')
    best = rows[found['scores'][rows].argmax()]
    label, box, score = (found[key][best] for key in ('labels', 'boxes', 'scores'))
    of_box = FasterRCNNBoxScoreTarget([label], [box])

    def explained(output: dict[str, Tensor]) -> Tensor:
        of_class = {key: values[output['labels'] == label] for key, values in output.items()}
        return of_box(of_class) if target == 'box' else of_class['scores'].sum()

    cam = compute(outputs, layer, x, explained)
    height, width = samples[0].img_shape[:2]  # without padding
    cam = np.asarray(Image.fromarray(cam[:height, :width]).resize(picture.size, Image.Resampling.BILINEAR))
    corners = (box.cpu() / box.new_tensor(samples[0].scale_factor).repeat(2).cpu()).tolist()
    return Panel(picture, cam, caption(network, int(label), score), tuple(corners) if target == 'box' else None)


def detector_input(network: Network, picture: Image.Image) -> dict:
    """Return what the detector's test pipeline and preprocessor make of a picture: ``inputs`` and ``data_samples``."""
    from mmdet.utils import get_test_pipeline_cfg

    pipeline = get_test_pipeline_cfg(network.config.copy())
    pipeline[0].type = 'mmdet.LoadImageFromNDArray'
    with DefaultScope.overwrite_default_scope('mmdet'):
        data = Compose(pipeline)(dict(img=np.asarray(picture)[..., ::-1], img_id=0))
    return network.model.data_preprocessor(pseudo_collate([data]), False)


class Attached(TorchFunctionMode):
    """Let gradients through where the code that runs inside would detach: mmdet's dense heads do so in detection."""

    def __torch_function__(self, func: Callable, types, args=(), kwargs=None):
        return args[0] if func is Tensor.detach else func(*args, **(kwargs or {}))


class DetectorOutputs(nn.Module):
    """A detector of mmdet that returns what the library's targets read, in the pixels of its input."""

    def __init__(self, detector: nn.Module, samples: list) -> None:
        super().__init__()
        self.detector, self.samples = detector, samples

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        with Attached():
            found = [sample.pred_instances for sample in self.detector.predict(x, self.samples, rescale=False)]
        return [dict(boxes=one.bboxes, labels=one.labels, scores=one.scores) for one in found]


def last_map(network: Network, layer: str | None, run: Callable[[], object]) -> tuple[object, nn.Module]:
    """Run a network, and return what it returns and the layer to look at.

    By default that is the module that is finished last, of those of the backbone that hold convolutions and return
    maps: for a ResNet the last stage.
    """
    if layer is not None:
        modules = dict(network.backbone.named_modules())
        if layer not in modules:
            names = [name for name in modules if name and name.count('.') < 2]
            raise ValueError(
                f'{network.name}: no layer is named {layer!r}; there are {", ".join(names)}, and their parts'
            )
    finished: list[nn.Module] = []

    def note(module: nn.Module, inputs: object, output: object) -> None:
        if isinstance(output, Tensor) and output.dim() == 4 and output[0, 0].numel() > 1:
            finished.append(module)

    holders = [m for m in network.backbone.modules() if any(isinstance(part, nn.Conv2d) for part in m.modules())]
    wanted = holders if layer is None else [modules[layer]]
    handles = [module.register_forward_hook(note) for module in wanted]
    try:
        with torch.no_grad():
            output = run()
    finally:
        for handle in handles:
            handle.remove()
    if not finished:
        raise ValueError(f'{network.name}: {layer or "its backbone"} returns no map (N, C, h, w) to look at')
    return output, finished[-1]


def compute(model: nn.Module, layer: nn.Module, x: Tensor, target: Callable[[object], Tensor]) -> np.ndarray:
    """Return the map (H, W) of the first image, from 0 to 1."""
    cam = GradCAM(model, [layer])
    try:
        return cam(x, [target])[0]
    finally:  # Its context manager would hide errors.
        cam.activations_and_grads.release()


def class_name(network: Network, category: int) -> str:
    """Return the name of a class, or its index."""
    names = network.classes or ()
    return names[category] if category < len(names) else f'class {category}'


def caption(network: Network, category: int, score: Tensor) -> str:
    """Return class and score."""
    return f'{class_name(network, category)}: {float(score):.2f}'
