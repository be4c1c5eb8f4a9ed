"""Tie the backbone of a config: ``TiedBackbone`` in the place of its type."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import MODELS
from torch import nn

from ..tying import TieReport, tie_model, tie_se
from .pretrained import report_matches


@MODELS.register_module()
class TiedBackbone(BaseModule):
    """Any registered backbone with layers tied by :func:`~mmtied.tying.tie_model`, and SE by ``tie_se``.

    In a config that inherits an ordinary backbone two lines tie it, the other arguments stay::

        model = dict(backbone=dict(type='mmtied.TiedBackbone', network='ResNet', policy={'layer[34].*.conv2': 4}))

    Weights are initialised, or loaded by ``init_cfg``, in the ordinary network, and then projected. The log says what
    was tied and what was left.

    Args:
        network: The type of the backbone, such as 'ResNet' or 'mmpretrain.EfficientNet'.
        policy: As in ``tie_model``, a mapping of the layers' name patterns to B. Defaults to None: none.
        se_blocks: B of the TiedSE that takes the place of every ``SELayer``. Defaults to None: they stay.
        **kwargs: The network's arguments, its ``init_cfg`` among them.

    Shape:
        As the network has it.

    Raises:
        ValueError: If a pattern of the policy fits no layer, or ``init_cfg`` names a checkpoint that holds none of the
            network's tensors.
    """

    def __init__(
        self,
        network: str,
        policy: Mapping[str, int] | None = None,
        se_blocks: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__()
        if policy is None and se_blocks is None:
            raise ValueError("TiedBackbone: needs policy, such as {'layer4.*': 2}, or se_blocks, or both")
        self.ordinary_cfg = dict(type=network, **kwargs)
        self.policy = policy
        self.se_blocks = se_blocks
        self.network = MODELS.build(self.ordinary_cfg)
        for report in self.tie(self.network):
            print_log(f'{type(self.network).__name__}, tied:\n{report}', 'current')

    def tie(self, network: nn.Module) -> list[TieReport]:
        """Tie an ordinary network by the arguments, and return the reports."""
        reports = []
        if self.se_blocks is not None:
            reports.append(tie_se(network, self.se_blocks))
        if self.policy is not None:
            reports.append(tie_model(network, self.policy))
        return reports

    def project_from(self, ordinary: nn.Module) -> None:
        """Take over the weights of an ordinary network, which is tied thereby."""
        self.tie(ordinary)
        self.network.load_state_dict(ordinary.state_dict())

    def init_weights(self) -> None:
        """Initialise the ordinary network, or load its checkpoint, and project its weights."""
        ordinary = MODELS.build(self.ordinary_cfg)
        configs = [ordinary.init_cfg] if isinstance(ordinary.init_cfg, dict) else ordinary.init_cfg or []
        for config in configs:
            if config['type'] == 'Pretrained':
                report_matches(ordinary, config)
        ordinary.init_weights()
        self.project_from(ordinary)
        self.is_init = True

    def forward(self, *args, **kwargs):
        return self.network(*args, **kwargs)
