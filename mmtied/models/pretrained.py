"""Load what ``init_cfg`` names, and say how much of a backbone it holds: mmengine's own loading is silent about it."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from mmengine.runner import CheckpointLoader
from torch import Tensor, nn

from ..utils.checkpoints import checkpoint_tensors, matching


def pretrained_configs(init_cfg: dict | list[dict] | None) -> tuple[list[dict], list[dict]]:
    """Return the configs that load a checkpoint, and the others."""
    configs = [init_cfg] if isinstance(init_cfg, dict) else list(init_cfg or [])
    pretrained = [config for config in configs if config['type'] in ('Pretrained', PretrainedInit)]
    return pretrained, [config for config in configs if config not in pretrained]


def pretrained_tensors(config: dict) -> dict[str, Tensor]:
    """Return the tensors of the checkpoint that an ``init_cfg`` names, below its prefix."""
    content = CheckpointLoader.load_checkpoint(config['checkpoint'], map_location=config.get('map_location', 'cpu'))
    prefix = config.get('prefix') or ''
    prefix += '.' if prefix and not prefix.endswith('.') else ''
    tensors = checkpoint_tensors(content)
    return {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}


def log_matches(network: nn.Module, tensors: Mapping[str, Tensor], checkpoint: str) -> None:
    """Log how many of a network's tensors a checkpoint holds, and raise an error where it holds none."""
    own, matched = network.state_dict(), matching(network, tensors)
    name = type(network).__name__
    missing = [tensor for tensor in own if tensor not in matched]
    text = f'{len(matched)} of {len(own)} tensors of {name} are in {checkpoint}'
    if missing:
        text += f'; not {", ".join(missing[:3])}' + (', …' if len(missing) > 3 else '')
    print_log(text, 'current', logging.WARNING if missing else logging.INFO)
    if not matched:
        raise ValueError(
            f'{name}: init_cfg: {checkpoint} holds none of its tensors; a config made for another network needs '
            "init_cfg=None, and a classifier's checkpoint prefix='backbone.'"
        )


def load_pretrained(network: nn.Module, config: dict) -> None:
    """Load the checkpoint that an ``init_cfg`` names, as far as it fits, and report that.

    Raises:
        ValueError: If it holds none of the network's tensors, or not all of the frozen ones.
    """
    tensors = pretrained_tensors(config)
    log_matches(network, tensors, config['checkpoint'])
    fits = matching(network, tensors)
    frozen = [name for name, parameter in network.named_parameters() if not parameter.requires_grad]
    lacking = [name for name in frozen if name not in fits]
    if lacking:
        raise ValueError(
            f'{type(network).__name__}: init_cfg: {config["checkpoint"]} lacks {len(lacking)} of the {len(frozen)} '
            f'frozen tensors, such as {lacking[0]}, which would stay random; it is of another width or depth'
        )
    network.load_state_dict(fits, strict=False)
