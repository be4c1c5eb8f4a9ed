"""Ground truth and detections drawn on one image of each occlusion bin. It imports matplotlib, as the curve does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Patch, Rectangle

from .coco_input import Detections, GroundTruth, InputError
from .curve import save_figure
from .masks import decode
from .result import OcclusionResult

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
        InputError: If an image is not in the folder, or no image has an instance.
    """
    truth, found = result.ground_truth, result.detections
    chosen = median_images(result)
    if not chosen:
        raise InputError('gallery: no image has an instance, so there is nothing to draw')
    files = {place: Path(image_dir) / truth.images[place]['file_name'] for place in chosen.values()}
    for file in files.values():
        if not file.is_file():
            raise InputError(f'{file}: no such image; is the image folder right?')
    figure = Figure(figsize=(2.2 * max(len(chosen), 2), 5), layout='constrained')
    grid = figure.subplots(2, len(chosen), squeeze=False)
    shown = list(chosen.values())
    seen = {*truth.category[np.isin(truth.image, shown)], *found.category[np.isin(found.image, shown)]}
    colours = {category: COLOURS[i % len(COLOURS)] for i, category in enumerate(sorted(seen))}
    for column, (label, place) in zip(grid.T, chosen.items()):
        picture = imread(files[place])
        for axes, entries in zip(column, (truth, found)):
            axes.imshow(picture, cmap='gray')
            axes.set(xticks=[], yticks=[])
            draw(axes, entries, place, truth.images[place], colours, result.settings.iou_type == 'segm')
        column[0].set_title(f'{label}\nr = {result.ratios[place]:.2f}', fontsize=10)
    for axes, name in zip(grid[:, 0], ('ground truth', f'detections, score ≥ {MIN_SCORE:g}')):
        axes.set_ylabel(name)
    patches = [Patch(color=colour, label=truth.categories[place]['name']) for place, colour in colours.items()]
    figure.legend(handles=patches, loc='outside lower center', ncols=8, frameon=False, fontsize=9)
    return save_figure(figure, path)


def median_images(result: OcclusionResult) -> dict[str, int]:
    """Return the place of the image of median ratio for every bin that holds images, by the bin's label."""
    chosen = {}
    for i, row in enumerate(result.bins):
        places = np.flatnonzero(result.image_bins == i)
        if len(places):
            chosen[row.label] = int(places[np.argsort(result.ratios[places])[len(places) // 2]])
    return chosen


def draw(axes: Axes, entries: GroundTruth | Detections, place: int, image: dict, colours: dict, masks: bool) -> None:
    """Draw the masks or boxes of one image."""
    rows = np.flatnonzero(entries.image == place)
    if isinstance(entries, Detections):
        rows = rows[entries.score[rows] >= MIN_SCORE]
    for row in rows:
        colour = colours[entries.category[row]]
        if not masks:
            x, y, width, height = entries.bbox[row]
            axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.5))
            continue
        mask = decode(entries.segmentation[row], image)
        overlay = np.zeros((*mask.shape, 4))
        overlay[mask] = (*colour, 0.45)
        axes.imshow(overlay)
        axes.contour(mask, [0.5], colors=[colour], linewidths=1.2)
