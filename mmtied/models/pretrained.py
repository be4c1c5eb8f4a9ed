"""Say how much of a backbone a checkpoint holds, since loading alone is silent about it."""

from __future__ import annotations

from mmengine.logging import print_log
from mmengine.runner import CheckpointLoader
from torch import nn


def report_matches(backbone: nn.Module, pretrained: dict) -> None:
    """Log how many of the backbone's tensors a checkpoint holds, and raise an error where it holds none."""
    content = CheckpointLoader.load_checkpoint(pretrained['checkpoint'], map_location='cpu')
    prefix = pretrained.get('prefix') or ''
    prefix += '.' if prefix and not prefix.endswith('.') else ''
    state = content.get('state_dict', content)
    shapes = {
        name[len(prefix) :]: value.shape
        for name, value in ((name.removeprefix('module.'), value) for name, value in state.items())
        if name.startswith(prefix)
    }
    own = backbone.state_dict()
    matched = sum(shapes.get(name) == value.shape for name, value in own.items())
    network, source = type(backbone).__name__, pretrained['checkpoint']
    print_log(f'{matched} of {len(own)} tensors of {network} are in {source}', 'current')
    if not matched:
        raise ValueError(
            f'{network}: init_cfg: {source} holds none of its tensors; a config made for another network needs '
            "init_cfg=None, and a classifier's checkpoint prefix='backbone.'"
        )
