"""A ground truth and the results of one detector or several, read together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from ..utils.errors import InputError
from .classes import read_classes
from .coco_json import check_ground_truth, check_results, iou_type_of, read_json
from .data import Detections, GroundTruth, Note
from .key import Key
from .lenient import mend_ground_truth, mend_results
from .lvis import has_federation, read_federation, without_empty
from .mmdet_pickle import is_pickle, read_pickle
from .other_formats import is_other_format, read_other_format
from .other_truth import OtherTruth
from .references import check_order, names_files, numbers_classes, refer_by_name, refer_to_files
from .result_blocks import first_block, read_clean_results

File = str | PathLike
ORDINALS = ('', 'second ', 'third ', 'fourth ', 'fifth ', 'sixth ', 'seventh ', 'eighth ')


def read_sets(
    ground_truth: File | dict,
    sources: Sequence[File | list[dict]],
    iou_type: str | None = None,
    masks: bool = False,
    strict: bool = True,
    lenient: bool = False,
    classes: Sequence[str] | None = None,
    image_dir: File | None = None,
    by: Key | None = None,
    amodal: bool = False,
    lvis: bool = False,
    quiet: bool = True,
) -> tuple[GroundTruth, list[Detections], str]:
    """Read and check a ground truth and results of it.

    Args:
        ground_truth: COCO ground truth, as a path or as loaded json; or a path of another format, as
            :func:`~mmtied.coco.other_formats.read_other_format` takes it.
        sources: COCO results of each detector, as a path or as loaded json, or the path of a pickle of mmdet's.
        iou_type: 'bbox' or 'segm'. Defaults to None: that of the first results.
        masks: Whether the ground truth must hold masks even if boxes are evaluated. Defaults to False.
        strict: Whether scores outside [0, 1], boxes of negative size and empty results are errors. Defaults to True.
        lenient: Whether files that are not quite COCO's are mended, see ``lenient.py``. Defaults to False.
        classes: What numbers of classes stand for in pickles, in YOLO's labels and in results of other formats, as
            :func:`~mmtied.coco.classes.read_classes` takes them. Defaults to None: the categories of the ground truth.
        image_dir: Folder of the images, for the sizes that another format does not hold. Defaults to None: where the
            format has them.
        by: What is binned, if it stands under a key. Defaults to None.
        amodal: Whether amodal masks are needed. Defaults to False.
        lvis: Whether the ground truth must say which classes its images were searched for. Defaults to False.
        quiet: Whether to show no progress bars. Defaults to True.

    Returns:
        The ground truth, the detections of each source, and the IoU type.

    Raises:
        InputError: If one cannot be evaluated, or a file is given twice; the message names the file and the entry.
    """
    refuse_twice([ground_truth, *sources])
    names = read_classes(classes) if classes else None
    # Pickles and clean files are read after the ground truth: a pickle's labels may stand for its categories, and of a
    # clean file only columns are kept, which refer to it.
    contents: list[File | tuple[Any, str]] = []
    by_name = lenient or is_other_format(ground_truth)
    for source in sources:
        if isinstance(source, File) and (is_pickle(source) or (not by_name and _is_plain(source))):
            contents.append(source)
        else:
            contents.append(read_json(source, 'results', results=True))
    if iou_type is None:
        iou_type = _iou_type(contents[0])
    other = read_other_format(ground_truth, image_dir, names, quiet) if is_other_format(ground_truth) else None
    data, truth = _read_truth(
        ground_truth, other, masks=masks or iou_type == 'segm', lenient=lenient, by=by, amodal=amodal, lvis=lvis
    )
    if other is not None:
        names = names or other.order
    found = []
    for content in contents:
        if isinstance(content, tuple) or is_pickle(content):
            detections = None
        else:
            detections = read_clean_results(content, truth, iou_type, strict=strict)
        if detections is None:
            entries, name, notes = _read_entries(
                content, truth, iou_type=iou_type, names=names, by_file=other is not None, lenient=lenient
            )
            if lenient:
                entries, mended = mend_results(entries, name, truth=data, boxes=iou_type == 'bbox')
                notes += mended
            detections = check_results(
                entries, name, ground_truth=truth, iou_type=iou_type, strict=strict and not lenient
            )
            detections = replace(detections, notes=tuple(notes))
        found.append(detections)
    return truth, found, iou_type


def _read_truth(
    ground_truth: File | dict,
    other: OtherTruth | None,
    masks: bool,
    lenient: bool,
    by: Key | None,
    amodal: bool,
    lvis: bool,
) -> tuple[dict, GroundTruth]:
    """Return the content of a ground truth, as it was mended, and what is evaluated of it."""
    notes: list[Note] = []
    if other is None:
        data, source = read_json(ground_truth, 'ground truth')
    else:
        data, source, notes = other.data, str(ground_truth), list(other.notes)
        if masks and not any('segmentation' in entry for entry in data['annotations']):
            raise InputError(f'{source}: holds boxes and no masks, so only boxes can be evaluated (--iou-type bbox)')
    if lenient:
        data, mended = mend_ground_truth(data, source, masks)
        notes += mended
    empty = 0
    if lvis:
        data, empty = without_empty(data)
    truth = check_ground_truth(data, source, masks, by=by, amodal=amodal)
    if lvis:
        truth = replace(truth, federation=read_federation(data, source, truth.images, truth.categories))
    elif has_federation(data):
        text = f"{source}: says which classes its images were searched for; --lvis (lvis=True) follows LVIS's rules."
        notes.append(Note('federated', len(truth.images), text))
    if empty:
        text = f"{source}: annotations without an area are left out, as LVIS's evaluation does: {empty:,}."
        notes.append(Note('no_area', empty, text))
    return data, replace(truth, notes=(*notes, *truth.notes))


def _read_entries(
    content: File | tuple[Any, str],
    truth: GroundTruth,
    iou_type: str,
    names: Sequence[str] | None,
    by_file: bool,
    lenient: bool,
) -> tuple[Any, str, list[Note]]:
    """Return results as a json file would hold them, a name for them in messages, and notes.

    Args:
        content: The path of a pickle or of a json file, or what such a file holds, with its name.
        truth, iou_type: Of the set.
        names: Of the classes that numbers count.
        by_file: Whether the ground truth knows its images by their files, as other formats do.
        lenient: Whether classes may be another tool's numbers.
    """
    if isinstance(content, tuple):
        entries, name = content
        if by_file or names_files(entries) or (lenient and numbers_classes(entries, truth)):
            entries, notes = refer_by_name(entries, name, truth=truth, order=names)
            return entries, name, notes
        return entries, name, []
    name = str(content)
    if not is_pickle(content):
        return read_json(content, 'results')[0], name, []  # All of it, for the sentence that says what is wrong.
    if by_file:
        names = [*check_order(names, f'{name}: labels', 0)]
    entries, notes = read_pickle(content, truth, iou_type, classes=names)
    return (refer_to_files(entries, name, truth.images) if by_file else entries), name, notes


def _is_plain(source: File) -> bool:
    """Return whether the first detections of a file are as they should be, and know their images by ids."""
    block = first_block(source)
    return block is not None and not names_files(block)


def _iou_type(content: File | tuple[Any, str]) -> str:
    """Return the IoU type that results are meant for; a pickle's is that of boxes."""
    if isinstance(content, tuple):
        return iou_type_of(content[0])
    return 'bbox' if is_pickle(content) else iou_type_of(first_block(content))


def refuse_twice(sources: Sequence[File | dict | list[dict]]) -> None:
    """Raise an error if a file is given in two roles: ground truth, results, second results, third results, ..."""
    roles = zip(('ground truth', *(f'{ordinal}results' for ordinal in ORDINALS)), sources)
    files = [(role, source) for role, source in roles if isinstance(source, File)]
    for i, (role, file) in enumerate(files):
        for earlier_role, earlier in files[:i]:
            if os.path.realpath(file) == os.path.realpath(earlier):
                raise InputError(f'{file}: given twice, as {earlier_role} and as {role}')


def detector_names(sources: Sequence[File | list[dict]]) -> list[str]:
    """Name detectors after their files, with the folders where the files are named alike."""
    numbered = [f'detector {i}' for i in range(1, len(sources) + 1)]
    paths = [
        Path(source).absolute() if isinstance(source, File) else Path(number)
        for source, number in zip(sources, numbered)
    ]
    for depth in range(1, max(len(path.parts) for path in paths) + 1):
        names = ['/'.join(path.with_suffix('').parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return numbered
