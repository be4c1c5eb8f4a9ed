"""A row for each instance and each false positive: matches of the reference API, and sums of the other tables."""

import contextlib
import copy
import io

import numpy as np
import pytest
from made_up import made_up
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmtied.coco.coco_json import read_json
from mmtied.evaluation import compare_occlusion, evaluate_occlusion, instance_ratios, object_table


def rows_of(result) -> list[dict]:
    table = object_table(result)
    assert len(set(map(len, table.values()))) == 1
    return [dict(zip(table, values)) for values in zip(*table.values())]


def matches(truth: dict, found: list, iou_type: str) -> dict[float, dict]:
    """Id of each matched annotation -> score of what matches it, by the reference API, at two IoUs."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(copy.deepcopy(found)), iou_type)
        evaluation.params.areaRng, evaluation.params.areaRngLbl = [[0, 1e10]], ['all']
        evaluation.evaluate()
    scores = {}
    for iou, at in ((50, 0), (75, 5)):
        scores[iou] = {}
        for of_image in filter(None, evaluation.evalImgs):
            for score, annotation, ignored in zip(
                of_image['dtScores'], of_image['dtMatches'][at], of_image['dtIgnore'][at]
            ):
                if annotation and not ignored:
                    scores[iou][int(annotation)] = score
    return scores


def check(truth: dict, found: list, iou_type: str, score_thr: float):
    result = evaluate_occlusion(truth, found, iou_type, score_thr=score_thr)
    rows = rows_of(result)
    instances = [row for row in rows if row['kind'] == 'instance']
    false = [row for row in rows if row['kind'] == 'false positive']
    counted = {entry['id']: entry for entry in truth['annotations'] if not entry.get('iscrowd')}
    assert [row['annotation_id'] for row in instances] == [*counted]
    for iou, scores in matches(truth, found, iou_type).items():
        assert {row['annotation_id']: row[f'score_{iou}'] for row in instances if row[f'matched_{iou}']} == scores
    categories = {entry['id']: entry.get('name', str(entry['id'])) for entry in truth['categories']}
    sizes = {image['id']: (image['height'], image['width']) for image in truth['images']}
    shapes = {}

    def shape(entry):
        if iou_type == 'bbox':
            return np.array([entry['bbox']], dtype=float)
        return [shapes.setdefault(id(entry), _rle(entry['segmentation'], *sizes[entry['image_id']]))]

    for row in instances:
        entry = counted[row['annotation_id']]
        assert (row['image_id'], row['class']) == (entry['image_id'], categories[entry['category_id']])
        assert [row[name] for name in ('x', 'y', 'width', 'height')] == pytest.approx(entry['bbox'])
        assert row['size'] == pytest.approx(entry['area'] ** 0.5)
        same = [one for one in found if all(one[key] == entry[key] for key in ('image_id', 'category_id'))]
        ious = [mask.iou(shape(one), shape(entry), [0])[0, 0] for one in same]
        if not ious or max(ious) < 0.1:
            assert (row['detection'], row['iou'], row['score']) == (None, None, None)
            continue
        assert row['iou'] == pytest.approx(max(ious), abs=1e-9)
        best = found[row['detection']]
        assert best in [one for one, iou in zip(same, ious) if iou > max(ious) - 1e-9]
        assert row['score'] == best['score']
    errors = result.all.errors
    assert len(false) == round(errors.false_positives * len(truth['images']))
    assert sum(row['error'] == 'duplicate' for row in false) == errors.duplicates
    assert sum(row['error'] == 'localisation' for row in false) == errors.localisation
    assert sum(row['error'] == 'missed' for row in instances) == errors.missed
    assert sum(row['only_partial'] for row in instances) / len(instances) == pytest.approx(errors.partial)
    for row in instances:
        # What a match above the score has found is no error, and the reverse.
        above = row['score_50'] is not None and row['score_50'] >= score_thr
        assert (row['error'] == '') == above
    for row in false:
        one = found[row['detection']]
        assert (row['score'], categories[one['category_id']]) == (one['score'], row['class'])
        assert row['score'] >= score_thr
        about = counted.get(row['annotation_id'])
        assert (about is None) == (row['error'] == 'background') == (row['iou'] is None)
        if about:
            assert row['iou'] == pytest.approx(mask.iou(shape(one), shape(about), [0])[0, 0], abs=1e-9)
            assert (about['category_id'] == one['category_id']) == (row['error'] in ('localisation', 'duplicate'))
    assert np.isclose([row['occlusion'] for row in instances], shares(result)).all()
    bins = {row['image_id']: row['bin'] for row in rows}
    assert bins.items() <= {image: label for image, _, label in result.manifest()}.items()


def shares(result) -> np.ndarray:
    values = instance_ratios(result.ground_truth)
    return values[~np.isnan(values)]


def _rle(segmentation, height, width):
    if isinstance(segmentation, list):
        return mask.merge(mask.frPyObjects(segmentation, height, width))
    return segmentation


@pytest.mark.parametrize('score_thr', [0, 0.3])
def test_made_up_boxes(score_thr):
    truth, found = made_up(seed=3)
    # Also wrong classes, and boxes beside everything.
    found += [one | {'category_id': 0, 'score': 0.55} for one in found[::7]]
    found += [one | {'bbox': [90, 90, 5, 5], 'score': 0.65} for one in found[::11]]
    check(truth, found, 'bbox', score_thr)


def test_real_masks(real_data):
    truth, _ = read_json(real_data('balloon_maskrcnn_pair/gt.json'), '')
    found, _ = read_json(real_data('balloon_maskrcnn_pair/results.json'), '')
    found = [{key: value for key, value in one.items() if key != 'bbox'} for one in found]
    check(truth, found, 'segm', 0.3)


def test_limit_of_detections():
    truth, found = made_up()
    rows = rows_of(evaluate_occlusion(truth, found, max_dets=1))
    kept = {}
    for i, one in enumerate(found):
        key = one['image_id'], one['category_id']
        kept[key] = max(kept.get(key, i), i, key=lambda k: (found[k]['score'], -k))
    used = {row['detection'] for row in rows if row['kind'] == 'instance'} - {None}
    assert used <= set(kept.values())


def test_ignored_annotations_and_crowds_have_no_row():
    truth, found = made_up()
    truth['annotations'][3]['ignore'] = 1
    ids = {row['annotation_id'] for row in rows_of(evaluate_occlusion(truth, found)) if row['kind'] == 'instance'}
    assert ids == {entry['id'] for entry in truth['annotations'] if not entry['iscrowd'] and not entry.get('ignore')}


def test_detectors_stand_behind_each_other():
    truth, found = made_up()
    both = rows_of(compare_occlusion(truth, found, found[::2], names=['a', 'b']))
    alone = rows_of(evaluate_occlusion(truth, found[::2], name='b'))
    assert [row for row in both if row['detector'] == 'b'] == alone
    assert both[0]['detector'] == 'a'


def test_keys_and_bins():
    truth, found = made_up()
    for i, entry in enumerate(truth['annotations']):
        entry['level'] = ('low', 'high', None)[i % 3]
    for i, image in enumerate(truth['images']):
        image['crowd'] = i % 3 / 2
    given = {entry['id']: entry['level'] for entry in truth['annotations']}
    for row in rows_of(evaluate_occlusion(truth, found, by='level')):
        if row['kind'] == 'instance':
            assert row['occlusion'] == given[row['annotation_id']]
            assert row['bin'] == (row['occlusion'] or 'no level')
        else:
            assert (row['occlusion'], row['bin']) == (None, None)
    crowds = {image['id']: image['crowd'] for image in truth['images']}
    for row in rows_of(evaluate_occlusion(truth, found, by='image.crowd')):
        assert row['image_occlusion'] == crowds[row['image_id']]
        assert row['bin'] == {0: '0', 0.5: '[.4, .6)', 1: '[.8, 1]'}[row['image_occlusion']]


def test_nothing_at_all():
    truth, _ = made_up()
    nothing = evaluate_occlusion(truth, [], strict=False)
    assert {row['error'] for row in rows_of(nothing)} == {'missed'}
    truth['annotations'] = []
    assert rows_of(evaluate_occlusion(truth, [], strict=False)) == []
