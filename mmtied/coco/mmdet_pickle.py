"""Detections from the pickle that mmdet's `test.py --out` writes, read without running what a pickle may ask for."""

from __future__ import annotations

import io
import pickle
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..utils.errors import InputError
from .coco_json import check_results
from .data import Detections, GroundTruth

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


def is_pickle(source: Any) -> bool:
    """Return whether a source of results is a path that ends in .pkl or .pickle."""
    return isinstance(source, (str, PathLike)) and Path(source).suffix in ('.pkl', '.pickle')


def read_pickle(path: str | PathLike, truth: GroundTruth, iou_type: str) -> Detections:
    """Read the predictions of mmdet's ``DumpDetResults``, and check them as a json file of results.

    A label is the index of a category in the ground truth's file, as in mmdet's datasets.

    Args:
        path: The pickle. Tensors in it need torch.
        truth: The detections must belong to its images and categories.
        iou_type: 'bbox' or 'segm'.

    Raises:
        InputError: If the file is no such pickle, or an entry makes no sense.
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
    ids = [truth.categories[index]['id'] for index in truth.labels]
    for i, sample in enumerate(samples):
        try:
            found = sample['pred_instances']
            scores = found['mask_scores' if iou_type == 'segm' and 'mask_scores' in found else 'scores']
            columns = [np.asarray(value).tolist() for value in (found['labels'], scores, found['bboxes'])]
            masks = found['masks'] if iou_type == 'segm' else [None] * len(columns[0])
            for label, score, (x0, y0, x1, y1), mask in zip(*columns, masks, strict=True):
                if not 0 <= label < len(ids):
                    raise InputError(
                        f'{path}[{i}]: label {label} has no category, the ground truth has {len(ids)} of them'
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
    return check_results(entries, str(path), ground_truth=truth, iou_type=iou_type)


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
