"""Any network by a few words: a config of mmdet or mmpretrain, one of ours, torchvision's or timm's by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import DATASETS, MODELS, DefaultScope
from torch import Tensor, nn

from ..models.pretrained import checkpoint_tensors, matching, report_matches
from ..safe_loading import read_checkpoint
from ..zoo import read_config
from .device import check_device

IMAGENET_MEAN, IMAGENET_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
SPREAD = 8  # layers


@dataclass(frozen=True)
class Network:
    """A network that is looked into, in eval mode; its parameters need no gradients.

    Attributes:
        name: For captions.
        kind: 'classifier', 'detector', or 'backbone' for a backbone alone.
        model: The whole.
        backbone: The part whose layers are looked at; a network of torchvision or timm as a whole.
        mean, std: Of each input channel, for pixel values from 0 to 255.
        bgr: Whether the channels are blue, green and red instead of red, green and blue.
        classes: Names of the classes, None where nothing tells.
        config: What an mmdet or mmpretrain model was built from, else None.
        trained: Whether a checkpoint was loaded.
    """

    name: str
    kind: str
    model: nn.Module
    backbone: nn.Module
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD
    bgr: bool = False
    classes: tuple[str, ...] | None = None
    config: Config | None = None
    trained: bool = False

    @property
    def device(self) -> torch.device:
        return next(self.model.parameters()).device

    @property
    def title(self) -> str:
        """The name, and whether the weights are random."""
        return self.name if self.trained else f'{self.name} (random weights)'

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
        checkpoint: Of the whole network or of its backbone. Defaults to None: random weights.
        name: For captions. Defaults to the source, without its folder.
        device: Defaults to 'cpu'.

    Raises:
        ValueError: If the network is unknown or cannot be built, or the checkpoint holds none of its tensors, or there
            is no such device.
    """
    check_device(device)
    library, _, model_name = source.partition(':')
    if library == 'torchvision':
        model = backbone = torchvision_model(model_name)
        facts = dict(kind='classifier', classes=imagenet_classes())
    elif library == 'timm':
        model = backbone = timm_model(model_name)
        mean, std = (tuple(255 * value for value in model.pretrained_cfg[key]) for key in ('mean', 'std'))
        classes = imagenet_classes() if model.num_classes == len(imagenet_classes()) else None
        facts = dict(kind='classifier', mean=mean, std=std, classes=classes)
    else:
        model, backbone, facts = openmmlab_model(source)
    if checkpoint is not None:
        classes = load_weights(model, backbone, checkpoint)
        facts['classes'] = classes or facts.get('classes')
    model.requires_grad_(False)
    model.eval()  # Not chained: mmdet's backbones return None.
    model.to(device)
    name = name or (Path(source).stem if source.endswith('.py') else source)
    return Network(name, model=model, backbone=backbone, **facts, trained=checkpoint is not None)


def torchvision_model(name: str) -> nn.Module:
    """Build a classifier of torchvision by its name."""
    import torchvision

    names = torchvision.models.list_models(module=torchvision.models)
    if name not in names:
        raise ValueError(f'torchvision has no classifier {name!r}; {similar(name, names)}')
    return torchvision.models.get_model(name, weights=None)


def imagenet_classes() -> tuple[str, ...]:
    """Return the names of ImageNet's 1000 classes, which torchvision has at hand."""
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta['categories'])


def timm_model(name: str) -> nn.Module:
    """Build a network of timm by its name."""
    try:
        import timm
    except ImportError as error:
        raise ValueError(f'timm:{name} needs timm, which is not installed: pip install timm') from error
    names = timm.list_models()
    if name not in names:
        raise ValueError(f'timm has no network {name!r}; {similar(name, names)}')
    return timm.create_model(name)


def similar(name: str, names: Sequence[str]) -> str:
    """Return a hint at names that exist."""
    return f'there are {", ".join(get_close_matches(name, names, 5, 0.4) or names[:5])}, …'


def openmmlab_model(source: str) -> tuple[nn.Module, nn.Module, dict]:
    """Return the model of a config, its backbone, and what the config tells of its input and classes."""
    config = read_config(source)
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
    pixels = config.model.get('data_preprocessor') or config.get('data_preprocessor') or {}
    facts = dict(
        kind='classifier' if config.get('default_scope') == 'mmpretrain' else 'detector',
        mean=tuple(pixels.get('mean') or (0.0,) * 3),
        std=tuple(pixels.get('std') or (1.0,) * 3),
        bgr=not (pixels.get('bgr_to_rgb') or pixels.get('to_rgb')),
        classes=classes,
        config=config,
    )
    return model, model.backbone, facts


def dataset_classes(config: Config) -> tuple[str, ...] | None:
    """Return the names of the classes of a config's test set."""
    dataset = (config.get('test_dataloader') or {}).get('dataset') or {}
    known: dict = {}
    if 'type' in dataset:
        with DATASETS.switch_scope_and_registry(None) as registry:
            known = getattr(registry.get(dataset['type']), 'METAINFO', {})
    classes = (dataset.get('metainfo') or {}).get('classes') or known.get('classes')
    return tuple(classes) if isinstance(classes, list | tuple) else None


def load_weights(model: nn.Module, backbone: nn.Module, path: str | Path) -> tuple[str, ...] | None:
    """Load a checkpoint of a model or of its backbone, and return the names of the classes if it has them."""
    content = read_checkpoint(path)
    tensors = checkpoint_tensors(content)
    prefix = 'backbone.'
    of_backbone = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    pairs = [(model, tensors), (backbone, tensors), (backbone, of_backbone)]
    part, tensors = max(pairs, key=lambda pair: len(matching(*pair)))
    if not matching(part, tensors):
        raise ValueError(f'{path}: holds none of the tensors of {type(model).__name__}, it is of another network')
    report_matches(part, tensors, str(path))
    part.load_state_dict(matching(part, tensors), strict=False)
    meta = content.get('meta') if isinstance(content.get('meta'), dict) else {}
    facts = meta.get('dataset_meta') or {key.lower(): value for key, value in meta.items()}
    return tuple(map(str, facts['classes'])) if isinstance(facts.get('classes'), list | tuple) else None


def convolutions(network: Network) -> list[str]:
    """Return the names of all 2D convolutions of the backbone, in the order in which it defines them."""
    return [name for name, module in network.backbone.named_modules() if isinstance(module, nn.Conv2d)]


def depth(layer: str, order: Sequence[str]) -> float:
    """Return the place of a layer among the convolutions, from 0, the first, to 1, the last.

    A module that holds convolutions, such as a stage, is as deep as its last one; one without is as deep as the first.
    """
    held = [i for i, name in enumerate(order) if name == layer or name.startswith(f'{layer}.')]
    return max(held, default=0) / max(1, len(order) - 1)


def choose_layers(network: Network, patterns: Sequence[str] = ()) -> list[str]:
    """Return the names of chosen layers of the backbone, from the first to the last.

    Args:
        network: Where to look.
        patterns: Names with ``*``, ``?`` and ``[…]``. A ``*`` alone, and whatever else matches convolutions, stands for
            these; a pattern that matches none for the other modules that it matches, such as blocks or stages.
            Defaults to none: 8 convolutions from the first to the last, evenly spread.

    Raises:
        ValueError: If a pattern matches nothing.
    """
    own = convolutions(network)
    if not patterns:
        places = torch.linspace(0, len(own) - 1, min(SPREAD, len(own))).round().int().tolist()
        return [own[place] for place in places]
    every = [name for name, _ in network.backbone.named_modules() if name]
    chosen = set()
    for pattern in patterns:
        fits = [name for name in own if fnmatchcase(name, pattern)]
        fits = fits or [name for name in every if fnmatchcase(name, pattern)]
        if not fits:
            raise ValueError(f'{network.name}: no layer is named {pattern!r}; its convolutions are {", ".join(own)}')
        chosen.update(fits)
    return sorted(chosen, key=lambda name: (depth(name, own), every.index(name)))
