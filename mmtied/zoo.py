"""The configs by name, in a checkout and in an installed package.

For inference by name see ``mmtied.inferencer``. mmpretrain learns names: ``register_in_mmpretrain()``, then
``get_model('tiedresnet50-4s32w_8xb32_in1k')``.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from .models.variants import VARIANTS
from .utils.names import similar_names

__all__ = [
    'build_backbone',
    'config_file',
    'config_files',
    'read_config',
    'register_in_mmpretrain',
    'zoo_root',
]

PACKAGE = Path(__file__).resolve().parent


def zoo_root() -> Path:
    """Return the folder that has ``configs``, ``tools`` and ``model-index.yml``."""
    checkout = PACKAGE.parent
    return checkout if (checkout / 'model-index.yml').is_file() else PACKAGE / '.mim'


def config_files(pattern: str = '*') -> dict[str, Path]:
    """Return configs by name.

    Args:
        pattern: Of their names, with ``*``, ``?`` and ``[…]``, such as ``'*tiedr50*_coco'``; without any of these, a
            part of the name. Defaults to all.

    Raises:
        ValueError: If no name fits; the message has similar ones.
    """
    files = {path.stem: path for path in sorted((zoo_root() / 'configs').glob('[!_]*/*.py'))}
    if not set(pattern) & set('*?['):
        pattern = f'*{pattern}*'
    chosen = {name: path for name, path in files.items() if fnmatchcase(name, pattern)}
    if not chosen:
        similar = ', '.join(similar_names(pattern.strip('*'), files))
        raise ValueError(f"no config's name fits {pattern!r}; there are {similar}, and others")
    return chosen


def config_file(name: str) -> str:
    """Return the path of a config by its name.

    Args:
        name: Such as 'mask-rcnn_tiedr50-4s32w_fpn_2x_coco', without '.py'.

    Raises:
        ValueError: If there is no such config; the message has similar names.
    """
    files = config_files()
    if name not in files:
        similar = ', '.join(similar_names(name, files))
        raise ValueError(f'no config is named {name!r}; there are {similar}, and others in {zoo_root()}/configs')
    return str(files[name])


def read_config(source: str) -> Config:
    """Return a config by its path, by the name of one of ours, or as 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'.

    Args:
        source: A path, a name of :func:`config_files`, a config of another package behind its name and '::', or a name
            of :data:`mmtied.models.VARIANTS`, such as 'tiedresnet50-s': a config whose model is a backbone alone.

    Raises:
        ValueError: If there is no such config, or it cannot be read.
    """
    if source in VARIANTS:
        return Config(dict(model=dict(backbone=VARIANTS[source])))
    files = config_files()
    if '::' not in source and source not in files and not Path(source).is_file():
        similar = ', '.join(similar_names(source, files))
        raise ValueError(
            f'{source}: no such config file, and not one of {", ".join(VARIANTS)}, or of the configs, such as {similar}'
        )
    try:
        if '::' in source:
            return Config.fromstring(f'_base_ = {source!r}', '.py')
        return Config.fromfile(files.get(source, source))
    except Exception as error:  # Whatever a config's code does.
        raise ValueError(f'{source}: not a config: {type(error).__name__}: {error}') from error


def build_backbone(source: str) -> nn.Module:
    """Return the backbone of a config, without the weights that the config loads.

    Args:
        source: As :func:`read_config` takes it.

    Raises:
        ValueError: If there is no such config, or it has no backbone that can be built.
    """
    config = read_config(source)
    if 'backbone' not in config.get('model', {}):
        raise ValueError(f'{source}: has no model.backbone')
    init_default_scope(config.get('default_scope') or 'mmdet')
    try:
        return MODELS.build({name: value for name, value in config.model.backbone.items() if name != 'init_cfg'})
    except (KeyError, TypeError, ValueError, AssertionError) as error:
        raise ValueError(f'{source}: its backbone cannot be built: {error}') from error


def register_in_mmpretrain() -> None:
    """Make mmpretrain's ``get_model`` and ``list_models`` know the classifiers by name. More than once is harmless."""
    from mmpretrain.apis import ModelHub

    root = zoo_root()
    if not ModelHub.has('tiedresnet50-4s32w_8xb32_in1k'):
        ModelHub.register_model_index(root / 'configs' / 'imagenet' / 'metafile.yml', config_prefix=root)
