"""The weights of a network that is looked into: all of its backbone or none, and as many classes as they have."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from ...utils.checkpoints import checkpoint_tensors, matching, read_checkpoint


def read_weights(path: str | Path) -> tuple[dict[str, Tensor], tuple[str, ...] | None]:
    """Return the tensors of a checkpoint, and the names of the classes if it has them."""
    content = read_checkpoint(path)
    tensors = checkpoint_tensors(content)
    if not tensors:
        raise ValueError(f'{path}: not a checkpoint: it holds no tensors')
    meta = content.get('meta') if isinstance(content.get('meta'), dict) else {}
    facts = meta.get('dataset_meta') or {key.lower(): value for key, value in meta.items()}
    return tensors, tuple(map(str, facts['classes'])) if isinstance(facts.get('classes'), list | tuple) else None


def load_weights(model: nn.Module, backbone: nn.Module, tensors: Mapping[str, Tensor], path: str | Path) -> str | None:
    """Load a checkpoint of a model or of its backbone, and return 'head' if that stays random.

    Raises:
        ValueError: If it lacks parameters of the backbone: what is left random would pass for trained.
    """
    prefix = 'backbone.'
    of_backbone = {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    pairs = [(model, tensors), (backbone, tensors), (backbone, of_backbone)]
    part, tensors = max(pairs, key=lambda pair: len(matching(*pair)))
    fits = matching(part, tensors)
    part.load_state_dict(fits, strict=False)
    loaded = {id(parameter) for name, parameter in part.named_parameters() if name in fits}
    own = [(name, parameter) for name, parameter in backbone.named_parameters() if id(parameter) not in loaded]
    if own:
        count = sum(1 for _ in backbone.parameters())
        raise ValueError(
            f'{path}: lacks {len(own)} of the {count} parameters of {type(backbone).__name__}, such as {own[0][0]} '
            f'{tuple(own[0][1].shape)}; is it of another network?'
        )
    return None if all(id(parameter) in loaded for parameter in model.parameters()) else 'head'


def with_classes(build: Callable[..., nn.Module], tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build a classifier with as many classes as a checkpoint of it has, if that can be told."""
    model = build()
    name, head = head_of(model)
    weight = tensors.get(f'{name}.weight')
    if weight is None or weight.shape == head.weight.shape or weight.shape[1:] != head.weight.shape[1:]:
        return model
    return build(num_classes=len(weight))


def head_of(model: nn.Module) -> tuple[str, nn.Module]:
    """Return the last layer with weights of a classifier, by which it tells classes."""
    layers = [(name, m) for name, m in model.named_modules() if isinstance(m, nn.Linear | nn.Conv2d)]
    return layers[-1]
