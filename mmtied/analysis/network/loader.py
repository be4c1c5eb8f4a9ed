"""Any network by a few words: a config of mmdet or mmpretrain, one of ours, torchvision's or timm's by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import Tensor, nn

from ...utils.names import similar_names
from ...zoo import read_config
from ..machine import check_device
from .weights import head_of, load_weights, read_weights, with_classes

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Network:
    """A network that is looked into, in eval mode; its parameters need no gradients.

    Attributes:
        name: For captions.
        kind: 'classifier', 'detector', or 'backbone' for a backbone alone.
        model: The whole.
        backbone: The part whose layers are looked at; a network of torchvision or timm as a whole.
        mean, std: Of each input channel, for pixel values from 0 to 255.
        size: Pixels of the square that a classifier is tested with.
        bgr: Whether the channels are blue, green and red instead of red, green and blue.
        classes: Names of the classes, None where nothing tells.
        config: What an mmdet or mmpretrain model was built from, else None.
        random: What has random weights, since no checkpoint has it: 'weights' for all, 'head', or None for nothing.
    """

    name: str
    kind: str
    model: nn.Module
    backbone: nn.Module
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    size: int = 224
    bgr: bool = False
    classes: tuple[str, ...] | None = None
    config: Config | None = None
    random: str | None = 'weights'

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def title(self) -> str:
        """The name, and what is random."""
        return f'{self.name} (random {self.random})' if self.random else self.name

    def normalise(self, pixels: Tensor) -> Tensor:
        """Return the network's input for RGB pixel values from 0 to 255, both (N, 3, H, W)."""
        pixels = (pixels.flip(1) if self.bgr else pixels).to(self.device).float()
        mean, std = (pixels.new_tensor(values)[:, None, None] for values in (self.mean, self.std))
        return (pixels - mean) / std


def load_network(
    source: str, checkpoint: str | Path | None = None, name: str | None = None, device: str = 'cpu'
) -> Network:
    """Build a network, and load its weights if a checkpoint is given. Nothing is downloaded.

    Args:
        source: 'torchvision:vgg16', 'timm:resnet50', or what :func:`mmtied.zoo.read_config` takes: a config file, the
            name of a config of ours, 'mmpretrain::resnet/resnet50_8xb32_in1k.py', or 'tiedresnet50' for a backbone.
        checkpoint: Of the whole network, or of its backbone; then the head is random. Defaults to None: random weights.
        name: For captions. Defaults to the source, without its folder.
        device: Defaults to 'cpu'.

    Raises:
        ValueError: If the network is unknown or cannot be built, the checkpoint does not hold all parameters of the
            backbone, or there is no such device.
    """
    check_device(device)
    tensors, classes = ({}, None) if checkpoint is None else read_weights(checkpoint)
    library, _, model_name = source.partition(':')
    if library == 'torchvision':
        model, facts = torchvision_model(model_name, tensors)
        backbone = model
    elif library == 'timm':
        model, facts = timm_model(model_name, tensors)
        backbone = model
    else:
        model, backbone, facts = openmmlab_model(source)
    if checkpoint is not None:
        facts |= dict(random=load_weights(model, backbone, tensors=tensors, path=checkpoint))
        facts |= dict(classes=classes) if classes else {}
    model.requires_grad_(False)
    model.eval()  # Not chained: mmdet's backbones return None.
    model.to(device)
    for module in model.modules():
        if getattr(module, 'with_cp', False):
            module.with_cp = False  # Recomputed in the backward pass, a layer would not be seen.
    name = name or (Path(source).stem if source.endswith('.py') else source)
    return Network(name, model=model, backbone=backbone, **facts)


def torchvision_model(name: str, tensors: Mapping[str, Tensor]) -> tuple[nn.Module, dict]:
    """Build a classifier of torchvision, with as many classes as the checkpoint has, and tell its input."""
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise ValueError(f'torchvision has no classifier {name!r}; {existing(name, names)}')
    # Of these two there are auxiliary heads, for training, and published weights for a rescaled input.
    options = dict(aux_logits=False, transform_input=True) if name in ('googlenet', 'inception_v3') else {}
    model = with_classes(lambda **count: torchvision.models.get_model(name, weights=None, **options, **count), tensors)
    default = torchvision.models.get_model_weights(name).DEFAULT.transforms()
    mean, std = (tuple(255 * value for value in values) for values in (default.mean, default.std))
    size = default.crop_size[0]
    return model, dict(kind='classifier', classes=imagenet_classes(model), mean=mean, std=std, size=size)


def timm_model(name: str, tensors: Mapping[str, Tensor]) -> tuple[nn.Module, dict]:
    """Build a network of timm, with as many classes as the checkpoint has, and tell its input."""
    try:
        import timm
    except ImportError as error:
        raise ValueError(f'timm:{name} needs timm, which is not installed: pip install timm') from error
    if not timm.is_model(name):
        raise ValueError(f'timm has no network {name!r}; {existing(name, timm.list_models())}')
    model = with_classes(lambda **count: timm.create_model(name, **count), tensors)
    mean, std = (tuple(255 * value for value in model.pretrained_cfg[key]) for key in ('mean', 'std'))
    size = model.pretrained_cfg['input_size'][-1]
    return model, dict(kind='classifier', classes=imagenet_classes(model), mean=mean, std=std, size=size)


def imagenet_classes(model: nn.Module) -> tuple[str, ...] | None:
    """Return the names of ImageNet's 1000 classes, which torchvision has at hand, if the classifier has as many."""
    from torchvision.models import ResNet18_Weights

    names = tuple(ResNet18_Weights.DEFAULT.meta['categories'])
    return names if len(head_of(model)[1].weight) == len(names) else None


def existing(name: str, names: Sequence[str]) -> str:
    """Return a hint at names that exist."""
    return f'there are {", ".join(similar_names(name, names))}, …'


def openmmlab_model(source: str) -> tuple[nn.Module, nn.Module, dict]:
    """Return the model of a config, its backbone, and what the config tells of its input and classes."""
    try:
        config = read_config(source)
    except ValueError as error:
        raise ValueError(f"{error}; other libraries' networks are torchvision:NAME and timm:NAME") from error
    if 'backbone' not in config.get('model', {}):
        raise ValueError(f'{source}: has no model.backbone')
    try:
        with DefaultScope.overwrite_default_scope(config.get('default_scope') or 'mmdet'):
            model = MODELS.build(config.model if 'type' in config.model else config.model.backbone)
            classes = dataset_classes(config)
    except (KeyError, TypeError, ValueError, AssertionError, ImportError) as error:
        raise ValueError(f'{source}: cannot be built: {error}') from error
    model = revert_sync_batchnorm(model)
    if 'type' not in config.model:
        return model, model, dict(kind='backbone')
    of_mmpretrain = any(base.__module__.startswith('mmpretrain') for base in type(model).__mro__)
    pixels = config.model.get('data_preprocessor') or config.get('data_preprocessor') or {}
    facts = dict(
        kind='classifier' if of_mmpretrain else 'detector',
        mean=tuple(pixels.get('mean') or (0.0,) * 3),
        std=tuple(pixels.get('std') or (1.0,) * 3),
        size=tested_size(config),
        bgr=not (pixels.get('bgr_to_rgb') or pixels.get('to_rgb')),
        classes=classes,
        config=config,
    )
    return model, model.backbone, facts


def tested_size(config: Config) -> int:
    """Return the pixels of the images that a classifier's test pipeline makes, 224 where it does not say."""
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    sizes = [step.get('crop_size') or step.get('scale') for step in dataset.get('pipeline') or ()]
    size = next((size for size in reversed(sizes) if size), 224)
    return size if isinstance(size, int) else min(size)


def dataset_classes(config: Config) -> tuple[str, ...] | None:
    """Return the names of the classes of a config's test set."""
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    kind = dataset.get('type')
    if isinstance(kind, str):
        with DATASETS.switch_scope_and_registry(None) as registry:
            kind = registry.get(kind)
    known = getattr(kind, 'METAINFO', {}).get('classes')
    classes = dataset.get('classes') or (dataset.get('metainfo') or {}).get('classes') or known
    return tuple(classes) if isinstance(classes, list | tuple) else None
