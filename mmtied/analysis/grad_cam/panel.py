"""Grad-CAM: where in an image a network finds what it says (Fig. 8 and A.1), by the pytorch-grad-cam library.

Selvaraju et al.: "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", ICCV 2017.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from PIL import Image
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torchvision.transforms.v2 import functional as F

from ...utils.names import similar_names
from ..images import crop
from ..network.loader import Network
from .layer import run_and_find

try:
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.image import show_cam_on_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget, FasterRCNNBoxScoreTarget
except ImportError as error:
    raise ImportError('Grad-CAM needs the library pytorch-grad-cam: pip install grad-cam') from error

TARGETS = ('class', 'box')


@dataclass(frozen=True)
class Panel:
    """What a network looks at in one picture.

    Attributes:
        picture: What the network saw, in RGB: the middle of the picture for a classifier, all of it for a detector.
        cam: (H, W) of the picture, from 0 to 1; None where nothing is detected, or nothing speaks for it.
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
    # ImageNet's are several, as in 'tench, Tinca tinca'.
    names = [name.split(',')[0].lower() for name in classes]
    if category.lower() in names:
        return names.index(category.lower())
    if category.isdecimal() and (not classes or int(category) < len(classes)):
        return int(category)
    similar = '; '.join(similar_names(category.lower(), names))
    known = f'there are {similar}; …' if classes else 'its classes have no names: give an index'
    raise ValueError(f'{network.name}: has no class {category!r}; {known}')


def explain(
    network: Network,
    picture: Image.Image,
    target: str = 'class',
    category: int | None = None,
    layer: str | None = None,
    size: int | None = None,
) -> Panel:
    """Return where a network looks for what it finds in a picture.

    Args:
        network: A classifier or a detector.
        picture: In RGB.
        target: Of a detector: 'class', the sum of the scores of all detections of the class, or 'box', score and place
            of the best detection. A classifier's target is the logit of the class. Defaults to 'class'.
        category: Index of the class. Defaults to None: the classifier's first, that of the detector's best detection.
        layer: Of the backbone. Defaults to None: what returns its last maps.
        size: Pixels of the square that a classifier sees. Defaults to None: the network's own.

    Raises:
        ValueError: If the layer is unknown, or the network has no such class.
    """
    if network.kind == 'detector':
        return explain_detector(network, picture, target=target, category=category, layer=layer)
    return explain_classifier(network, crop(picture, size or network.size), category=category, layer=layer)


def explain_classifier(network: Network, picture: Image.Image, category: int | None, layer: str | None) -> Panel:
    """Explain the class of a picture as it is."""
    x = network.normalise(F.pil_to_tensor(picture)[None]).requires_grad_()
    logits, module = run_and_find(network, layer, lambda: network.model(x))
    if not isinstance(logits, Tensor) or logits.dim() != 2:
        raise ValueError(f'{network.name}: is not a classifier: it does not return (N, classes) for images')
    if category is not None and category >= logits.shape[1]:
        raise ValueError(f'{network.name}: has {logits.shape[1]} classes, and none of index {category}')
    category = int(logits[0].argmax()) if category is None else category
    cam = compute(network, network.model, layer=module, x=x, target=ClassifierOutputTarget(category))
    named = network.classes if network.classes and len(network.classes) == logits.shape[1] else ()
    return Panel(picture, cam, caption(named, category, score=logits[0].softmax(0)[category], cam=cam))


def explain_detector(
    network: Network, picture: Image.Image, target: str, category: int | None, layer: str | None
) -> Panel:
    """Explain the detections of a class, or the best one."""
    data = detector_input(network, picture)
    x, sample = data['inputs'].requires_grad_(), data['data_samples'][0]
    outputs = DetectorOutputs(network.model, data['data_samples'])
    (found,), module = run_and_find(network, layer, lambda: outputs(x))
    wanted = torch.ones_like(found['scores'], dtype=torch.bool) if category is None else found['labels'] == category
    if target == 'box':  # An empty one overlaps nothing, not even itself.
        wanted &= (found['boxes'][:, 2:] > found['boxes'][:, :2]).all(1)
    rows = wanted.nonzero().flatten()
    if not len(rows):
        what = 'detection' if category is None else class_name(network.classes, category)
        return Panel(picture, None, f'no {what}')
    best = rows[found['scores'][rows].argmax()]
    label, box, score = (found[key][best] for key in ('labels', 'boxes', 'scores'))
    of_box = FasterRCNNBoxScoreTarget([label], [box])

    def explained(output: dict[str, Tensor]) -> Tensor:
        of_class = {key: values[output['labels'] == label] for key, values in output.items()}
        return of_box(of_class) if target == 'box' else of_class['scores'].sum()

    cam = compute(network, outputs, layer=module, x=x, target=explained)
    across, down = sample.get('scale_factor', (1, 1))
    if cam is not None:  # The rest is padding, by the pipeline or by the preprocessor.
        cut = Image.fromarray(cam[: round(picture.height * down), : round(picture.width * across)])
        cam = np.asarray(cut.resize(picture.size, Image.Resampling.BILINEAR))
    corners = (box.cpu() / torch.tensor([across, down, across, down])).tolist()
    named = caption(network.classes, int(label), score=score, cam=cam)
    return Panel(picture, cam, caption=named, box=tuple(corners) if target == 'box' else None)


def detector_input(network: Network, picture: Image.Image) -> dict:
    """Return what the detector's test pipeline and preprocessor make of a picture: ``inputs`` and ``data_samples``."""
    from mmdet.utils import get_test_pipeline_cfg

    pipeline = get_test_pipeline_cfg(copy.deepcopy(network.config))
    if any(step['type'] == 'TestTimeAug' for step in pipeline):
        raise ValueError(f'{network.name}: its test pipeline has TestTimeAug, which makes several images of one')
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


def compute(
    network: Network, model: nn.Module, layer: nn.Module, x: Tensor, target: Callable[[Any], Tensor]
) -> np.ndarray | None:
    """Return the map (H, W) of the first image, from 0 to 1; None if nothing speaks for the target."""
    cam = GradCAM(model, [layer])
    # What follows in place would change the activations that the library keeps.
    copied = layer.register_forward_hook(lambda module, inputs, output: output.clone())
    try:
        (found,) = cam(x, [target])
        return found if np.isfinite(found).all() and found.max() > 0 else None
    except (RuntimeError, AttributeError) as error:
        raise ValueError(f'{network.name}: no gradient comes from its scores to the layer: {error}') from error
    finally:  # The library's context manager would hide errors.
        copied.remove()
        cam.activations_and_grads.release()


def class_name(names: Sequence[str] | None, category: int) -> str:
    """Return the name of a class, or its index."""
    return names[category] if names and category < len(names) else f'class {category}'


def caption(names: Sequence[str] | None, category: int, score: Tensor, cam: np.ndarray | None) -> str:
    """Return class and score, and whether there is nothing to show."""
    return f'{class_name(names, category)}: {float(score):.2f}' + ('' if cam is not None else ', nothing speaks for it')
