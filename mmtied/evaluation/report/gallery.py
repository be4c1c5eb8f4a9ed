"""Ground truth and detections drawn on one image of each occlusion bin. It imports matplotlib, as the curve does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from ...coco.data import Detections, GroundTruth
from ...coco.masks import decode
from ...utils.errors import InputError
from ...utils.figures import plain, save_figure
from ...utils.pictures import open_picture
from ..result import OcclusionResult

COLOURS = colormaps['tab10'].colors


def save_gallery(result: OcclusionResult, image_dir: str | Path, path: str | Path) -> Path:
    """Draw, for every bin that holds images, the one of the median ratio: ground truth above, detections below.

    Masks are drawn where masks were evaluated, else boxes; detections from ``score_thr`` up.

    Args:
        result: What :func:`evaluate_occlusion` returned.
        image_dir: Folder of the ground truth's ``file_name``.
        path: File to write; its ending chooses the format, such as png or pdf.

    Returns:
        The path.

    Raises:
        InputError: If an image is not in the folder or cannot be read, or no image has an instance.
    """
    score_thr = result.settings.score_thr
    truth, found = result.ground_truth, result.detections.rows(result.detections.score >= score_thr)
    chosen = median_images(result)
    if not chosen:
        raise InputError('gallery: no image has an instance, so there is nothing to draw')
    pictures = {index: open_picture(image_dir, truth.images[index]) for index in chosen.values()}
    figure = Figure(figsize=(2.2 * max(len(chosen), 2), 5), layout='constrained')
    grid = figure.subplots(2, len(chosen), squeeze=False)
    shown = list(chosen.values())
    seen = {*truth.category[np.isin(truth.image, shown)], *found.category[np.isin(found.image, shown)]}
    colours = {category: COLOURS[i % len(COLOURS)] for i, category in enumerate(sorted(seen))}
    for column, (label, index) in zip(grid.T, chosen.items()):
        for axes, entries in zip(column, (truth, found)):
            axes.imshow(pictures[index])
            axes.set(xticks=[], yticks=[])
            masks = result.settings.iou_type == 'segm'
            draw(axes, entries, index=index, image=truth.images[index], colours=colours, masks=masks)
        column[0].set_title(f'{label}\nr = {result.ratios[index]:.2f}', fontsize=10)
    for axes, name in zip(grid[:, 0], ('ground truth', f'detections, score ≥ {score_thr:g}')):
        axes.set_ylabel(name)
    patches = [Patch(color=colour, label=plain(truth.categories[index]['name'])) for index, colour in colours.items()]
    figure.legend(handles=patches, loc='outside lower center', ncols=8, frameon=False, fontsize=9)
    return save_figure(figure, path)


def median_images(result: OcclusionResult) -> dict[str, int]:
    """Return the index of the image of median ratio for every bin that holds images, by the bin's label."""
    chosen = {}
    for i, row in enumerate(result.bins):
        indices = np.flatnonzero(result.image_bins == i)
        if len(indices):
            chosen[row.label] = int(indices[np.argsort(result.ratios[indices])[len(indices) // 2]])
    return chosen


def draw(
    axes: Axes,
    entries: GroundTruth | Detections,
    index: int,
    image: dict,
    colours: dict,
    masks: bool,
    opacity: float = 0.45,
) -> None:
    """Draw the masks or boxes of one image, masks with this opacity inside their outlines."""
    rows = np.flatnonzero(entries.image == index)
    for row in rows:
        colour = colours[entries.category[row]]
        if not masks:
            x, y, width, height = entries.bbox[row]
            axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.5))
            continue
        mask = decode(entries.segmentation[row], image)
        overlay = np.zeros((*mask.shape, 4))
        overlay[mask] = (*colour, opacity)
        axes.imshow(overlay)
        axes.contour(mask, [0.5], colors=[colour], linewidths=1.2)
