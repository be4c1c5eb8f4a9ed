"""Any number of boxes, masks and detections: the reference API's numbers, and what it cannot hold as well."""

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmtied.coco.coco_json import check_ground_truth, check_results
from mmtied.evaluation import evaluate_occlusion, occlusion_ratio, regions
from mmtied.evaluation import pieces as pieces_module
from mmtied.evaluation.overlaps import find_overlaps


def crowded(seed: int, images: int = 4, count: int = 150, classes: int = 2, crowds: bool = True) -> tuple[dict, list]:
    """Many overlapping boxes with whole corners, and detections near them, some of equal score."""
    rng = np.random.default_rng(seed)
    annotations, found = [], []
    for image in range(1, images + 1):
        for _ in range(count):
            box = [*rng.integers(0, 300, 2).tolist(), *rng.integers(1, 60, 2).tolist()]
            entry = {'image_id': image, 'category_id': int(rng.integers(1, classes + 1)), 'bbox': box}
            crowd = int(crowds and rng.random() < 0.03)
            annotations.append(entry | {'id': len(annotations) + 1, 'iscrowd': crowd, 'area': box[2] * box[3]})
            for _ in range(int(rng.integers(0, 3))):
                near = (np.array(box) + rng.integers(-4, 5, 4)).clip(1).tolist()
                found.append(entry | {'bbox': near, 'score': round(float(rng.random()), 2)})
    sizes = [{'id': i, 'width': 400, 'height': 400} for i in range(1, images + 1)]
    categories = [{'id': i, 'name': str(i)} for i in range(1, classes + 1)]
    return {'images': sizes, 'annotations': annotations, 'categories': categories}, found


def reference(truth: dict, found: list, max_dets: int) -> float:
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes([dict(entry) for entry in found]), 'bbox')
        evaluation.params.maxDets = [max_dets]
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval['precision'][:, :, :, 0, -1]
    return float(precision[precision > -1].mean())


@pytest.mark.parametrize('engine', ['hotcoco', 'pycocotools'])
@pytest.mark.parametrize('max_dets', [1, 20, 1000])
def test_limits_equal_the_reference(engine, max_dets):
    truth, found = crowded(0)
    result = evaluate_occlusion(truth, found, 'bbox', engine=engine, max_dets=max_dets)
    assert pytest.approx(reference(truth, found, max_dets), abs=1e-12) == result.all.AP


@pytest.mark.parametrize('engine', ['hotcoco', 'pycocotools'])
@pytest.mark.parametrize('per_instance', [False, True])
def test_pieces_change_nothing(monkeypatch, engine, per_instance):
    for seed in range(3):
        truth, found = crowded(seed, images=4 if engine == 'hotcoco' else 1)
        options = dict(engine=engine, max_dets=500, per_instance=per_instance, per_class=True, bootstrap=2)
        whole = evaluate_occlusion(truth, found, 'bbox', **options)
        monkeypatch.setattr(pieces_module, 'LARGEST_TABLE', 50)
        cut = evaluate_occlusion(truth, found, 'bbox', **options)
        monkeypatch.undo()
        for one, other in zip(whole.rows(), cut.rows()):
            assert list(other.scores) == pytest.approx(list(one.scores), abs=1e-12, nan_ok=True)
            assert other.errors == one.errors or per_instance
            assert other.per_class == one.per_class


def test_the_limit_is_said_and_errors_do_not_know_it():
    truth = {'images': [{'id': 1}, {'id': 2}], 'categories': [{'id': 1, 'name': 'a'}]}
    boxes = [[12 * i, 0, 10, 10] for i in range(300)]
    truth['annotations'] = [{'image_id': 1, 'category_id': 1, 'bbox': box} for box in boxes]
    found = [entry | {'score': 0.9} for entry in truth['annotations']]
    result = evaluate_occlusion(truth, found)
    assert result.all.errors.missed == 0
    assert 'Scores count the best 100 detections of a class in an image: 200 detections are beyond, in 1 image' in str(
        result
    )
    assert result.all.AP < 0.4
    unlimited = evaluate_occlusion(truth, found, max_dets=1000)
    assert pytest.approx(1) == unlimited.all.AP
    assert 'are beyond' not in str(unlimited)
    wrong = [{'image_id': 1, 'category_id': 1, 'bbox': [0, 100, 9, 9], 'score': 0.9}] * 500
    assert evaluate_occlusion(truth, [*found, *wrong]).all.errors.false_positives == 250


@pytest.mark.parametrize('seed', range(3))
def test_rows_of_the_grid_are_the_grid(monkeypatch, seed):
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.integers(0, 40, (60, 2)), rng.integers(0, 15, (60, 2))], axis=1)
    for definition in ('covered', 'union', 'pairwise'):
        whole = occlusion_ratio(boxes, definition=definition)
        monkeypatch.setattr(regions, 'LARGEST_GRID', 1)
        assert occlusion_ratio(boxes, definition=definition) == pytest.approx(whole, rel=1e-12)
        monkeypatch.undo()


def test_boxes_that_only_touch_are_exactly_free(monkeypatch):
    monkeypatch.setattr(regions, 'LARGEST_GRID', 1)
    boxes = [[0.1 * i, 0.3 * k, 0.1, 0.3] for i in range(12) for k in range(7)]
    assert occlusion_ratio(boxes) == 0
    assert occlusion_ratio([*boxes, [5, 5, 1, 1], [5.5, 5, 1, 1]]) > 0


@pytest.mark.parametrize('count', [255, 256, 600])
@pytest.mark.parametrize('definition, region', [('covered', 'segm'), ('union', 'segm'), ('hybrid', None)])
def test_masks_of_any_number(count, definition, region):
    """Pairs that share half of each mask."""
    squares = [[8 * (i // 2 % 35) + 2 * (i % 2), 8 * (i // 70), 4, 4] for i in range(count)]
    polygons = [[[x, y, x + w, y, x + w, y + h, x, y + h]] for x, y, w, h in squares]
    truth = {'images': [{'id': 1, 'width': 300, 'height': 300}], 'categories': [{'id': 1, 'name': 'a'}]}
    truth['annotations'] = [
        {'image_id': 1, 'category_id': 1, 'bbox': box, 'segmentation': polygon}
        for box, polygon in zip(squares, polygons)
    ]
    found = [entry | {'score': 0.9} for entry in truth['annotations']]
    options = {} if region is None else {'region': region}
    result = evaluate_occlusion(truth, found, 'segm', definition=definition, max_dets=1000, **options)
    paired = count - count % 2
    wanted = paired / 2 / (count - paired / 4) if definition == 'union' else paired / 2 / count
    if definition == 'union':
        wanted = (paired / 4) / (count - paired / 4)
    assert result.ratios[0] == pytest.approx(wanted)
    assert pytest.approx(1) == result.all.AP
    assert result.all.errors.missed == 0


def test_overlaps_are_those_of_the_reference():
    truth, found = crowded(5)
    checked = check_ground_truth(truth, '')
    detections = check_results(found, '', checked, 'bbox')
    pairs = find_overlaps(checked, detections, 'bbox', least=0.1)
    wanted = set()
    for index in range(len(checked.images)):
        rows, columns = np.flatnonzero(detections.image == index), np.flatnonzero(checked.image == index)
        ious = rle.iou(detections.bbox[rows], checked.bbox[columns], checked.iscrowd[columns].astype(np.uint8).tolist())
        for i, k in zip(*np.nonzero(ious >= 0.1)):
            wanted.add((rows[i], columns[k], ious[i, k]))
    assert set(zip(pairs.found, pairs.truth, pairs.iou)) == wanted


def test_ignored_annotations_neither_count_nor_punish():
    entries = [{'image_id': 1, 'category_id': 1, 'bbox': box} for box in ([0, 0, 10, 10], [5, 0, 10, 10])]
    truth = {'images': [{'id': 1}], 'categories': [{'id': 1, 'name': 'a'}]}
    truth['annotations'] = [entries[0], entries[1] | {'ignore': 1}]
    for engine in ('hotcoco', 'pycocotools'):
        for found in (entries, entries[:1]):
            results = [entry | {'score': 0.9 - i / 10} for i, entry in enumerate(found[::-1])]
            result = evaluate_occlusion(truth, results, engine=engine)
            assert (result.all.AP, result.all.instances) == (pytest.approx(1), 1)
            assert (result.all.errors.false_positives, result.all.errors.missed) == (0, 0)
    assert result.ratios[0] == 0
    assert '1 annotation is ignored' in str(result)
    assert evaluate_occlusion(truth, results, ignored_occlude=True).ratios[0] == pytest.approx(0.5)
    shares = evaluate_occlusion(truth, results, ignored_occlude=True, per_instance=True).instance_ratios
    assert shares[0] == pytest.approx(0.5) and np.isnan(shares[1])
    # Unlike a crowd region, which forgives any number, an ignored instance forgives one.
    twice = [entries[1] | {'score': 0.9}] * 2 + [entries[0] | {'score': 0.5}]
    assert pytest.approx(0.5) == evaluate_occlusion(truth, twice).all.AP


def test_crowds_are_taken_out_before_errors_are_sorted():
    truth = {'images': [{'id': 1}], 'categories': [{'id': 1, 'name': 'a'}]}
    one, crowd = ({'image_id': 1, 'category_id': 1, 'bbox': box} for box in ([0, 0, 10, 10], [50, 50, 20, 20]))
    truth['annotations'] = [one, crowd | {'iscrowd': 1}]
    # A third of it lies inside the crowd region: it is false, but not a poorly placed box of the crowd.
    found = [one | {'score': 0.9}, crowd | {'bbox': [58, 58, 20, 20], 'score': 0.8}]
    errors = evaluate_occlusion(truth, found).all.errors
    assert (errors.false_positives, errors.localisation) == (1, 0)
