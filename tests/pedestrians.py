"""Made-up streets, and the rules of MR-2 and of JI once more, slow and plain: one detection and one score at a time."""

from __future__ import annotations

import math

import numpy as np

from mmtied.coco.coco_json import check_ground_truth, check_results

SETUPS = {'reasonable': (0.65, math.inf), 'bare': (0.9, math.inf), 'partial': (0.65, 0.9), 'heavy': (0.0, 0.65)}
RATES = (0.0100, 0.0178, 0.0316, 0.0562, 0.1000, 0.1778, 0.3162, 0.5623, 1.0000)


def street(seed: int = 0, images: int = 120, ties: bool = False) -> tuple[dict, list[dict]]:
    """Pedestrians of all heights and visible shares, ignored ones and regions, empty images, doubled detections."""
    rng = np.random.default_rng(seed)
    truth = {'images': [], 'annotations': [], 'categories': [{'id': 1, 'name': 'pedestrian'}]}
    found = []
    for i in range(1, images + 1):
        truth['images'].append({'id': i, 'width': 640, 'height': 480})
        for _ in range(int(rng.integers(0, 9)) if rng.random() < 0.8 else 0):
            height = float(rng.choice([20, 38, 40, 45, 49, 50, 55, 63, 90, 200]))
            x, y = (float(value) for value in rng.integers((0, 0), (600, 400)))
            ignored = int(rng.random() < 0.1)
            width = float(rng.integers(60, 200)) if ignored else round(0.41 * height, 1)
            visible = float(rng.choice([0.0, 0.2, 0.5, 0.64, 0.65, 0.66, 0.8, 0.9, 0.95, 1.0]))
            entry = {'image_id': i, 'category_id': 1, 'bbox': [x, y, width, height], 'vis_ratio': visible}
            number = len(truth['annotations']) + 1
            annotation = {'id': number, 'area': width * height, 'iscrowd': 0, 'ignore': ignored, 'height': height}
            truth['annotations'].append(entry | annotation)
            for _ in range(int(rng.integers(0, 4))):
                place = np.array([x, y, width, height]) + rng.normal(0, 0.08, 4) * np.array([width, height] * 2)
                if ignored:  # Inside a region, what is found is smaller than it.
                    place[2:] *= rng.uniform(0.3, 1, 2)
                box = {'image_id': i, 'category_id': 1, 'bbox': [float(value) for value in place]}
                found.append(box | {'score': float(rng.beta(4, 2))})
        for _ in range(int(rng.integers(0, 4))):
            place = [*rng.uniform(0, 400, 2), *rng.uniform(15, 80, 2)]
            box = {'image_id': i, 'category_id': 1, 'bbox': [float(value) for value in place]}
            found.append(box | {'score': float(rng.beta(2, 4))})
    if ties:
        for detection in found:
            detection['score'] = round(detection['score'], 1)
            detection['bbox'] = [float(round(value / 5) * 5) for value in detection['bbox']]
    return truth, found


def checked(truth: dict, found: list[dict]) -> tuple:
    """As the evaluation reads them."""
    truth = check_ground_truth(truth, 'truth')
    return truth, check_results(found, 'found', truth, 'bbox', strict=False)


def common(first: list[float], second: list[float]) -> float:
    """The area that two boxes have in common."""
    (x, y, w, h), (u, v, a, b) = first, second
    return max(0.0, min(x + w, u + a) - max(x, u)) * max(0.0, min(y + h, v + b) - max(y, v))


def iou(first: list[float], second: list[float]) -> float:
    both = common(first, second)
    return both / (first[2] * first[3] + second[2] * second[3] - both) if both else 0.0


def share(inner: list[float], outer: list[float]) -> float:
    """How much of the inner box lies in the outer one."""
    both = common(inner, outer)
    return both / (inner[2] * inner[3]) if both else 0.0


def miss_rate(truth: dict, found: list[dict], visible: tuple[float, float], height: float = 50.0) -> float:
    """MR-2 of a setup by CityPersons' rules: instances of visible shares, both ends included, from a height up."""
    outcomes = []  # (score, whether it is right) in the order of the images, then of the scores
    wanted = 0
    for image in sorted(truth['images'], key=lambda image: image['id']):
        instances = [entry for entry in truth['annotations'] if entry['image_id'] == image['id']]
        low, high = visible
        counted, ignored = [], []
        for entry in instances:
            inside = low <= entry['vis_ratio'] <= high and entry['bbox'][3] >= height
            (counted if inside and not entry.get('ignore') else ignored).append(entry['bbox'])
        wanted += len(counted)
        detections = [entry for entry in found if entry['image_id'] == image['id']]
        detections = sorted(detections, key=lambda entry: -entry['score'])[:1000]
        taken = set()
        for entry in detections:
            if entry['bbox'][3] < height / 1.25:
                continue
            best, at = 0.5, None
            for i, box in enumerate(counted):
                if i not in taken and iou(entry['bbox'], box) >= best:
                    best, at = iou(entry['bbox'], box), i
            if at is not None:
                taken.add(at)
                outcomes.append((entry['score'], True))
            elif not any(share(entry['bbox'], box) >= 0.5 for box in ignored):
                outcomes.append((entry['score'], False))
    if not wanted:
        return math.nan
    outcomes = sorted(outcomes, key=lambda outcome: -outcome[0])
    right = false = 0
    points = []  # false positives an image and recall, detection by detection
    for _, is_right in outcomes:
        right, false = right + is_right, false + (not is_right)
        points.append((false / len(truth['images']), right / wanted))
    logarithms = []
    for rate in RATES:
        recalls = [recall for fppi, recall in points if fppi <= rate]
        # Where no point is at the rate or below, the published evaluator reads the last of all.
        recall = recalls[-1] if recalls else points[-1][1] if points else 0.0
        if recall == 1:
            return 0.0
        logarithms.append(math.log(1 - recall))
    return math.exp(sum(logarithms) / len(logarithms))


def jaccard_index(truth: dict, found: list[dict], counts: list[bool] | None = None) -> float:
    """JI by CrowdHuman's rules; ``counts`` says of each annotation whether it belongs to the bin."""
    counts = counts or [True] * len(truth['annotations'])
    best = 0.0
    for tenth in range(10):
        indices = []
        for image in truth['images']:
            boxes: dict[str, list] = {'counted': [], 'regions': [], 'others': []}
            for entry, inside in zip(truth['annotations'], counts):
                if entry['image_id'] == image['id']:
                    kind = 'regions' if entry.get('ignore') else 'counted' if inside else 'others'
                    boxes[kind].append(clip(entry['bbox'], image))
            detections = sorted(
                (entry for entry in found if entry['image_id'] == image['id'] and entry['score'] > 0.1 * tenth),
                key=lambda entry: -entry['score'],
            )
            detections = [clip(entry['bbox'], image) for entry in detections]
            pairs = one_to_one(detections, boxes['counted'])
            no_part = [
                box
                for i, box in enumerate(detections)
                if i not in pairs.values()
                and any(share(box, other) > 0.5 for other in boxes['regions'] + boxes['others'])
            ]
            excused = [
                box
                for i, box in enumerate(boxes['counted'])
                if i not in pairs and any(share(box, region) > 0.5 for region in boxes['regions'])
            ]
            n, m, k = len(detections) - len(no_part), len(boxes['counted']) - len(excused), len(pairs)
            if n or m:
                indices.append(k / (n + m - k + 1e-6))
        best = max(best, sum(indices) / len(indices) if indices else 0.0)
    return best


def one_to_one(detections: list, instances: list) -> dict[int, int]:
    """Match as many as can be, detection by detection; instance: detection."""
    holder: dict[int, int] = {}

    def seat(detection: int, seen: set[int]) -> bool:
        for i, box in enumerate(instances):
            if i not in seen and iou(detections[detection], box) >= 0.5:
                seen.add(i)
                if i not in holder or seat(holder[i], seen):
                    holder[i] = detection
                    return True
        return False

    for detection in range(len(detections)):
        seat(detection, set())
    return holder


def clip(box: list[float], image: dict) -> list[float]:
    """A box inside its image, as CrowdHuman's evaluation has it."""
    x, y, w, h = box
    left, top = min(max(x, 0), image['width'] - 1), min(max(y, 0), image['height'] - 1)
    right, bottom = max(min(x + w, image['width']), 0), max(min(y + h, image['height']), 0)
    return [left, top, right - left, bottom - top]


def copies(truth: dict, found: list[dict], weights: np.ndarray) -> tuple[dict, list[dict]]:
    """Each image as often as its weight says, under ids of their own, side by side as the order of the images is."""
    images, annotations, detections = [], [], []
    for image, weight in zip(truth['images'], weights):
        for _ in range(weight):
            number = len(images) + 1
            images.append(image | {'id': number})
            for source, target in ((truth['annotations'], annotations), (found, detections)):
                target += [entry | {'image_id': number} for entry in source if entry['image_id'] == image['id']]
    annotations = [entry | {'id': i} for i, entry in enumerate(annotations, 1)]
    return truth | {'images': images, 'annotations': annotations}, detections
