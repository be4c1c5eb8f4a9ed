"""Detections from the pickle that mmdet's `test.py --out` writes, read without running what a pickle may ask for."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np

from ..utils.errors import InputError
from .data import GroundTruth, Note

# What tensors and numbers are made of; a pickle may name any function, and the rest is refused.
ALLOWED = {
    ('collections', 'OrderedDict'),
    ('torch._utils', '_rebuild_tensor_v2'),
    ('torch', 'Size'),
    ('torch', 'device'),
    ('numpy', 'dtype'),
    ('numpy', 'ndarray'),
    ('_codecs', 'encode'),
    *((f'numpy.{core}.multiarray', name) for core in ('core', '_core') for name in ('_reconstruct', 'scalar')),
}


def is_pickle(source: Any) -> TypeGuard[str | PathLike]:
    """Return whether a source of results is a path that ends in .pkl or .pickle."""
    return isinstance(source, (str, PathLike)) and Path(source).suffix in ('.pkl', '.pickle')


def read_pickle(
    path: str | PathLike, truth: GroundTruth, iou_type: str, classes: Sequence[str] | None = None
) -> tuple[list[dict], list[Note]]:
    """Return the predictions of mmdet's ``DumpDetResults`` as a json file of results would hold them, and notes.

    A label is the index of a class in the config that the detector was tested with. Without it, labels are taken for
    indices of the ground truth's categories, where these are in the order of their ids, as COCO's are.

    Args:
        path: The pickle. Tensors in it need torch.
        truth: The ground truth.
        iou_type: 'bbox' or 'segm'.
        classes: Names of the config's classes. Defaults to None: those of the ground truth.

    Raises:
        InputError: If the file is no such pickle, or what a label stands for cannot be known.
    """
    try:
        with Path(path).open('rb') as file:
            samples = _Unpickler(file).load()
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror}') from error
    except ModuleNotFoundError as error:
        raise InputError(f"{path}: reading a pickle of mmdet's predictions needs {error.name}") from error
    except Exception as error:  # a broken pickle may raise anything
        raise InputError(f"{path}: not a pickle of mmdet's predictions: {error}") from error
    if not isinstance(samples, list):
        raise InputError(f"{path}: mmdet's predictions are a list of images, found {type(samples).__name__}")
    entries = []
    ids, notes = _ids_of_labels(path, truth, classes)
    for i, sample in enumerate(samples):
        try:
            found = sample['pred_instances']
            scores = found['mask_scores' if iou_type == 'segm' and 'mask_scores' in found else 'scores']
            columns = [np.asarray(value).tolist() for value in (found['labels'], scores, found['bboxes'])]
            masks = found['masks'] if iou_type == 'segm' else [None] * len(columns[0])
            for label, score, (x0, y0, x1, y1), mask in zip(*columns, masks, strict=True):
                if not 0 <= label < len(ids):
                    whose = 'the given classes are' if classes else 'the ground truth has'
                    raise InputError(
                        f'{path}[{i}]: label {label} has no category, {whose} {len(ids)}' + _advice(classes)
                    )
                entry = {'image_id': sample['img_id'], 'category_id': ids[label], 'score': score}
                entries.append(entry | {'bbox': [x0, y0, x1 - x0, y1 - y0], 'segmentation': mask})
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                f'{path}[{i}] must hold img_id and pred_instances with bboxes, labels, scores'
                + (' and masks as run-length encodings' if iou_type == 'segm' else '')
            ) from error
    return entries, notes


def _ids_of_labels(
    path: str | PathLike, truth: GroundTruth, classes: Sequence[str] | None
) -> tuple[list[Any], list[Note]]:
    """Return what each label stands for: the id of a category, or a class's name where there is no such category."""
    if classes is not None:
        known = {category['name']: category['id'] for category in truth.categories}
        return [known.get(name, name) for name in classes], []
    count = len(truth.categories)
    if not np.array_equal(truth.labels, np.arange(count)):
        raise InputError(
            f'{path}: its labels are indices of the classes of a config, and the categories of the ground truth are '
            'not in the order of their ids, so what the labels stand for cannot be known' + _advice(classes)
        )
    text = (
        f'{path}: its labels are taken for the {count} categories of the ground truth in the order of their ids; '
        'if the config has other classes, give --classes.'
    )
    return [category['id'] for category in truth.categories], [Note('labels', count, text)]


def _advice(classes: Sequence[str] | None) -> str:
    return '' if classes else '; give the classes of the config with --classes (classes=[...])'


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ('torch.storage', '_load_from_bytes'):
            return _load_storage
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f'{module}.{name} is not allowed')
        return super().find_class(module, name)


def _load_storage(content: bytes) -> Any:
    import torch

    return torch.load(io.BytesIO(content), weights_only=True)
