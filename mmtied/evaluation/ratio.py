"""Occlusion ratio of an image: total overlap area / total instance area.

Wang, Yu: "Tied Block Convolution: Leaner and Better CNNs with Shared Thinner Filters", AAAI 2021,
https://arxiv.org/abs/2009.12021, Eq. 5. The publication leaves open what is counted as overlap; `DEFINITIONS` are the
readings that reach high ratios on COCO.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from tqdm import tqdm

from ..coco.data import GroundTruth
from ..coco.masks import to_rle
from .regions import corners, covered_on_grid, make_region

FEW_BOXES = 64  # of an image: grids of more are large, so that nothing is gained by taking several together
CELLS = 1 << 20  # of the grids that are made together


def occlusion_ratio(
    boxes: np.ndarray | None = None,
    masks: Sequence[dict] | None = None,
    definition: str = 'covered',
    classes: Sequence | None = None,
    counted: np.ndarray | None = None,
) -> float:
    """Return the occlusion ratio of one image, of its boxes or of its masks.

    Areas are exact: boxes by coordinate compression, masks by their run-length encodings. With B_i the region of an
    instance, S the sum of the areas, U the area of the union and M the area under two instances or more:

    - `covered`: sum_i area(B_i inside the union of the others) / S, in [0, 1];
    - `union`: M / U, in [0, 1]; on boxes it is the bounding-box occlusion rate of OVIS;
    - `pairwise`: sum over pairs area(B_i and B_j) / S, from 0 up, beyond 1 where many overlap in one place;
    - `hybrid`: sum_i area(mask_i inside the boxes of the others) / sum of the mask areas, in [0, 1]; it needs both.

    Boxes of zero width or height have no area: they neither cover nor are covered. Boxes count as they are given, even
    beyond the edge of the image.

    Args:
        boxes: Boxes (x, y, width, height) in pixels, as in COCO's json, of shape (n, 4).
        masks: n compressed run-length encodings of one size; given instead of boxes, or with them for `hybrid`.
        definition: 'covered', 'union', 'pairwise' or 'hybrid'. Defaults to 'covered'.
        classes: n classes; only overlap within a class counts, numerator and denominator are summed over the classes.
            Defaults to None: all overlap counts.
        counted: Which instances are counted, (n,) bool; the others only cover them. Of `covered` and `hybrid` alone.
            Defaults to None: all.

    Returns:
        The ratio. 0 for a single instance and where no instance has an area; NaN where there is no instance.

    Raises:
        ValueError: If a box or an argument makes no sense, or the boxes or masks that a definition needs are missing.

    Example:
        >>> from mmtied.evaluation import occlusion_ratio
        >>> occlusion_ratio([[0, 0, 4, 4], [2, 0, 4, 4]])  # 8 square pixels of each are under the other
        0.5
    """
    region = make_region(boxes, masks, definition)
    if not len(region):
        return float('nan')
    if counted is not None and definition not in ('covered', 'hybrid'):
        raise ValueError(f"definition={definition!r} must be 'covered' or 'hybrid' where not all instances count")
    counted = np.ones(len(region), dtype=bool) if counted is None else np.asarray(counted, dtype=bool)
    if not counted.any():
        return float('nan')
    overlap, total = 0.0, 0.0
    for rows in _groups(len(region), classes):
        part = region[rows]
        if definition == 'union':
            numerator, denominator = part.union()
        elif definition == 'pairwise':
            numerator, denominator = part.pairwise()
        else:
            numerator, denominator = part.covered()[counted[rows]].sum(), part.areas()[counted[rows]].sum()
        overlap += numerator
        total += denominator
    if total == 0:
        return 0.0
    return float(overlap / total if definition == 'pairwise' else min(overlap / total, 1.0))


def instance_occlusion(
    boxes: np.ndarray | None = None,
    masks: Sequence[dict] | None = None,
    definition: str = 'covered',
    classes: Sequence | None = None,
) -> np.ndarray:
    """Return the share of each instance that the union of the others covers, (n,) in [0, 1].

    Args:
        boxes, masks, classes: As in :func:`occlusion_ratio`.
        definition: 'covered' (default) or 'hybrid'; the other ratios are of images alone.

    Returns:
        The shares. 0 where an instance has no area.

    Raises:
        ValueError: As :func:`occlusion_ratio`.
    """
    if definition not in ('covered', 'hybrid'):
        raise ValueError(f"definition={definition!r} must be 'covered' or 'hybrid' for instances")
    region = make_region(boxes, masks, definition)
    shares = np.zeros(len(region))
    for rows in _groups(len(region), classes):
        part = region[rows]
        areas = part.areas()
        np.divide(part.covered(), areas, out=areas, where=areas > 0)
        shares[rows] = areas.clip(max=1.0)
    return shares


def image_ratios(
    truth: GroundTruth,
    definition: str = 'covered',
    region: str = 'bbox',
    same_class: bool = False,
    ignored_occlude: bool = False,
    quiet: bool = True,
) -> np.ndarray:
    """Return the occlusion ratio of every image, in the order of the images, (images,).

    Crowd regions and ignored annotations are left out: they do not count as instances. NaN for an image without
    instances.

    Args:
        truth: As :func:`~mmtied.coco.sets.read_sets` returns it, or a result's ``ground_truth``; with segmentations
            where the region is 'segm' or the definition `hybrid`.
        definition: See :func:`occlusion_ratio`; or 'amodal', the invisible area of all instances over their amodal
            area, of a ground truth that was read with these.
        region: 'bbox' (default) or 'segm'; `hybrid` uses both.
        same_class: Whether only overlap within a class counts. Defaults to False.
        ignored_occlude: Whether ignored annotations cover instances; crowd regions never do. Defaults to False.
        quiet: Whether to show no progress bar. Defaults to True.

    Raises:
        ValueError: As :func:`occlusion_ratio`.
    """
    ratios = np.full(len(truth.images), np.nan)
    if definition == 'amodal':
        areas = _amodal(truth)
        known = ~np.isnan(areas[:, 0])
        invisible, whole = (np.bincount(truth.image[known], column, len(ratios)) for column in areas[known].T)
        present = np.bincount(truth.image[known], minlength=len(ratios)) > 0
        ratios[present] = np.divide(invisible, whole, out=np.zeros(len(ratios)), where=whole > 0)[present]
        return ratios
    covering = ~truth.iscrowd if ignored_occlude else ~truth.uncounted
    if definition == 'covered' and region == 'bbox' and not same_class:
        for rows, covered, areas in _covered_boxes(truth, np.flatnonzero(covering)):
            counts = ~truth.ignore[rows]
            of_images = np.where(counts, covered, 0).sum(1), np.where(counts, areas, 0).sum(1)
            shares = np.divide(*of_images, out=np.zeros(len(rows)), where=of_images[1] > 0).clip(max=1)
            ratios[truth.image[rows[:, 0]]] = np.where(counts.any(1), shares, np.nan)
            covering[rows] = False
    for index, rows, boxes, masks, classes in _instances(truth, covering, definition, region, same_class, quiet):
        counted = ~truth.ignore[rows]
        ratios[index] = occlusion_ratio(boxes, masks, definition, classes, None if counted.all() else counted)
    return ratios


def instance_ratios(
    truth: GroundTruth,
    definition: str = 'covered',
    region: str = 'bbox',
    same_class: bool = False,
    ignored_occlude: bool = False,
    quiet: bool = True,
) -> np.ndarray:
    """Return the occlusion of every annotation, (n,) in [0, 1]; NaN for crowd regions and ignored ones.

    Args:
        truth, region, same_class, ignored_occlude, quiet: As in :func:`image_ratios`.
        definition: 'covered' (default), 'hybrid' or 'amodal', which is NaN for an instance without amodal masks.

    Raises:
        ValueError: As :func:`instance_occlusion`.
    """
    if definition == 'amodal':
        invisible, whole = _amodal(truth).T
        return np.divide(invisible, whole, out=np.where(np.isnan(whole), np.nan, 0.0), where=whole > 0)
    shares = np.full(len(truth.image), np.nan)
    covering = ~truth.iscrowd if ignored_occlude else ~truth.uncounted
    for _, rows, boxes, masks, classes in _instances(truth, covering, definition, region, same_class, quiet):
        shares[rows] = instance_occlusion(boxes, masks, definition, classes)
    shares[truth.uncounted] = np.nan
    return shares


def _amodal(truth: GroundTruth) -> np.ndarray:
    if truth.amodal is None:
        raise ValueError("definition='amodal' needs a ground truth that was read with amodal masks")
    return truth.amodal


def _covered_boxes(truth: GroundTruth, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Yield images of equally many boxes together, as one array costs much less than many: all but the largest images.

    Args:
        truth: The boxes.
        rows: Of those that cover and are covered.

    Yields:
        Rows of the annotations, the area of each that the others of its image cover, and the area of each, all
        (images, n).
    """
    rows = rows[np.argsort(truth.image[rows], kind='stable')]
    _, starts, counts = np.unique(truth.image[rows], return_index=True, return_counts=True)
    for count in np.unique(counts[counts <= FEW_BOXES]).tolist():
        of_images = rows[starts[counts == count][:, None] + np.arange(count)]
        for some in np.array_split(of_images, -(-len(of_images) // max(1, CELLS // (4 * count**2)))):
            low, high = corners(truth.boxes[some])
            yield some, covered_on_grid(low, high), (high - low).prod(-1)


def _instances(
    truth: GroundTruth, covering: np.ndarray, definition: str, region: str, same_class: bool, quiet: bool
) -> Iterator[tuple]:
    """Yield an image's index, its rows of what covers, and what :func:`occlusion_ratio` takes of them."""
    rows = np.flatnonzero(covering)
    rows = rows[np.argsort(truth.image[rows], kind='stable')]
    if not len(rows):
        return
    indices, starts = np.unique(truth.image[rows], return_index=True)
    with_boxes, with_masks = region == 'bbox' or definition == 'hybrid', region == 'segm' or definition == 'hybrid'
    parts = zip(indices.tolist(), np.split(rows, starts[1:]))
    for index, part in tqdm(parts, 'occlusion', len(indices), disable=quiet, delay=1, leave=False, unit='image'):
        masks = [to_rle(truth.masks[row], truth.images[index]) for row in part] if with_masks else None
        boxes = truth.bbox[part] if with_boxes else None
        yield index, part, boxes, masks, truth.category[part] if same_class else None


def _groups(count: int, classes: Sequence | None) -> list:
    if classes is None:
        return [slice(None)]
    labels = np.asarray(classes)
    if labels.shape != (count,):
        raise ValueError(f'classes: shape {labels.shape} must be ({count},), one for each instance')
    return [np.flatnonzero(labels == value) for value in np.unique(labels)]
