"""Ground truth and detections drawn on one image of each occlusion bin. It imports matplotlib, as the curve does."""

from __future__ import annotations

from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib import color_sequences
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from ...coco.data import Entries
from ...coco.masks import decode
from ...utils.errors import InputError
from ...utils.figures import add_legend, plain, save_figure
from ...utils.pictures import drawn_size, open_picture, scaling
from ..result import OcclusionComparison, OcclusionResult, counted

COLOURS = color_sequences['tab10']


def save_gallery(result: OcclusionResult | OcclusionComparison, image_dir: str | Path, path: str | Path) -> Path:
    """Draw, for every bin that holds images, the one of the median ratio: ground truth above, detections below.

    Masks are drawn where masks were evaluated, else boxes; detections from ``score_thr`` up, a row for each detector.

    Args:
        result: What :func:`evaluate_occlusion` or :func:`compare_occlusion` returned.
        image_dir: Folder of the ground truth's ``file_name``.
        path: File to write; its ending chooses the format, such as png or pdf.

    Returns:
        The path.

    Raises:
        InputError: If an image is not in the folder or cannot be read, or no image has an instance.
    """
    first, score_thr = result.models[0], result.models[0].settings.score_thr
    truth = first.ground_truth
    found = [one.detections.rows(one.detections.score >= score_thr) for one in result.models]
    chosen = median_images(first)
    if not chosen:
        why = 'no image has an instance' if np.isnan(first.ratios).all() else without_file(first)
        raise InputError(f'gallery: {why}, so there is nothing to draw')
    pictures = {index: open_picture(image_dir, truth.images[index]) for index in chosen.values()}
    scaled = {index: scaling(picture, truth.images[index]) for index, picture in pictures.items()}
    figure = Figure(figsize=(2.2 * max(len(chosen), 2), 2.5 * (1 + len(found))), layout='constrained')
    grid = figure.subplots(1 + len(found), len(chosen), squeeze=False)
    shown = list(chosen.values())
    seen = {one for entries in (truth, *found) for one in entries.category[np.isin(entries.image, shown)]}
    colours = {category: COLOURS[i % len(COLOURS)] for i, category in enumerate(sorted(seen))}
    for column, (label, index) in zip(grid.T, chosen.items()):
        for axes, entries in zip(column, (truth, *found)):
            show_picture(axes, pictures[index], truth.images[index])
            masks = first.settings.iou_type == 'segm'
            draw(axes, entries, index=index, image=truth.images[index], colours=colours, masks=masks)
        caption = [plain(label), plain(first.caption(index)), *wrap(scaled[index], 32)]
        column[0].set_title('\n'.join(caption), fontsize=10)
    names = [one.name for one in result.models] if len(found) > 1 else ['detections']
    for axes, name in zip(grid[:, 0], ('ground truth', *(f'{name}, score ≥ {score_thr:g}' for name in names))):
        axes.set_ylabel('\n'.join(wrap(plain(name), 32)))
    patches = [Patch(color=colour, label=plain(truth.categories[index]['name'])) for index, colour in colours.items()]
    add_legend(figure, patches)
    return save_figure(figure, path)


def has_file(result: OcclusionResult) -> np.ndarray:
    """Return which images have a file name, (images,) bool; the others cannot be drawn."""
    return np.array([bool(image['file_name']) for image in result.ground_truth.images])


def without_file(result: OcclusionResult) -> str:
    """Say how many images cannot be drawn; '' if all can."""
    count = int((~has_file(result)).sum())
    one, many = "image has no 'file_name', so it", "images have no 'file_name', so they"
    return f'{counted(count, one, many)} cannot be drawn' if count else ''


def median_images(result: OcclusionResult) -> dict[str, int]:
    """Return the index of the image of median ratio, of those that have a file, for every bin, by the bin's label."""
    chosen = {}
    named = has_file(result)
    for i, row in enumerate(result.bins):
        indices = np.flatnonzero((result.image_bins == i) & named)
        if len(indices):
            chosen[row.label] = int(indices[np.argsort(result.ratios[indices])[len(indices) // 2]])
    return chosen


def show_picture(axes: Axes, picture: Image.Image, image: dict) -> None:
    """Show a picture in the pixels of its annotations, whatever its own size is."""
    width, height = drawn_size(picture, image)
    axes.imshow(picture, extent=(-0.5, width - 0.5, height - 0.5, -0.5))
    axes.set(xticks=[], yticks=[])


def draw(
    axes: Axes,
    entries: Entries,
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
            x, y, width, height = entries.boxes[row]
            axes.add_patch(Rectangle((x, y), width, height, fill=False, edgecolor=colour, linewidth=1.5))
            continue
        mask = decode(entries.masks[row], image)
        overlay = np.zeros((*mask.shape, 4))
        overlay[mask] = (*colour, opacity)
        axes.imshow(overlay)
        axes.contour(mask, [0.5], colors=[colour], linewidths=1.2)
