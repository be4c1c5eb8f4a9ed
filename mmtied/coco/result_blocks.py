"""A clean file of results, read block by block: neither its text nor its entries are ever all in memory."""

from __future__ import annotations

from collections.abc import Iterator
from os import PathLike
from pathlib import Path

import msgspec

from ..utils.errors import InputError
from .coco_json import check_results
from .columns import RawDetection
from .data import Detections, GroundTruth

BLOCK = 1 << 22  # bytes
PEEK = 1 << 16  # bytes of the first look
BETWEEN = b'},'  # two detections; where it is inside of one, the block is no json


def read_clean_results(
    path: str | PathLike, ground_truth: GroundTruth, iou_type: str, strict: bool = True
) -> Detections | None:
    """Return the detections of a file, or None if something is wrong with it: only the whole file tells what.

    Args:
        path: Of the json file.
        ground_truth, iou_type, strict: As of :func:`~mmtied.coco.coco_json.check_results`.
    """
    try:
        parts = [
            check_results(block, str(path), ground_truth, iou_type, strict=strict) for block in read_blocks(path, BLOCK)
        ]
    except (OSError, msgspec.DecodeError, RecursionError, InputError):
        return None
    return Detections.joined(parts)


def read_blocks(path: str | PathLike, size: int) -> Iterator[list[RawDetection]]:
    """Yield the detections of a file, as many together as stand in so many bytes.

    Raises:
        OSError: If the file cannot be read.
        msgspec.DecodeError: If it is not a list of detections as they should be.
    """
    decoder = msgspec.json.Decoder(list[RawDetection])
    text, whole, more = b'', True, True
    with Path(path).open('rb') as file:
        while more:
            block = file.read(size)
            text += block
            more = len(block) == size
            if more:
                end = text.rfind(BETWEEN)
                if end < 0:
                    raise msgspec.DecodeError('a detection is longer than a block')
                yield decoder.decode(text[: end + 1] + b']')
                text, whole = b'[' + text[end + len(BETWEEN) :], False
    last = decoder.decode(text)
    if not last and not whole:
        raise msgspec.DecodeError('nothing follows the last comma')
    yield last


def first_block(path: str | PathLike) -> list[RawDetection] | None:
    """Return the first detections of a file, or None if something is wrong with them."""
    try:
        return next(read_blocks(path, PEEK))
    except (OSError, msgspec.DecodeError, RecursionError):
        return None
