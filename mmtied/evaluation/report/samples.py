"""Detections of one model or two beside each other, on the most occluded images (Fig. 7c and A.2)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from ...coco.data import Detections
from ...utils.errors import InputError
from ...utils.figures import plain, save_figure
from ...utils.pictures import open_picture
from ...utils.text_table import align
from ..errors import redundant_partials
from ..result import OcclusionComparison, OcclusionResult
from .gallery import COLOURS, draw

REDUNDANT = (1.0, 0.0, 1.0)  # no class has this colour


@dataclass(frozen=True)
class Samples:
    """The most occluded images of a set, and what each model detects from ``settings.score_thr`` up.

    Attributes:
        result: Of one detector or of two.
        places: The images, the most occluded first.
        found: Detections of each model, on all images.
        redundant: Which of them are redundant partial ones.
    """

    result: OcclusionResult | OcclusionComparison
    places: np.ndarray
    found: list[Detections]
    redundant: list[np.ndarray]

    def counts(self, model: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the detections of every image of the set, and how many are redundant partial ones, both (images,)."""
        images = len(self.result.models[0].ratios)
        image = self.found[model].image
        return np.bincount(image, minlength=images), np.bincount(image[self.redundant[model]], minlength=images)

    def __str__(self) -> str:
        first, names = self.result.models[0], [model.name for model in self.result.models]
        heading = ['image', 'r']
        for name in names:
            heading += [f'{name}: detections', 'redundant partial']
        counts = np.array([self.counts(model) for model in range(len(names))]).reshape(-1, len(first.ratios))
        truth = first.ground_truth.images
        rows = [
            [truth[place]['file_name'] or str(truth[place]['id']), f'{first.ratios[place]:.2f}', *counts[:, place]]
            for place in self.places
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
    ratios = result.models[0].ratios
    places = np.argsort(-ratios, kind='stable')[:count]  # NaN, of images without instances, are last
    places = places[~np.isnan(ratios[places])]
    if not places.size:
        raise InputError('samples: no image has an instance, so there is nothing to draw')
    found, redundant = [], []
    for model in result.models:
        found.append(model.detections.rows(model.detections.score >= model.settings.score_thr))
        redundant.append(redundant_partials(model.ground_truth, found[-1], model.settings.iou_type))
    return Samples(result, places, found=found, redundant=redundant)


def save_samples(samples: Samples, image_dir: str | Path, path: str | Path) -> Path:
    """Draw a row for each image: the ground truth, then each model's detections, with their counts above.

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
    models = samples.result.models
    truth, settings = models[0].ground_truth, models[0].settings
    pictures = [open_picture(image_dir, truth.images[place]) for place in samples.places]
    seen = {*truth.category[np.isin(truth.image, samples.places)]}
    for found in samples.found:
        seen |= {*found.category[np.isin(found.image, samples.places)]}
    colours = {category: COLOURS[i % len(COLOURS)] for i, category in enumerate(sorted(seen))}
    heights = [4 * picture.height / picture.width for picture in pictures]
    figure = Figure(figsize=(4 * (1 + len(models)), sum(heights) + 0.4 * len(heights) + 0.6), layout='constrained')
    grid = figure.subplots(len(pictures), 1 + len(models), squeeze=False, height_ratios=heights)
    how = dict(masks=settings.iou_type == 'segm', opacity=0.15)  # many lie over each other
    for line, picture, place in zip(grid, pictures, samples.places):
        image = truth.images[place]
        for axes in line:
            axes.imshow(picture)
            axes.set(xticks=[], yticks=[])
        draw(line[0], truth, place, image, colours, **how)
        caption = [*wrap(plain(image['file_name']), 44), f'r = {models[0].ratios[place]:.2f}']
        line[0].set_title('\n'.join(caption), fontsize=9)
        for k, (axes, model, found) in enumerate(zip(line[1:], models, samples.found)):
            redundant = samples.redundant[k]
            draw(axes, found.rows(~redundant), place, image, colours, **how)
            draw(axes, found.rows(redundant), place, image, dict.fromkeys(colours, REDUNDANT), **how)
            detections, partial = (count[place] for count in samples.counts(k))
            caption = [*wrap(plain(model.name), 44), f'{detections} detections, {partial} redundant partial']
            axes.set_title('\n'.join(caption), fontsize=9)
    for axes, name in zip(grid[-1], ['ground truth', *([f'score ≥ {settings.score_thr:g}'] * len(models))]):
        axes.set_xlabel(name, fontsize=9)
    patches = [Patch(color=colour, label=plain(truth.categories[place]['name'])) for place, colour in colours.items()]
    patches.append(Patch(color=REDUNDANT, label='redundant partial'))
    figure.legend(handles=patches, loc='outside lower center', ncols=2 * len(models) + 3, frameon=False, fontsize=9)
    return save_figure(figure, path)
