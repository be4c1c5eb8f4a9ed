"""Occluded scenes: textured shapes drawn over each other, as instance segmentation data in COCO's format.

Every scene has a wanted occlusion ratio. Its objects are pulled together around one point until the ratio of their
visible boxes is as near to it as the shapes allow; masks are modal, they show what is not covered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle

from ..evaluation import occlusion_ratio
from ..utils.files import write_text
from .textures import TEXTURES, background, photometric_variation, texture

CLASSES = ('disk', 'square', 'triangle', 'star', 'cross')
# The share of a shape that must stay visible; what is hidden more than that is left out of the scene.
MIN_VISIBLE = 0.12
MIN_PIXELS = 30
TOLERANCE = 0.01
# How many sets of shapes are tried before the nearest is taken.
TRIES = 8


@dataclass(frozen=True)
class Shape:
    """One object: its class (an index of ``CLASSES``), and its outline around the origin, in pixels, (n, 2)."""

    label: int
    outline: np.ndarray


@dataclass(frozen=True)
class Scene:
    """An image with the visible mask and the class of every object, lowest first.

    Attributes:
        image: (H, W, 3), uint8, BGR.
        masks: Of each object where it is visible, (H, W), bool.
        labels: Of each object its class, an index of :data:`~mmtied.datasets.CLASSES`.
    """

    image: np.ndarray
    masks: list[np.ndarray]
    labels: list[int]

    @property
    def ratio(self) -> float:
        """The occlusion ratio of the visible boxes."""
        return occlusion_ratio(boxes_of(self.masks))


def make_scene(rng: np.random.Generator, size: int, ratio: float, textures: str = 'all') -> Scene:
    """Return a scene of a wanted occlusion ratio.

    Args:
        rng: The only source of randomness: the same state gives the same scene.
        size: Height and width in pixels, at least 64.
        ratio: The wanted occlusion ratio, 0 to .9. The scene comes within .01 of it nearly always; at 0 exactly.
        textures: Of the objects: 'all', or one of the halves 'even' and 'odd'. Defaults to 'all'.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> import numpy as np
        >>> from mmtied.datasets import make_scene
        >>> scene = make_scene(np.random.default_rng(0), size=64, ratio=0)
        >>> scene.image.shape, scene.ratio
        ((64, 64, 3), 0.0)
    """
    if size < 64:
        raise ValueError(f'size={size} must be at least 64 pixels')
    if not 0 <= ratio <= 0.9:
        raise ValueError(f'ratio={ratio} must lie in [0, .9]')
    if textures not in TEXTURES:
        raise ValueError(f'textures={textures!r} must be one of {TEXTURES}')
    masks: list[np.ndarray] = []
    labels: list[int] = []
    found, tries = np.inf, TRIES
    while not masks or (tries > 0 and abs(found - ratio) > TOLERANCE) or (ratio == 0 and found > 0):
        tries -= 1
        shapes = random_shapes(rng, size, ratio)
        offsets = rng.uniform(-0.5, 0.5, (len(shapes), 2))
        centre = size / 2 + rng.uniform(-0.1, 0.1, 2) * size
        trial = pull_together(shapes, offsets, centre=centre, size=size, ratio=ratio)
        trial_ratio = occlusion_ratio(boxes_of([mask for mask, _ in trial]))
        if abs(trial_ratio - ratio) < abs(found - ratio):
            found, masks, labels = trial_ratio, [mask for mask, _ in trial], [label for _, label in trial]
    image = background(rng, size)
    for mask, label, (x, y, width, height) in zip(masks, labels, boxes_of(masks).astype(int)):
        crop = np.s_[y : y + height, x : x + width]
        # Each class keeps near a hue of its own, as many things do, so that a short training can tell them apart.
        image[crop][mask[crop]] = texture(rng, height, width=width, hue=label / len(CLASSES), textures=textures)[
            mask[crop]
        ]
    return Scene(photometric_variation(rng, image), masks, labels)


def pull_together(
    shapes: list[Shape], offsets: np.ndarray, centre: np.ndarray, size: int, ratio: float
) -> list[tuple[np.ndarray, int]]:
    """Place the shapes at the spread whose occlusion ratio is nearest to the wanted one."""

    def place(spread: float) -> tuple[float, list[tuple[np.ndarray, int]]]:
        visible = draw(shapes, centre + spread * size * offsets, size)
        return abs(occlusion_ratio(boxes_of([mask for mask, _ in visible])) - ratio), visible

    # The ratio falls with the spread, but not steadily: shapes get hidden. So a coarse look, then a fine one.
    coarse = np.linspace(0.05, 0.95, 10)
    placed = [place(spread) for spread in coarse]
    nearest = min(range(len(coarse)), key=lambda i: placed[i][0])
    if placed[nearest][0] > TOLERANCE:
        placed += [place(spread) for spread in coarse[nearest] + np.linspace(-0.09, 0.09, 10)]
    return min(placed, key=lambda candidate: candidate[0])[1]


def draw(shapes: list[Shape], positions: np.ndarray, size: int) -> list[tuple[np.ndarray, int]]:
    """Return the visible mask and the label of each shape, lowest first; later shapes cover earlier ones."""
    covered = np.zeros((size, size), dtype=bool)
    visible = []
    for shape, position in zip(reversed(shapes), positions[::-1]):
        canvas = np.zeros((size, size), dtype=np.uint8)
        cv2.fillPoly(canvas, [np.round(shape.outline + position).astype(np.int32)], 1)
        full = canvas.astype(bool)
        mask = full & ~covered
        if mask.sum() >= max(MIN_PIXELS, MIN_VISIBLE * full.sum()):
            visible.append((mask, shape.label))
            covered |= full
    return visible[::-1]


def random_shapes(rng: np.random.Generator, size: int, ratio: float) -> list[Shape]:
    """Return shapes fit for a ratio: the more occlusion is wanted, the more there are."""
    count = rng.integers(1, 5) if ratio == 0 else rng.integers(3, 6) + round(4 * ratio)
    radii = rng.uniform(0.09, 0.2, count) * size
    return [make_shape(rng, radius) for radius in radii]


def make_shape(rng: np.random.Generator, radius: float) -> Shape:
    """Return a shape of a random class, turned and stretched."""
    label = int(rng.integers(len(CLASSES)))
    corners = {'disk': 40, 'square': 4, 'triangle': 3, 'star': 10, 'cross': 12}[CLASSES[label]]
    angles = 2 * np.pi * np.arange(corners) / corners
    reach = np.ones(corners)
    if CLASSES[label] == 'star':
        reach[1::2] = 0.42
    if CLASSES[label] == 'cross':
        arm = np.arctan(0.3)
        angles = np.array([base + turn for base in angles[::3] for turn in (-arm, arm, np.pi / 4)])
        reach[2::3] = 0.3 * np.sqrt(2) * np.cos(arm)
    outline = np.stack([np.cos(angles), np.sin(angles)], 1) * reach[:, None]
    outline *= radius * rng.uniform(0.8, 1.2, 2)
    turn = rng.uniform(0, 2 * np.pi)
    return Shape(label, outline @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]))


def boxes_of(masks: list[np.ndarray]) -> np.ndarray:
    """Return the boxes of masks as x, y, width, height, in whole pixels, of shape (n, 4)."""
    boxes = [cv2.boundingRect(mask.astype(np.uint8)) for mask in masks]
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def write_scenes(
    folder: str | Path,
    split: str,
    images: int,
    size: int = 128,
    seed: int = 0,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
    textures: str = 'all',
) -> Path:
    """Write a split of scenes: `folder/split/*.jpg` and, last and at once, `folder/instances_split.json`.

    A tenth of the scenes has no occlusion; the wanted ratios of the others are spread evenly up to .9.

    Args:
        folder: Folder of the data set, made where it is missing.
        split: Name of the split; another split of the same seed holds other scenes.
        images: Number of scenes.
        size: Height and width of the images in pixels. Defaults to 128.
        seed: Of all randomness. Defaults to 0.
        progress: Wraps the numbers of the scenes, as ``tqdm`` does. Defaults to none.
        textures: As in :func:`make_scene`. Defaults to 'all'.

    Returns:
        Path of the json file.

    Raises:
        ValueError: If size or textures are out of their range.
        OSError: If an image cannot be written.
    """
    folder = Path(folder)
    (folder / split).mkdir(parents=True, exist_ok=True)
    start = list(split.encode())
    ratios = np.linspace(-0.1, 0.9, images).clip(0)
    np.random.default_rng([seed, *start]).shuffle(ratios)
    info = {'split': split, 'images': images, 'size': size, 'seed': seed, 'textures': textures}
    content: dict = {
        'info': {'description': 'mmtied occluded scenes'} | info,
        'images': [],
        'annotations': [],
        'categories': [{'id': i + 1, 'name': name} for i, name in enumerate(CLASSES)],
    }
    for i in progress(range(images)):
        scene = make_scene(np.random.default_rng([seed, *start, i]), size, ratio=ratios[i], textures=textures)
        name = f'{i:06d}.jpg'
        if not cv2.imwrite(str(folder / split / name), scene.image, [cv2.IMWRITE_JPEG_QUALITY, 95]):
            raise OSError(f'{folder / split / name} cannot be written')
        content['images'].append({'id': i + 1, 'file_name': name, 'width': size, 'height': size})
        for mask, label, box in zip(scene.masks, scene.labels, boxes_of(scene.masks)):
            code = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
            content['annotations'].append(
                {
                    'id': len(content['annotations']) + 1,
                    'image_id': i + 1,
                    'category_id': label + 1,
                    'bbox': box.tolist(),
                    'area': int(mask.sum()),
                    'iscrowd': 0,
                    'segmentation': {'size': code['size'], 'counts': code['counts'].decode()},
                }
            )
    return write_text(folder / f'instances_{split}.json', json.dumps(content))
