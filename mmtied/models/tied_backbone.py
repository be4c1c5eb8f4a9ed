"""Tie the backbone of a config: ``TiedBackbone`` in place of its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MethodType

from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import nn

from ..tying import TieReport, tie_model, tie_se
from ..utils.checkpoints import matching
from .pretrained import load_pretrained, log_matches, pretrained_configs, pretrained_tensors


@dataclass(frozen=True)
class Tying:
    """How the backbone of a config was tied: enough to build the ordinary network again, and to tie that."""

    cfg: dict
    policy: Mapping[str, int] | None
    se_blocks: int | None

    def ordinary(self) -> nn.Module:
        """Build the ordinary network."""
        return MODELS.build(self.cfg)

    def tie(self, network: nn.Module) -> list[TieReport]:
        """Tie an ordinary network in place."""
        reports = []
        if self.se_blocks is not None:
            reports.append(tie_se(network, self.se_blocks))
        if self.policy is not None:
            reports.append(tie_model(network, self.policy))
        return reports


@MODELS.register_module()
def TiedBackbone(
    network: str, policy: Mapping[str, int] | None = None, se_blocks: int | None = None, **kwargs
) -> nn.Module:
    """Build any registered backbone with layers tied by :func:`~mmtied.tying.tie_model`, and SE by ``tie_se``.

    In a config that inherits an ordinary backbone, two lines tie it, the other arguments stay::

        model = dict(backbone=dict(
            type='mmtied.TiedBackbone', network='ResNet', policy={'layer[34].*.conv2': 4}, norm_eval=False))

    It is the network itself, with the names of its tensors. Weights are initialised, or loaded by ``init_cfg``, in an
    ordinary network, and then projected; a checkpoint of the tied network is loaded as it is. The log says what was
    tied and what was left.

    Args:
        network: The type of the backbone, such as 'ResNet' or 'mmpretrain.EfficientNet'.
        policy: As in ``tie_model``, a mapping of the layers' name patterns to B. Defaults to None: none.
        se_blocks: B of the TiedSE that takes the place of every ``SELayer``. Defaults to None: they stay.
        **kwargs: The network's arguments, its ``init_cfg`` among them.

    Raises:
        ValueError: If a pattern of the policy decides for no layer; when weights are initialised, if ``init_cfg`` names
            a checkpoint that holds none of the network's tensors.
    """
    if policy is None and se_blocks is None:
        raise ValueError("TiedBackbone: needs policy, such as {'layer4.*': 2}, or se_blocks, or both")
    tying = Tying(dict(type=network, **kwargs), policy, se_blocks)
    tied = tying.ordinary()
    for report in tying.tie(tied):
        print_log(f'{type(tied).__name__}, tied:\n{report}', 'current')
    tied.tying = tying
    tied.init_weights = MethodType(init_weights, tied)
    return tied


def init_weights(tied: nn.Module) -> None:
    """Initialise an ordinary network, or load its checkpoint, and take over the projected weights."""
    ordinary = tied.tying.ordinary()
    pretrained, others = pretrained_configs(getattr(ordinary, 'init_cfg', None))
    tied_checkpoints = []
    for config in pretrained:
        tensors = pretrained_tensors(config)
        if len(matching(tied, tensors)) > len(matching(ordinary, tensors)):
            tied_checkpoints.append(config)
            ordinary.init_cfg = others
        elif not getattr(ordinary, 'convert_weights', False):  # Swin and PVT rename what they load.
            log_matches(ordinary, tensors, config['checkpoint'])
    if hasattr(ordinary, 'init_weights'):
        ordinary.init_weights()
    project_from(tied, ordinary)
    for config in tied_checkpoints:
        load_pretrained(tied, config)
    tied.is_init = True


def project_from(tied: nn.Module, ordinary: nn.Module) -> None:
    """Take over the weights of an ordinary network, which is tied thereby."""
    tied.tying.tie(ordinary)
    tied.load_state_dict(ordinary.state_dict())
