"""Colours of the occluded scenes: patterns on objects, a background with distractors, photometric variation.

All images are (height, width, 3) uint8 in BGR.
"""

from __future__ import annotations

import cv2
import numpy as np

TEXTURES = ('all', 'even', 'odd')


def texture(rng: np.random.Generator, height: int, width: int, hue: float, textures: str = 'all') -> np.ndarray:
    """Return a field of one of five patterns in two shades near a hue, given in turns of the colour circle.

    Args:
        rng: The only source of randomness.
        height, width: In pixels.
        hue: In turns.
        textures: Which angles and periods the pattern may have. Defaults to 'all'. A board of 8 x 4 fields lies over
            the angles and periods; 'even' takes those of its fields that are white, 'odd' the black ones: two sets
            that share no pattern of an angle and a period, and yet the same range. Plain objects have neither.
    """
    y, x = np.mgrid[:height, :width].astype(np.float32)
    angle, period = rng.uniform(0, np.pi), rng.uniform(6, 20)
    while textures != 'all' and field_of(angle, period) != textures:
        angle, period = rng.uniform(0, np.pi), rng.uniform(6, 20)
    u = (x * np.cos(angle) + y * np.sin(angle)) * 2 * np.pi / period
    v = (y * np.cos(angle) - x * np.sin(angle)) * 2 * np.pi / period
    pattern = rng.integers(5)
    if pattern == 0:  # stripes
        weight = (np.sin(u) > 0).astype(np.float32)
    elif pattern == 1:  # checks
        weight = (np.sin(u) * np.sin(v) > 0).astype(np.float32)
    elif pattern == 2:  # dots
        weight = (np.sin(u) + np.sin(v) > 1).astype(np.float32)
    elif pattern == 3:  # waves
        weight = 0.5 + 0.5 * np.sin(u)
    else:  # plain
        weight = np.zeros_like(u)
    hue = (hue + rng.normal(0, 0.05)) % 1
    first, second = shade(rng, hue), shade(rng, hue)
    field = first + weight[..., None] * (second - first)
    return np.clip(field + cloud(rng, height, width, cells=6, strength=15)[..., None], 0, 255).astype(np.uint8)


def field_of(angle: float, period: float) -> str:
    """Return which fields of the board an angle and a period lie on, 'even' or 'odd'."""
    return TEXTURES[1 + (int(angle / np.pi * 8) + int((period - 6) / 14 * 4)) % 2]


def shade(rng: np.random.Generator, hue: float) -> np.ndarray:
    """Return a random shade of a hue, (3,)."""
    pixel = np.array([[[360 * hue, rng.uniform(0.4, 1), rng.uniform(0.35, 1)]]], dtype=np.float32)
    return 255 * cv2.cvtColor(pixel, cv2.COLOR_HSV2BGR)[0, 0]


def background(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return a clouded field with distractors that belong to no class: lines, arcs and small blobs."""
    image = rng.uniform(40, 215, 3) + cloud(rng, size, size, cells=4, strength=40)[..., None] * rng.uniform(0.5, 1, 3)
    image = np.clip(image, 0, 255).astype(np.uint8)
    for _ in range(rng.integers(3, 9)):
        colour = rng.uniform(0, 255, 3).tolist()
        (x0, y0), (x1, y1) = rng.integers(0, size, (2, 2)).tolist()
        kind = rng.integers(3)
        if kind == 0:
            cv2.line(image, (x0, y0), (x1, y1), colour, int(rng.integers(1, 4)), cv2.LINE_AA)
        elif kind == 1:
            axes = rng.integers(size // 12, size // 4, 2).tolist()
            start = int(rng.integers(360))
            width = int(rng.integers(1, 4))
            cv2.ellipse(image, (x0, y0), axes, start, 0, int(rng.integers(60, 200)), colour, width, cv2.LINE_AA)
        else:
            cv2.ellipse(image, (x0, y0), rng.integers(2, 6, 2).tolist(), 0, 0, 360, colour, -1, cv2.LINE_AA)
    return image


def photometric_variation(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return the image with random gain, gamma, colour cast, blur and noise."""
    values = (image / 255.0) ** rng.uniform(0.7, 1.4) * rng.uniform(0.75, 1.2) * rng.uniform(0.9, 1.1, 3)
    values = np.asarray(cv2.GaussianBlur(values, (0, 0), rng.uniform(0.3, 0.9)))
    values = values + rng.normal(0, rng.uniform(0.005, 0.03), image.shape)
    return (np.clip(values, 0, 1) * 255).round().astype(np.uint8)


def cloud(rng: np.random.Generator, height: int, width: int, cells: int, strength: float) -> np.ndarray:
    """Return smooth noise of mean 0, (height, width): random values at cells x cells points, interpolated."""
    coarse = rng.normal(0, strength, (cells, cells)).astype(np.float32)
    return cv2.resize(coarse, (int(width), int(height)), interpolation=cv2.INTER_CUBIC)
