"""What ``init_cfg`` does last: it loads checkpoints, and the log says how much of a network they hold.

mmengine knows a config that loads by the spelling of its type, initialises after any other one, and loads in silence.
Here the initialiser that a config stands for decides, so that nothing is initialised after a checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import WEIGHT_INITIALIZERS
from mmengine.runner import CheckpointLoader
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ..layers.published import own_names
from ..utils.checkpoints import below, checkpoint_tensors, matching, prefixes_of
from ..utils.words import some

InitConfig = dict | list[dict] | None
FROM_SCRATCH = 'frozen_stages=-1 and norm_eval=False'


class Step(NamedTuple):
    """What an initialisation config does to a part of a network: to a child by its name, or with '' to the whole."""

    part: str
    config: dict

    @property
    def loads(self) -> bool:
        """Whether it loads a checkpoint, however its type is spelt."""
        return isinstance(WEIGHT_INITIALIZERS.build(self.config), PretrainedInit)


def steps_of(config: dict) -> list[Step]:
    """Return what a config does: to the whole network, then to the parts that its ``override`` names."""
    if 'type' not in config:
        raise ValueError(f"init_cfg: {config!r} needs a type, such as 'Pretrained'")
    whole = {key: value for key, value in config.items() if key != 'override'}
    steps = [Step('', whole)]
    override = config.get('override') or []
    for part in [override] if isinstance(override, dict) else override:
        own = {key: value for key, value in part.items() if key != 'name'}
        if 'name' not in part or (own and 'type' not in own):
            raise ValueError(f'init_cfg: override={part!r} needs a name and, with other arguments, a type')
        steps.append(Step(part['name'], own or {key: value for key, value in whole.items() if key != 'layer'}))
    return steps


def in_order(init_cfg: InitConfig) -> tuple[list[dict], list[Step]]:
    """Return the configs that come before all checkpoints, in mmengine's form, and the steps that come last."""
    first, of_parts, of_whole = [], [], []
    for config in [init_cfg] if isinstance(init_cfg, dict) and init_cfg else init_cfg or []:
        whole, *parts = steps_of(config)
        if whole.loads:
            of_whole += [whole, *parts]
            continue
        of_parts += [part for part in parts if part.loads]
        kept = [dict(part.config, name=part.part) for part in parts if not part.loads]
        first.append(whole.config | dict(override=kept) if kept else whole.config)
    return first, of_parts + of_whole


def spell_out(init_cfg: InitConfig) -> InitConfig:
    """Return an ``init_cfg`` whose checkpoints mmengine, and networks that look at the type, know as such.

    It is one config where it was a list of one, for some networks take no list.
    """
    if isinstance(init_cfg, dict) and init_cfg:
        return ConfigDict(init_cfg, type='Pretrained') if steps_of(init_cfg)[0].loads else init_cfg
    configs = [dict_ for config in init_cfg or [] if isinstance(dict_ := spell_out(config), dict)]
    return configs[0] if len(configs) == 1 else configs or None


def spell_out_below(network: nn.Module) -> None:
    """Spell out the ``init_cfg`` of a network's parts, such as plugins."""
    for module in network.modules():
        if isinstance(module, BaseModule) and module is not network:
            module.init_cfg = spell_out(module.init_cfg)


def part_of(network: nn.Module, step: Step) -> nn.Module:
    """Return the part of a network that a step is for.

    Raises:
        ValueError: If it has no such part.
    """
    if step.part and not hasattr(network, step.part):
        raise ValueError(f'init_cfg: override: {type(network).__name__} has no part {step.part!r}')
    return getattr(network, step.part) if step.part else network


def content_of(config: dict) -> Mapping:
    """Return what the checkpoint that a config loads holds."""
    init = WEIGHT_INITIALIZERS.build(config)
    content = CheckpointLoader.load_checkpoint(init.checkpoint, map_location=init.map_location, logger='silent')
    return content if isinstance(content, Mapping) else {}


def tensors_for(network: nn.Module, content: Mapping, prefix: str | None) -> dict[str, Tensor]:
    """Return the tensors of a checkpoint's content, below a prefix, by the network's names."""
    return own_names(network, below(checkpoint_tensors(content), prefix))


def not_trained(content: Mapping) -> set[str]:
    """Return the names of what a warm start projected or initialised: it says so in its meta data."""
    meta = content.get('meta')
    origins = meta.get('tensors') if isinstance(meta, Mapping) else None
    return {name for name, how in origins.items() if how != 'matched'} if isinstance(origins, Mapping) else set()


def log_matches(network: nn.Module, tensors: Mapping[str, Tensor], step: Step) -> None:
    """Log how many of a network's tensors a checkpoint holds."""
    own, matched = network.state_dict(), matching(network, tensors)
    name = ' '.join(filter(None, (type(network).__name__, step.part)))
    missing = [tensor for tensor in own if tensor not in matched]
    text = f'{len(matched)} of {len(own)} tensors of {name} are in {step.config["checkpoint"]}'
    if missing:
        text += f'; not {some(missing, 3)}'
    print_log(text, 'current', logging.WARNING if missing else logging.INFO)


def refuse_foreign(network: nn.Module, tensors: Mapping[str, Tensor], step: Step) -> None:
    """Raise an error if none of a network's tensors is there, with the prefix that they have, if they have one."""
    if not matching(network, tensors):
        checkpoint, prefix = step.config['checkpoint'], step.config.get('prefix')
        name = ' '.join(filter(None, (type(network).__name__, step.part)))
        place = f'{checkpoint}, below prefix={prefix!r},' if prefix else checkpoint
        raise ValueError(f'{name}: init_cfg: {place} holds none of its tensors; {advice(network, step.config)}')


def advice(network: nn.Module, config: dict) -> str:
    """Say what to do about a checkpoint that holds no tensor of a network where its config says."""
    found = prefixes_of(network, checkpoint_tensors(content_of(config)))
    if found:
        return f'it has them below prefix={" and prefix=".join(map(repr, found))}'
    return (
        f'a config made for another network needs init_cfg=None, and trains from scratch with {FROM_SCRATCH}; '
        'tied networks start from ordinary weights by a warm start (tools/convert_weights.py)'
    )


def run_steps(network: nn.Module, steps: Sequence[Step]) -> tuple[dict[str, str], set[str]]:
    """Run steps in order, and return whence each tensor was loaded, and which of them are not trained."""
    loaded: dict[str, str] = {}
    new: set[str] = set()
    for step in steps:
        names, untrained = run_step(network, step)
        loaded |= dict.fromkeys(names, step.config.get('checkpoint', ''))
        new = new - names | untrained
    return loaded, new


def run_step(network: nn.Module, step: Step) -> tuple[set[str], set[str]]:
    """Load or initialise the part of a network that a step names.

    Returns:
        The names of what was loaded, and those among them that are not trained.

    Raises:
        ValueError: If the network has no such part, or the checkpoint holds none of its tensors.
    """
    part = part_of(network, step)
    if not step.loads:
        initializer = WEIGHT_INITIALIZERS.build(step.config)
        initializer.wholemodule = True
        initializer(part)
        return set(), set()
    content = content_of(step.config)
    tensors = tensors_for(part, content, step.config.get('prefix'))
    log_matches(part, tensors, step)
    refuse_foreign(part, tensors, step)
    # mmengine's loading lets a network adapt what is of another shape, as position embeddings.
    load_state_dict(part, {name: tensors[name] for name in part.state_dict() if name in tensors}, logger='silent')
    place = f'{step.part}.' if step.part else ''
    names = {f'{place}{name}' for name in matching(part, tensors)}
    return names, names & not_trained(content)


def check_what_stays(network: nn.Module, loaded: Mapping[str, str], projected: Collection[str] = ()) -> None:
    """Warn of what will not learn though it should: random or projected parameters, and the norms of such features.

    Args:
        network: It was initialised, and loaded as far as ``init_cfg`` says.
        loaded: Names of the tensors that came from checkpoints, and these.
        projected: Names of those among them that were projected from ordinary ones, or are new beside such. Defaults
            to none.

    Raises:
        ValueError: If there was a checkpoint, and it lacks frozen parameters.
    """
    name = type(network).__name__
    parameters = dict(network.named_parameters())
    frozen = [key for key, parameter in parameters.items() if not parameter.requires_grad]
    random = [key for key in frozen if key not in loaded]
    if random and loaded:
        raise ValueError(
            f'{name}: init_cfg: {" and ".join(dict.fromkeys(loaded.values()))} lacks {len(random)} of the '
            f'{len(frozen)} frozen tensors, such as {random[0]}, which would stay random; it is of another width or '
            'depth'
        )
    norms = [key for key, module in network.named_modules() if isinstance(module, _BatchNorm)]
    fixed = norms if getattr(network, 'norm_eval', False) else []
    first = [key for key in fixed if f'{key}.running_mean' not in loaded]
    if random or first:
        cause = 'init_cfg loads only some of the weights' if loaded else 'init_cfg loads no weights'
        end = 'Unless load_from or resume brings the weights, these stay random: from scratch'
    else:
        random, first = [key for key in frozen if key in projected], fixed if projected else []
        cause = f'{len(projected)} tensors are projected from an ordinary network, or new beside it'
        end = 'These do not adapt to that: to train them'
    facts, mends = [], []
    if random:
        facts.append(f'{len(random)} of {len(parameters)} parameters are frozen')
        mends += mends_of_frozen(network)
    if first:
        facts.append(f'{len(first)} of {len(norms)} batch norms keep their statistics (norm_eval=True)')
        mends.append('norm_eval=False')
    if facts:
        text = f'{name}: {cause}, but {" and ".join(facts)}. {end}, set {" and ".join(mends)}'
        print_log(text, 'current', logging.WARNING)


def mends_of_frozen(network: nn.Module) -> list[str]:
    """Return the settings with which no parameter of a network is frozen."""
    frozen = [m for m in network.modules() if any(not p.requires_grad for p in m.parameters(recurse=False))]
    mends = ['frozen_stages=-1'] if getattr(network, 'frozen_stages', -1) >= 0 else []
    # In a frozen stage each norm stands behind a convolution that is frozen as well.
    norms = sum(isinstance(module, _BatchNorm | nn.GroupNorm) for module in frozen)
    if norms > sum(isinstance(module, nn.Conv2d) for module in frozen):
        mends.append('requires_grad=True in norm_cfg')
    return mends or ['requires_grad=True']
