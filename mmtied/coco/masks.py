"""Masks as COCO's json writes them: polygons, and run-length encodings with numbers or a string."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as rle

# Characters that are decoded together: the arrays stay in the processor's cache.
CACHED = 20_000


def to_rle(segmentation: dict | list, image: dict) -> dict:
    """Return a polygon list or run-length encoding as a compressed run-length encoding.

    Args:
        segmentation: As in COCO's json.
        image: Its ``height`` and ``width`` are the size of the mask.
    """
    size = image['height'], image['width']
    if isinstance(segmentation, list):
        return rle.merge(rle.frPyObjects(segmentation, *size))
    if isinstance(segmentation['counts'], list):
        return rle.frPyObjects(segmentation, *size)
    return segmentation


def decode(segmentation: dict | list, image: dict) -> np.ndarray:
    """Return a polygon list or run-length encoding as a mask (H, W)."""
    return rle.decode(to_rle(segmentation, image)).astype(bool)


def wrong_counts(encodings: Sequence[dict]) -> int | None:
    """Return the first run-length encoding whose counts do not add up to its size, None if all do.

    The libraries that decode masks do not look: what they return for such an encoding is whatever lay in memory, and
    some of their functions never return.
    """
    strings: list[bytes] = []
    owners: list[int] = []
    characters = 0
    for i, encoding in enumerate(encodings):
        counts = encoding['counts']
        if isinstance(counts, list):
            if sum(counts) != np.prod(encoding['size']):
                return i
        else:
            strings.append(counts.encode(errors='replace') if isinstance(counts, str) else counts)
            owners.append(i)
            characters += len(strings[-1])
        if strings and (characters > CACHED or i == len(encodings) - 1):
            pixels = [encodings[owner]['size'][0] * encodings[owner]['size'][1] for owner in owners]
            wrong = np.flatnonzero(_run_lengths(strings) != pixels)
            if wrong.size:
                return owners[wrong[0]]
            strings, owners, characters = [], [], 0
    return None


def _run_lengths(strings: Sequence[bytes]) -> np.ndarray:
    """Return the sum of the run lengths of each compressed encoding, -1 where it is no encoding.

    A number is written in groups of 5 bits, each a character from '0' up, lowest first; bit 6 says that more follow,
    the top bit of the last group is the sign. From the fourth on, a number is the difference to the one before last.
    """
    lengths = np.array([len(string) for string in strings])
    owner = np.repeat(np.arange(len(strings)), lengths)  # of each character
    groups = np.frombuffer(b''.join(strings), dtype=np.uint8).astype(np.int64) - 48
    valid = np.bincount(owner, (groups < 0) | (groups > 63), len(strings)) == 0
    ends = np.cumsum(lengths)
    valid[lengths > 0] &= (groups[ends[lengths > 0] - 1] & 32) == 0
    valid &= lengths > 0
    # The numbers: begin behind a group without bit 6, or where a string begins.
    begins = np.ones(len(groups), dtype=bool)
    begins[1:] = (groups[:-1] & 32) == 0
    begins[(ends - lengths)[lengths > 0]] = True
    first = np.flatnonzero(begins)
    if not len(first):
        return np.full(len(strings), -1)
    digit = np.arange(len(groups)) - np.repeat(first, np.diff(first, append=len(groups)))
    valid &= np.bincount(owner, digit > 11, len(strings)) == 0
    shift = 5 * digit.clip(max=11)
    negative = ((groups & 48) == 16).astype(np.int64)  # the last group of a number below 0
    numbers = np.add.reduceat(((groups & 31) << shift) - (negative << (shift + 5)), first)
    # Sum up the differences along the even and along the odd numbers of each string.
    owner = owner[first]
    begin = np.searchsorted(owner, np.arange(len(strings)))
    index = np.arange(len(numbers)) - begin[owner]
    runs = np.where(index == 0, numbers, 0)
    for chain in (index % 2 == 1, (index % 2 == 0) & (index > 0)):
        sums = np.concatenate([[0], np.cumsum(np.where(chain, numbers, 0))])
        runs += np.where(chain, sums[1:] - sums[begin[owner]], 0)
    valid &= np.bincount(owner, runs < 0, len(strings)) == 0
    return np.where(valid, np.bincount(owner, runs, len(strings)), -1).astype(np.int64)
