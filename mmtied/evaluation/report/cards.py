"""The report's gallery: the images of the largest ratio and of the largest loss, with what is drawn over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from contourpy import contour_generator

from ...coco.data import Detections, Entries, GroundTruth
from ...coco.masks import decode
from ...utils.pictures import data_uri, drawn_size, open_picture, scaling
from ..errors import Hits, image_f1
from ..result import OcclusionResult
from .gallery import has_file

LONGEST = 640  # pixels of an embedded picture's longer side
PER_ORDER = 12  # images
PICTURES = 120  # at most, all orders together


@dataclass(frozen=True)
class Shape:
    """One instance or detection over a picture."""

    name: str
    score: float | None
    box: tuple[float, float, float, float] | None  # x, y, width, height
    outline: str | None  # path data of SVG


@dataclass(frozen=True)
class Card:
    """One picture of the gallery."""

    image_id: str
    file_name: str
    binned: str  # what the image is binned by
    picture: str  # data URI
    scaled: str  # that it has another size than the ground truth says; '' if not
    width: int
    height: int
    f1: list[float]  # of each detector; NaN where there is nothing to find and nothing was found
    ranks: dict[int, int]  # order -> rank in it
    layers: list[list[Shape]]  # ground truth, then each detector


@dataclass(frozen=True)
class Order:
    """An order that the gallery can be seen in.

    Attributes:
        name: What the first images show.
        values: Of each image, (images,); the largest comes first, NaN is not shown.
        layers: What is drawn when it is chosen: 0 is the ground truth, 1 the first detector.
    """

    name: str
    values: np.ndarray
    layers: list[int]


def make_cards(results: Sequence[OcclusionResult], image_dir: str | Path) -> tuple[list[Order], list[Card]]:
    """Return the orders that the gallery can be seen in, and the first images of each.

    Args:
        results: Of one to eight detectors, on one ground truth.
        image_dir: Folder of the ground truth's ``file_name``.

    Raises:
        InputError: If an image is not in the folder or cannot be read.
    """
    truth, settings = results[0].ground_truth, results[0].settings
    f1 = np.array(
        [image_f1(Hits.of(*result.judged, settings.matched, score_thr=settings.score_thr)) for result in results]
    )
    orders = _orders(results, f1)
    ranks: dict[int, dict[int, int]] = {}
    count = min(PER_ORDER, PICTURES // len(orders))
    for order, one in enumerate(orders):
        # An image without instances shows nothing.
        values = np.where(np.isnan(results[0].ratios) | ~has_file(results[0]), np.nan, one.values)
        first = np.argsort(-values, kind='stable')[:count]
        for rank, index in enumerate(first[~np.isnan(values[first])].tolist()):
            ranks.setdefault(index, {})[order] = rank
    cards = []
    for index, of_orders in ranks.items():
        image = truth.images[index]
        picture = open_picture(image_dir, image)
        # What is drawn is in the pixels of the annotations.
        size = dict(zip(('width', 'height'), drawn_size(picture, image)))
        layers = [
            _shapes(entries, truth, index=index, size=size, iou_type=settings.matched, score_thr=settings.score_thr)
            for entries in (truth, *(result.detections for result in results))
        ]
        cards.append(
            Card(
                image_id=str(image['id']),
                file_name=image['file_name'],
                binned=results[0].caption(index),
                picture=data_uri(picture, LONGEST),
                scaled=scaling(picture, image),
                **size,
                f1=f1[:, index].tolist(),
                ranks=of_orders,
                layers=layers,
            )
        )
    return orders, cards


def _orders(results: Sequence[OcclusionResult], f1: np.ndarray) -> list[Order]:
    """The largest ratio, the lowest F1 of each detector, and the most that each but the first gains and loses."""
    # The boxes of more than two detectors hide each other: an order shows those that it is about.
    few = [0, 1, 2][: 1 + len(results)]
    several = len(results) > 2
    settings = results[0].settings
    binned = settings.quantity if settings.keyed else 'occlusion ratio'
    orders = [Order(f'largest {binned}', results[0].ratios, few)]
    for k, (result, values) in enumerate(zip(results, f1), start=1):
        orders.append(Order(f'lowest F1 of {result.name}', -values, [0, k] if several else few))
    for k, (result, values) in enumerate(zip(results[1:], f1[1:]), start=2):
        over, to = (f' over {results[0].name}', f' to {results[0].name}') if several else ('', '')
        orders.append(Order(f'{result.name} gains most{over}', values - f1[0], [0, 1, k]))
        orders.append(Order(f'{result.name} loses most{to}', f1[0] - values, [0, 1, k]))
    return orders


def _shapes(
    entries: Entries, truth: GroundTruth, index: int, size: dict, iou_type: str, score_thr: float
) -> list[Shape]:
    rows = np.flatnonzero(entries.image == index)
    scores = None
    if isinstance(entries, Detections):
        rows = rows[entries.score[rows] >= score_thr]
        rows = rows[np.argsort(entries.score[rows])]  # the best on top
        scores = entries.score[rows].tolist()
    shapes = []
    for i, row in enumerate(rows):
        name = truth.categories[entries.category[row]]['name']
        score = None if scores is None else scores[i]
        if iou_type == 'segm':
            outline = _outline(decode(entries.masks[row], size))
            shapes.append(Shape(name, score, box=None, outline=outline))
        else:
            x, y, width, height = entries.boxes[row].round(1).tolist()
            shapes.append(Shape(name, score, box=(x, y, width, height), outline=None))
    return shapes


def _outline(mask: np.ndarray) -> str:
    """Return the border of a mask as path data of SVG."""
    padded = np.pad(mask, 1).astype(float)
    # Pixel i of the padded mask has its centre at i - .5 of the picture.
    lines: Any = contour_generator(z=padded).lines(0.5)  # arrays (n, 2); its stub names what other line types return
    return ''.join('M' + 'L'.join(f'{x - 0.5:.1f} {y - 0.5:.1f}' for x, y in line) + 'Z' for line in lines)
