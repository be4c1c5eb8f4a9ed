"""Invisible and amodal areas, from the masks of data sets that annotate what is hidden: KINS, COCOA, D2SA.

An amodal mask is all of an object, as if nothing stood before it. KINS (Qi et al., CVPR 2019) has it as `a_segm` and
the visible one as `i_segm`, or as `segmentation` and `inmodal_seg`; COCOA (https://arxiv.org/abs/1509.01329) and D2SA
have `segmentation` with `visible_mask` and `invisible_mask`, and neither for an object that nothing hides, of which
`occlude_rate` is 0.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pycocotools import mask as rle

from ..utils.errors import InputError
from .columns import check_masks
from .masks import to_rle

AMODAL = ('a_segm', 'segmentation')
VISIBLE = ('i_segm', 'inmodal_seg', 'visible_mask')
INVISIBLE = 'invisible_mask'
UNHIDDEN = 'occlude_rate'  # where it is 0


def amodal_areas(
    annotations: Sequence[dict], images: Sequence[dict], indices: np.ndarray, counted: np.ndarray, where: str
) -> np.ndarray:
    """Return the invisible and the amodal area of annotations in square pixels, (n, 2); NaN for one without masks.

    What is visible counts inside the amodal mask alone.

    Args:
        annotations: Entries of the ground truth.
        images: With their sizes, as ``mmtied.coco`` has checked them.
        indices: Index of each annotation's image, (n,).
        counted: Which annotations are instances; the others have NaN, and their masks are not looked at, (n,) bool.
        where: For messages.

    Raises:
        InputError: If a mask makes no sense, or no instance has an amodal and a visible one.
    """
    areas = np.full((len(annotations), 2), np.nan)
    chosen = [(i, *_keys(annotations[i])) for i in np.flatnonzero(counted).tolist()]
    chosen = [(i, whole, part) for i, whole, part in chosen if whole and part]
    if counted.any() and not chosen:
        raise InputError(
            f'{where}: no instance has an amodal mask ({" or ".join(AMODAL)}) and what is visible of it '
            f'({", ".join(VISIBLE)}) or not ({INVISIBLE})'
        )
    needed = [(i, key) for i, *keys in chosen for key in keys if key != UNHIDDEN]
    check_masks(
        [annotations[i][key] for i, key in needed],
        [images[indices[i]] for i, _ in needed],
        place=lambda k: f"{where}[{needed[k][0]}]: '{needed[k][1]}'",
    )
    for i, whole, part in chosen:
        image = images[indices[i]]
        amodal = to_rle(annotations[i][whole], image)
        area = float(rle.area(amodal))
        if part == UNHIDDEN:
            areas[i] = 0, area
            continue
        inside = float(rle.area(rle.merge([amodal, to_rle(annotations[i][part], image)], intersect=True)))
        areas[i] = inside if part == INVISIBLE else area - inside, area
    return areas


def _keys(entry: dict) -> tuple[str | None, str | None]:
    """Return which keys of an annotation have the amodal mask, and what is visible or invisible of it."""
    parts = (*VISIBLE, INVISIBLE)
    unhidden = UNHIDDEN if entry.get(UNHIDDEN) == 0 else None
    return (
        next((key for key in AMODAL if entry.get(key)), None),
        next((key for key in parts if entry.get(key)), unhidden),
    )
