"""The classes that a detector's labels stand for: by name, from a file, or from the config it was tested with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..utils.errors import InputError
from .yolo import read_names


def read_classes(classes: Sequence[str]) -> list[str]:
    """Return the names of classes in the order of the labels.

    Args:
        classes: The names, or one file: a config of mmdet (``.py``, needs mmengine), Ultralytics' ``data.yaml``, a json
            list of names or COCO json with categories, or text with a name on each line.

    Raises:
        InputError: If the file cannot be read or holds no classes, or a name is given twice.

    Example:
        >>> from mmtied.coco.classes import read_classes
        >>> read_classes(['cat', 'dog'])
        ['cat', 'dog']
    """
    names = list(classes)
    if len(names) == 1 and Path(names[0]).is_file():
        names = _from_file(Path(names[0]))
    elif len(names) == 1 and Path(names[0]).suffix in ('.py', '.json', '.txt', '.yaml', '.yml'):
        raise InputError(f'classes: {names[0]}: no such file')
    if not names:
        raise InputError(f'classes: {classes[0] if classes else "none"}: holds no class')
    twice = [name for i, name in enumerate(names) if name in names[:i]]
    if twice:
        raise InputError(f'classes: {twice[0]} is given twice')
    return names


def _from_file(path: Path) -> list[str]:
    if path.suffix == '.py':
        return _from_config(path)
    if path.suffix in ('.yaml', '.yml'):
        return read_names(path)
    try:
        content = path.read_text(encoding='utf-8-sig')
        if path.suffix != '.json':
            return [line.strip() for line in content.splitlines() if line.strip()]
        data = msgspec.json.decode(content)
        listed = data['categories'] if isinstance(data, dict) else data
        return [str(entry['name'] if isinstance(entry, dict) else entry) for entry in listed]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f'classes: {path}: cannot be read as a list of names: {error}') from error


def _from_config(path: Path) -> list[str]:
    try:
        from mmengine.config import Config
    except ModuleNotFoundError as error:
        raise InputError(f'classes: reading the config {path} needs {error.name}; or give the names') from error
    try:
        config = Config.fromfile(str(path))
    except Exception as error:  # Whatever a config's code does.
        raise InputError(f'classes: {path}: not a config: {type(error).__name__}: {error}') from error
    for key in ('test_dataloader', 'val_dataloader', 'train_dataloader'):
        found = _of_dataset((config.get(key) or {}).get('dataset'))
        if found:
            return found
    raise InputError(f'classes: {path}: no dataset of the config says its classes; give the names')


def _of_dataset(dataset: Any) -> list[str] | None:
    """Return the classes of a dataset's config: its own, those of a dataset that it wraps, or those of its type."""
    if not isinstance(dataset, dict):
        return None
    classes = (dataset.get('metainfo') or {}).get('classes')
    if isinstance(classes, str):
        return _from_file(Path(classes))
    if classes:
        return list(classes)
    for inner in (dataset.get('dataset'), *(dataset.get('datasets') or [])):
        found = _of_dataset(inner)
        if found:
            return found
    try:
        from mmdet.registry import DATASETS
        from mmengine.registry import init_default_scope
    except ModuleNotFoundError:
        return None
    init_default_scope('mmdet')
    known = DATASETS.get(dataset.get('type'))
    classes = getattr(known, 'METAINFO', {}).get('classes')
    return [classes] if isinstance(classes, str) else list(classes or []) or None
