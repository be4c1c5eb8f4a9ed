"""Detections of one detector or several beside each other, on the most occluded images (Fig. 7c and A.2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...coco.data import Detections
from ...utils.errors import InputError
from ...utils.figures import add_legend, plain, save_figure
from ...utils.pictures import drawn_size, open_picture, scaling
from ...utils.text_table import align
from ..errors import Hits, redundant_partials
from ..result import OcclusionComparison, OcclusionResult
from .gallery import COLOURS, draw, has_file, show_picture

REDUNDANT = (1.0, 0.0, 1.0)  # no class has this colour


@dataclass(frozen=True)
class Samples:
    """The most occluded images of a set, and what each detector finds from ``settings.score_thr`` up.

    Attributes:
        result: Of one detector or of several.
        indices: The images, the most occluded first.
        found: Detections of each detector, on all images.
        redundant: Which of them are redundant partial ones.
    """

    result: OcclusionResult | OcclusionComparison
    indices: np.ndarray
    found: list[Detections]
    redundant: list[np.ndarray]

    def counts(self, detector: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the detections of every image of the set, and how many are redundant partial ones, both (images,)."""
        images = len(self.result.models[0].ratios)
        image = self.found[detector].image
        return np.bincount(image, minlength=images), np.bincount(image[self.redundant[detector]], minlength=images)

    def __str__(self) -> str:
        first, names = self.result.models[0], [detector.name for detector in self.result.models]
        heading = ['image', 'r']
        for name in names:
            heading += [f'{name}: detections', 'redundant partial']
        counts = np.array([self.counts(detector) for detector in range(len(names))]).reshape(-1, len(first.ratios))
        truth = first.ground_truth.images
        rows = [
            [truth[index]['file_name'] or str(truth[index]['id']), f'{first.ratios[index]:.2f}', *counts[:, index]]
            for index in self.indices
        ]
        rows.append([f'all {len(truth)} images', '', *counts.sum(1)])
        return align([heading, *([str(cell) for cell in row] for row in rows)])


def choose_samples(result: OcclusionResult | OcclusionComparison, count: int = 6) -> Samples:
    """Choose the images of the largest occlusion ratio.

    Args:
        result: What :func:`evaluate_occlusion` or :func:`compare_occlusion` returned.
        count: How many images at most. Defaults to 6.

    Raises:
        InputError: If ``count`` is less than 1, or no image has an instance.
    """
    if count < 1:
        raise InputError(f'{count} images cannot be shown; at least 1 is needed')
    first = result.models[0]
    named = has_file(first)
    ratios = np.where(named, first.ratios, np.nan) if named.any() else first.ratios
    indices = np.argsort(-ratios, kind='stable')[:count]  # NaN, of images without instances, are last
    indices = indices[~np.isnan(ratios[indices])]
    if not indices.size:
        raise InputError('samples: no image has an instance, so there is nothing to draw')
    found, redundant = [], []
    for detector in result.models:
        found.append(detector.detections.rows(detector.detections.score >= detector.settings.score_thr))
        redundant.append(redundant_partials(Hits.of(detector.ground_truth, found[-1], detector.settings.matched)))
    return Samples(result, indices, found=found, redundant=redundant)


def save_samples(samples: Samples, image_dir: str | Path, path: str | Path) -> Path:
    """Draw a row for each image: the ground truth, then each detector's detections, with their counts above.

    Redundant partial detections are magenta, the others have the colour of their class.

    Args:
        samples: Of :func:`choose_samples`.
        image_dir: Folder of the ground truth's ``file_name``.
        path: File to write; its ending chooses the format, such as png or pdf.

    Returns:
        The path.

    Raises:
        InputError: If an image is not in the folder or cannot be read; nothing is written then.
    """
    detectors = samples.result.models
    truth, settings = detectors[0].ground_truth, detectors[0].settings
    pictures = [open_picture(image_dir, truth.images[index]) for index in samples.indices]
    seen = {*truth.category[np.isin(truth.image, samples.indices)]}
    for found in samples.found:
        seen |= {*found.category[np.isin(found.image, samples.indices)]}
    colours = {category: COLOURS[i % len(COLOURS)] for i, category in enumerate(sorted(seen))}
    sizes = [drawn_size(picture, truth.images[index]) for picture, index in zip(pictures, samples.indices)]
    heights = [4 * height / width for width, height in sizes]
    figure = Figure(figsize=(4 * (1 + len(detectors)), sum(heights) + 0.4 * len(heights) + 0.6), layout='constrained')
    grid = figure.subplots(len(pictures), 1 + len(detectors), squeeze=False, height_ratios=heights)
    for line, picture, index in zip(grid, pictures, samples.indices):
        image = truth.images[index]
        for axes in line:
            show_picture(axes, picture, image)
        # Many masks lie over each other, so each hides little.
        show = partial(draw, index=index, image=image, masks=settings.iou_type == 'segm', opacity=0.15)
        show(line[0], truth, colours=colours)
        ratio = plain(detectors[0].caption(index))
        caption = [*wrap(plain(image['file_name']), 44), ratio, *wrap(scaling(picture, image), 44)]
        line[0].set_title('\n'.join(caption), fontsize=9)
        for k, (axes, detector, found) in enumerate(zip(line[1:], detectors, samples.found)):
            redundant = samples.redundant[k]
            show(axes, found.rows(~redundant), colours=colours)
            show(axes, found.rows(redundant), colours=dict.fromkeys(colours, REDUNDANT))
            detections, partials = (count[index] for count in samples.counts(k))
            caption = [*wrap(plain(detector.name), 44), f'{detections} detections, {partials} redundant partial']
            axes.set_title('\n'.join(caption), fontsize=9)
    for axes, name in zip(grid[-1], ['ground truth', *([f'score ≥ {settings.score_thr:g}'] * len(detectors))]):
        axes.set_xlabel(name, fontsize=9)
    patches = [Patch(color=colour, label=plain(truth.categories[index]['name'])) for index, colour in colours.items()]
    patches.append(Patch(color=REDUNDANT, label='redundant partial'))
    add_legend(figure, patches)
    return save_figure(figure, path)
