"""Tie the backbone of a config: ``TiedBackbone`` in place of its type."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import nn

from ..tying import TieReport, tie_model, tie_se
from ..utils.checkpoints import matching
from .pretrained import (
    Step,
    check_what_stays,
    content_of,
    in_order,
    part_of,
    run_steps,
    spell_out,
    spell_out_below,
    tensors_for,
)


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
    network: str | type, policy: Mapping[str, int] | None = None, se_blocks: int | None = None, **kwargs
) -> nn.Module:
    """Build any registered backbone with layers tied by :func:`~mmtied.tying.tie_model`, and SE by ``tie_se``.

    In a config that inherits an ordinary backbone, two lines tie it, the other arguments stay::

        model = dict(backbone=dict(
            type='mmtied.TiedBackbone', network='ResNet', policy={'layer[34].*.conv2': 4}, norm_eval=False))

    It is the network itself, with the names of its tensors. Weights are initialised, or loaded by ``init_cfg``, in an
    ordinary network, and then projected; a checkpoint of the tied network is loaded as it is. The log says what was
    tied and what was left.

    Args:
        network: The type of the backbone, such as 'ResNet' or 'mmpretrain.EfficientNet', or its class.
        policy: As in ``tie_model``, a mapping of the layers' name patterns to B. Defaults to None: none.
        se_blocks: B of the TiedSE that takes the place of every ``SELayer``. Defaults to None: they stay.
        **kwargs: The network's arguments, its ``init_cfg`` among them.

    Raises:
        ValueError: If a pattern of the policy decides for no layer; when weights are initialised, if ``init_cfg`` names
            a checkpoint that holds none of the network's tensors, or not all that are frozen.
    """
    if policy is None and se_blocks is None:
        raise ValueError("TiedBackbone: needs policy, such as {'layer4.*': 2}, or se_blocks, or both")
    if 'init_cfg' in kwargs:
        kwargs['init_cfg'] = spell_out(kwargs['init_cfg'])
    tying = Tying(dict(type=network, **kwargs), policy, se_blocks)
    tied = tying.ordinary()
    for report in tying.tie(tied):
        print_log(f'{type(tied).__name__}, tied:\n{report}', 'current')
    tied.tying = tying
    # A method would be pickled by its name alone, and so become the network's own.
    tied.init_weights = partial(init_weights, tied)
    return tied


def init_weights(tied: nn.Module) -> None:
    """Initialise an ordinary network, load what ``init_cfg`` names, into it or into the tied one, and project it."""
    ordinary = tied.tying.ordinary()
    spell_out_below(ordinary)
    first, last = in_order(getattr(ordinary, 'init_cfg', None))
    of_ordinary, of_tied = share(last, ordinary, tied)
    if of_ordinary and getattr(ordinary, 'convert_weights', False):  # Swin and PVT rename what they load.
        ordinary.init_weights()
        source = dict.fromkeys(ordinary.state_dict(), 'the checkpoint')
    else:
        ordinary.init_cfg = first[0] if len(first) == 1 else first or None
        if hasattr(ordinary, 'init_weights'):
            ordinary.init_weights()
        source, _ = run_steps(ordinary, of_ordinary)
    shapes = {name: value.shape for name, value in ordinary.state_dict().items()}
    project_from(tied, ordinary)
    old_names = {name: ordinary_name(name, shapes) for name in tied.state_dict()}
    loaded = {name: source[old] for name, old in old_names.items() if old in source}
    projected = {name for name in loaded if tied.state_dict()[name].shape != shapes[old_names[name]]}
    own, new = run_steps(tied, of_tied)
    check_what_stays(tied, loaded | own, projected - set(own) | new)
    tied.is_init = True


def share(steps: list[Step], ordinary: nn.Module, tied: nn.Module) -> tuple[list[Step], list[Step]]:
    """Return the steps for the ordinary network, and those for the tied one: what follows on its own checkpoint."""
    shares: tuple[list[Step], list[Step]] = ([], [])
    of_tied = False
    for step in steps:
        if step.loads:
            content = content_of(step.config)
            of_tied = held(step, tied, content) > held(step, ordinary, content)
        shares[of_tied].append(step)
    return shares


def held(step: Step, network: nn.Module, content: Mapping) -> int:
    """Return how many tensors of a network the checkpoint of a step holds, whose content this is."""
    part = part_of(network, step)
    return len(matching(part, tensors_for(part, content, step.config.get('prefix'))))


def is_of_ordinary(tied: nn.Module, step: Step) -> bool:
    """Return whether the checkpoint of a step is rather one of the ordinary network, which will be projected."""
    content = content_of(step.config)
    of_ordinary = held(step, tied.tying.ordinary(), content)
    return of_ordinary > 0 and of_ordinary >= held(step, tied, content)


def ordinary_name(name: str, shapes: Mapping[str, object]) -> str:
    """Return the name that a tensor has in the ordinary network: TiedSE's layers say what they do, SELayer's do not."""
    return name if name in shapes else name.replace('.squeeze.', '.conv1.conv.').replace('.excite.', '.conv2.conv.')


def project_from(tied: nn.Module, ordinary: nn.Module) -> None:
    """Take over the weights of an ordinary network, which is tied thereby."""
    tied.tying.tie(ordinary)
    tied.load_state_dict(ordinary.state_dict())
