#!/usr/bin/env python3
"""Write ground truth and detections of the size of COCO val2017, for the benchmarks of the evaluation.

5,000 images, 37,232 boxes of 80 classes and 110 detections an image: three near each instance, sometimes of a wrong
class, the rest anywhere. With --ground-truth, the detections are made for a ground truth of your own instead.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

CLASSES = 80
INSTANCES = 7.36  # an image
DETECTIONS = 110


def ground_truth(images: int, seed: int = 0) -> dict:
    """Boxes in clusters, so that occlusion ratios of all sizes occur; some classes are frequent and some are rare."""
    rng = np.random.default_rng(seed)
    frequency = rng.pareto(1.2, CLASSES) + 0.05
    counts = rng.geometric(1 / INSTANCES, images)
    annotations = []
    for image, count in enumerate(counts.tolist(), 1):
        spread = rng.choice([0.05, 0.2, 1.0])
        middle = rng.uniform(0.3, 0.7, 2)
        size = np.exp(rng.normal(4.2, 0.8, (count, 2))).clip(4, 400).round(1)
        corner = ((middle + spread * rng.uniform(-0.5, 0.5, (count, 2))) * (640, 480) - size / 2).round(1)
        classes = rng.choice(CLASSES, count, p=frequency / frequency.sum()) + 1
        for (x, y), (w, h), category in zip(corner.tolist(), size.tolist(), classes.tolist()):
            box = {'bbox': [x, y, w, h], 'area': w * h, 'iscrowd': 0}
            annotations.append(box | {'id': len(annotations) + 1, 'image_id': image, 'category_id': category})
    return {
        'images': [{'id': i, 'width': 640, 'height': 480, 'file_name': f'{i:012}.jpg'} for i in range(1, images + 1)],
        'annotations': annotations,
        'categories': [{'id': i, 'name': f'class {i}'} for i in range(1, CLASSES + 1)],
    }


def detections(truth: dict, seed: int = 0) -> list[dict]:
    """Detections of a middling detector, whose errors do not depend on occlusion."""
    rng = np.random.default_rng([seed, 1])
    categories = [category['id'] for category in truth['categories']]
    boxes: dict = {image['id']: [] for image in truth['images']}
    for annotation in truth['annotations']:
        boxes[annotation['image_id']].append((annotation['bbox'], annotation['category_id']))
    found = []
    for image, of_image in boxes.items():
        near = (of_image * 3)[:DETECTIONS]
        rest = DETECTIONS - len(near)
        error = rng.uniform(0.02, 0.3, len(near))
        base = np.array([box for box, _ in near], dtype=float).reshape(-1, 4)
        corner = base[:, :2] + error[:, None] * rng.normal(size=(len(near), 2)) * base[:, 2:]
        size = base[:, 2:] * np.exp(error[:, None] * rng.normal(size=(len(near), 2)))
        scattered = rng.uniform((0, 0, 5, 5), (500, 380, 250, 190), (rest, 4))
        all_boxes = np.concatenate([np.concatenate([corner, size], 1), scattered]).round(2)
        scores = np.concatenate([rng.beta(4, 2, len(near)) - error, rng.beta(1, 8, rest)]).clip(0.001, 1).round(5)
        classes = [category if rng.random() < 0.85 else int(rng.choice(categories)) for _, category in near]
        likely = list({category for _, category in of_image}) or categories
        classes += [int(rng.choice(likely if rng.random() < 0.4 else categories)) for _ in range(rest)]
        for box, score, category in zip(all_boxes.tolist(), scores.tolist(), classes):
            found.append({'image_id': image, 'category_id': category, 'bbox': box, 'score': score})
    return found


def write(folder: Path, images: int, own: Path | None = None) -> tuple[Path, Path]:
    """Write both files, or find them written before, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    name = own.stem if own else f'{images}'
    truth_file, found_file = own or folder / f'truth_{name}.json', folder / f'found_{name}.json'
    if not found_file.exists():
        truth = json.loads(own.read_text()) if own else ground_truth(images)
        if not own:
            truth_file.write_text(json.dumps(truth))
        found_file.write_text(json.dumps(detections(truth)))
    return truth_file, found_file


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--images', type=int, default=5000, help='default: 5000')
    parser.add_argument('--ground-truth', type=Path, help='of your own')
    args = parser.parse_args()
    print(*write(args.folder, args.images, args.ground_truth))


if __name__ == '__main__':
    main()
