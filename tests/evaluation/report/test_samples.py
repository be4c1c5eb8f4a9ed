"""Redundant partial detections against a naive count, and the picture of the most occluded images."""

import copy

import cv2
import numpy as np
import pytest
from made_up import made_up

from mmtied.coco.coco_json import read_json
from mmtied.datasets import write_scenes
from mmtied.evaluation import InputError, compare_occlusion, evaluate_occlusion
from mmtied.evaluation.report.samples import REDUNDANT, choose_samples, save_samples


def box_iou(a: list, b: list) -> float:
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    common = max(0, width) * max(0, height)
    return common / (a[2] * a[3] + b[2] * b[3] - common)


def naive(truth: dict, found: list, least: float) -> dict[int, tuple[int, int]]:
    """Detections and redundant partial ones of each image, by loops over boxes."""
    found = [entry for entry in found if entry['score'] >= least]
    counts = {image['id']: [0, 0] for image in truth['images']}
    for entry in found:
        counts[entry['image_id']][0] += 1
        of_class = [
            one
            for one in truth['annotations']
            if not one['iscrowd'] and (one['image_id'], one['category_id']) == (entry['image_id'], entry['category_id'])
        ]
        if not of_class:
            continue
        best = max(of_class, key=lambda one: box_iou(entry['bbox'], one['bbox']))
        iou = box_iou(entry['bbox'], best['bbox'])
        whole = any(
            box_iou(other['bbox'], best['bbox']) >= 0.5
            for other in found
            if (other['image_id'], other['category_id']) == (entry['image_id'], entry['category_id'])
        )
        counts[entry['image_id']][1] += 0.1 <= iou < 0.5 and whole
    return {key: tuple(value) for key, value in counts.items()}


def cluttered(seed: int) -> tuple[dict, list]:
    """Made-up detections, with boxes of half the size beside them."""
    truth, found = made_up(seed)
    rng = np.random.default_rng(seed)
    for entry in copy.deepcopy(found):
        x, y, w, h = entry['bbox']
        half = [x, y, w / 2, h] if rng.random() < 0.5 else [x, y + h / 2, w, h / 2]
        found.append(entry | {'bbox': half, 'score': round(rng.random(), 2)})
    return truth, found


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@pytest.mark.parametrize('seed', range(3))
def test_counts_equal_a_naive_count(seed, iou_type):
    truth, found = cluttered(seed)
    if iou_type == 'segm':  # whole pixels, since masks of boxes are compared with boxes
        for entry in found:
            x, y, w, h = (round(v) for v in entry['bbox'])
            x, y = max(x, 0), max(y, 0)
            w, h = max(1, min(w, 100 - x)), max(1, min(h, 100 - y))
            entry['bbox'] = [x, y, w, h]
            entry['segmentation'] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
        for entry in truth['annotations']:
            x, y, w, h = entry['bbox']
            w, h = min(w, 100 - x), min(h, 100 - y)
            entry |= {'bbox': [x, y, w, h], 'segmentation': [[x, y, x + w, y, x + w, y + h, x, y + h]]}
    samples = choose_samples(evaluate_occlusion(truth, found, iou_type, score_thr=0.3))
    detections, redundant = samples.counts(0)
    wanted = naive(truth, found, 0.3)
    ids = [image['id'] for image in samples.result.ground_truth.images]
    assert [(int(a), int(b)) for a, b in zip(detections, redundant)] == [wanted[i] for i in ids]
    assert redundant.sum() > 5


def test_the_most_occluded_images_come_first():
    truth, found = made_up()
    result = compare_occlusion(truth, found, found[::2], names=['all', 'half'], score_thr=0.05)
    samples = choose_samples(result, 4)
    ratios = np.sort(result.first.ratios[~np.isnan(result.first.ratios)])[::-1]
    np.testing.assert_array_equal(result.first.ratios[samples.indices], ratios[:4])
    lines = str(samples).splitlines()
    assert len(lines) == 1 + 4 + 1
    assert lines[0].split('  ')[-1].strip() == 'redundant partial'
    assert 'half: detections' in lines[0]
    assert lines[-1].startswith('all 40 images')
    assert len(choose_samples(result, 1000).indices) == len(ratios)


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    truth, _ = read_json(write_scenes(folder, 'val', 12, size=96), '')
    found = [annotation | {'score': 0.9} for annotation in truth['annotations']]
    # A tight detection of the upper half of everything.
    for entry in list(found):
        x, y, w, h = entry['bbox']
        found.append(dict(entry, bbox=[x, y, w, h * 0.4], segmentation=None, score=0.5))
    return truth, found, folder / 'val'


def test_picture(scenes, tmp_path):
    truth, found, images = scenes
    result = compare_occlusion(truth, found, found[: len(found) // 2], names=['$clutter', 'clean'], score_thr=0.05)
    samples = choose_samples(result, 3)
    pictures = [
        cv2.imread(str(save_samples(choose_samples(one, 3), images, tmp_path / f'{i}.png')))
        for i, one in enumerate((result, compare_occlusion(truth, found[:1], found[1:2], names=['a', 'b'])))
    ]
    assert pictures[0].shape[1] == pictures[1].shape[1] == 1800
    magenta = (np.array(REDUNDANT[::-1]) * 255).astype(np.uint8)
    rows = pictures[0][: int(0.9 * len(pictures[0]))]  # above the legend
    columns = [(rows[:, begin : begin + 600] == magenta).all(2).sum() for begin in (0, 600, 1200)]
    assert columns[0] == columns[2] == 0
    assert columns[1] > 100
    for detector, entries in enumerate((found, found[: len(found) // 2])):
        assert samples.counts(detector)[1].sum() == sum(partial for _, partial in naive(truth, entries, 0.05).values())


def test_masks(scenes, tmp_path):
    truth, found, images = scenes
    result = evaluate_occlusion(truth, found[: len(found) // 2], 'segm')
    assert save_samples(choose_samples(result, 2), images, tmp_path / 'new' / 'samples.pdf').stat().st_size > 5000


def test_bad_input(scenes, tmp_path):
    truth, found, _ = scenes
    result = evaluate_occlusion(truth, found)
    with pytest.raises(InputError, match='0 images cannot be shown'):
        choose_samples(result, 0)
    with pytest.raises(InputError, match=r'\.jpg: no such image'):
        save_samples(choose_samples(result), tmp_path, tmp_path / 'samples.png')
    assert not list(tmp_path.iterdir())
    empty = truth | {'annotations': []}
    with pytest.raises(InputError, match='no image has an instance'):
        choose_samples(evaluate_occlusion(empty, [], strict=False))
