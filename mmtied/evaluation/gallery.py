"""Ground truth and detections drawn on one image of each occlusion bin. It imports matplotlib, as the curve does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Patch, Rectangle
from pycocotools import mask as rle

from .coco_input import Detections, GroundTruth, InputError
from .curve import save_figure
from .evaluate import OcclusionResult

COLOURS = colormaps['tab10'].colors
MIN_SCORE = 0.5


def save_gallery(result: OcclusionResult, image_dir: str | Path, path: str | Path) -> Path:
    """Draw, for every bin that holds images, the one of the median ratio: ground truth above, detections below.

    Masks are drawn where masks were evaluated, else boxes; detections from a score of .5.

    Args:
        result: What :func:`evaluate_occlusion` returned.
        image_dir: Folder of the ground truth's ``file_name``.
        path: File to write; its ending chooses the format, such as png or pdf.

    Returns:
        The path.

    Raises:
        InputError: If an image is not in the folder.
    """
    truth, found = result.ground_truth, result.detections
    ids = median_images(result)
    figure = Figure(figsize=(2.2 * max(len(ids), 2), 5), layout='constrained')
    grid = figure.subplots(2, len(ids), squeeze=False)
    files = {image['id']: image for image in truth.images}
    shown = list(ids.values())
    seen = {*truth.category_id[np.isin(truth.image_id, shown)], *found.category_id[np.isin(found.image_id, shown)]}
    colours = {category: COLOURS[i % len(COLOURS)] for i, category in enumerate(sorted(seen))}
    for column, (label, image_id) in zip(grid.T, ids.items()):
        file = Path(image_dir) / files[image_id]['file_name']
        if not file.is_file():
            raise InputError(f'{file}: no such image; is the image folder right?')
        picture = imread(file)
        for axes, entries in zip(column, (truth, found)):
            axes.imshow(picture, cmap='gray')
            axes.set(xticks=[], yticks=[])
            draw(axes, entries, image_id, files[image_id], colours)
        column[0].set_title(f'{label}\nr = {result.ratios[image_id]:.2f}', fontsize=10)
    for axes, name in zip(grid[:, 0], ('ground truth', f'detections, score ≥ {MIN_SCORE:g}')):
        axes.set_ylabel(name)
    names = {category['id']: category['name'] for category in truth.categories}
    patches = [Patch(color=colour, label=names[category]) for category, colour in colours.items()]
    figure.legend(handles=patches, loc='outside lower center', ncols=8, frameon=False, fontsize=9)
    return save_figure(figure, path)


def median_images(result: OcclusionResult) -> dict[str, int]:
    """Return the image of the median ratio for every bin that holds images, by the bin's label."""
    parts = result.bins.split(result.ratios)
    chosen = {}
    for label in result.bins.labels:
        ids = sorted(parts[label], key=result.ratios.get)
        if ids:
            chosen[label] = ids[len(ids) // 2]
    return chosen


def draw(axes: Axes, entries: GroundTruth | Detections, image_id: int, image: dict, colours: dict) -> None:
    """Draw the masks or boxes of one image."""
    rows = np.flatnonzero(entries.image_id == image_id)
    if isinstance(entries, Detections):
        rows = rows[entries.score[rows] >= MIN_SCORE]
    for row in rows:
        colour = colours[entries.category_id[row]]
        if entries.segmentation is None:
            x, y, width, height = entries.bbox[row]
            axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.5))
            continue
        mask = decode(entries.segmentation[row], image)
        overlay = np.zeros((*mask.shape, 4))
        overlay[mask] = (*colour, 0.45)
        axes.imshow(overlay)
        axes.contour(mask, [0.5], colors=[colour], linewidths=1.2)


def decode(segmentation: dict | list, image: dict) -> np.ndarray:
    """Return a polygon list or run-length encoding as a mask (H, W)."""
    size = image['height'], image['width']
    if isinstance(segmentation, list):
        segmentation = rle.merge(rle.frPyObjects(segmentation, *size))
    elif isinstance(segmentation['counts'], list):
        segmentation = rle.frPyObjects(segmentation, *size)
    return rle.decode(segmentation).astype(bool)
