"""AP per bin: both engines, the reference API run on each bin, and input as users have it."""

import contextlib
import copy
import io
import json

import numpy as np
import pytest
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmtied.evaluation import InputError, OcclusionBins, evaluate_occlusion
from mmtied.evaluation.coco_input import read_json

PAIRS = [
    ('voc100_pair/gt.json', 'voc100_pair/results.json', ('bbox',)),
    ('balloon_maskrcnn_pair/gt.json', 'balloon_maskrcnn_pair/results.json', ('bbox', 'segm')),
    (
        'cocoapi_val2014_100/instances_val2014_100.json',
        'cocoapi_val2014_100/instances_val2014_fakebbox100_results.json',
        ('bbox',),
    ),
    (
        'cocoapi_val2014_100/instances_val2014_100.json',
        'cocoapi_val2014_100/instances_val2014_fakesegm100_results.json',
        ('segm',),
    ),
]
SCORES = ('AP', 'AP50', 'AP75', 'AR')


def made_up(seed: int = 0, images: int = 40) -> tuple[dict, list]:
    """Boxes of three classes with jittered, doubled and missed detections, one crowd, ids that start anywhere."""
    rng = np.random.default_rng(seed)
    truth = {'images': [], 'annotations': [], 'categories': [{'id': i, 'name': f'class {i}'} for i in (0, 3, 9)]}
    found = []
    for i in range(images):
        truth['images'].append({'id': 100 + 7 * i, 'width': 100, 'height': 100})
        for _ in range(rng.integers(0, 7)):
            x, y, w, h = (*rng.integers(0, 60, 2).tolist(), *rng.integers(8, 40, 2).tolist())
            entry = {'image_id': 100 + 7 * i, 'category_id': int(rng.choice([0, 3, 9])), 'bbox': [x, y, w, h]}
            crowd = int(rng.random() < 0.05)
            annotation = entry | {'id': len(truth['annotations']) + 1, 'iscrowd': crowd, 'area': w * h}
            annotation['segmentation'] = [[x, y, x + w, y, x + w, y + h, x, y + h]]
            truth['annotations'].append(annotation)
            for _ in range(rng.integers(0, 3)):
                box = (np.array(entry['bbox']) + rng.normal(0, 2, 4)).clip(0.5).tolist()
                found.append(entry | {'bbox': box, 'score': round(rng.random(), 2)})
    return truth, found


def reference(truth: dict, found: list, iou_type: str, ids: list[int]) -> dict[str, float]:
    """An ordinary evaluation with the reference API on the given images."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(truth)
        gt.createIndex()
        evaluation = COCOeval(gt, gt.loadRes(copy.deepcopy(found)), iou_type)
        evaluation.params.imgIds = ids
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(SCORES, evaluation.stats[[0, 1, 2, 8]]))


def check_equals_reference(truth, found, iou_type):
    results = {
        engine: evaluate_occlusion(truth, found, (iou_type,), engine=engine) for engine in ('hotcoco', 'pycocotools')
    }
    result = results['hotcoco']
    parts = {'all': list(result.ratios), **result.bins.split(result.ratios)}
    assert sum(row.images for row in result.scores[iou_type][1:]) == len(truth['images'])
    for rows in zip(*(result.scores[iou_type] for result in results.values())):
        wanted = (
            reference(truth, found, iou_type, parts[rows[0].bin]) if parts[rows[0].bin] else dict.fromkeys(SCORES, -1)
        )
        for row in rows:
            assert {key: getattr(row, key) for key in SCORES} == pytest.approx(wanted, abs=1e-6), row.bin


@pytest.mark.parametrize('truth, found, iou_types', PAIRS)
def test_real_pairs_equal_the_reference(real_data, truth, found, iou_types):
    truth, _ = read_json(real_data(truth))
    found, _ = read_json(real_data(found))
    for iou_type in iou_types:
        check_equals_reference(truth, found, iou_type)


@pytest.mark.parametrize('seed', range(5))
def test_made_up_data_equals_the_reference(seed):
    check_equals_reference(*made_up(seed), 'bbox')


def test_made_up_masks_equal_the_reference():
    truth, found = made_up()
    for detection in found:
        x, y, w, h = detection.pop('bbox')
        polygon = [x, y, x + w, y, x + w, y + h, x, y + h]
        detection['segmentation'] = mask.merge(mask.frPyObjects([polygon], 100, 100))
    check_equals_reference(truth, found, 'segm')


@pytest.mark.parametrize('engine', ['hotcoco', 'pycocotools'])
def test_dirt_changes_nothing(engine):
    truth, found = made_up()
    wanted = evaluate_occlusion(truth, found, engine=engine)
    for i, annotation in enumerate(truth['annotations']):
        annotation |= {'id': i, 'area': None, 'attributes': {'x': object}, 'iscrowd': bool(annotation['iscrowd'])}
        annotation['bbox'] = [str(value) for value in annotation['bbox']]
        del annotation['segmentation']
    for image in truth['images']:
        image |= {'id': float(image['id']), 'width': '?', 'license': []}
    for i, detection in enumerate(found):
        detection |= {'id': 'a', 'area': -1, 'segmentation': i % 2 or None}
    del truth['categories'][0]['name']
    assert evaluate_occlusion(truth, found, ('bbox',), engine=engine).scores == wanted.scores


def test_empty_results_and_images_without_instances():
    truth, _ = made_up()
    for engine in ('hotcoco', 'pycocotools'):
        result = evaluate_occlusion(truth, [], engine=engine)
        first, *_, last = result.scores['bbox']
        assert first.AP == 0
        assert (last.bin, last.instances, last.AP) == ('no instances', 0, -1)
        assert last.images > 0


def test_no_ground_truth_at_all():
    truth, found = made_up()
    truth['annotations'] = []
    for engine in ('hotcoco', 'pycocotools'):
        assert evaluate_occlusion(truth, found, engine=engine).scores['bbox'][0].AP == -1


def test_content():
    truth, found = made_up()
    result = evaluate_occlusion(truth, found, bins=OcclusionBins((0, 0.5, 1)))
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert [image['image_id'] for image in content['images']] == [image['id'] for image in truth['images']]
    assert {image['bin'] for image in content['images'] if image['ratio'] is None} == {'no instances'}
    assert [row['bin'] for row in content['scores']['bbox']] == ['all', '[0, .5)', '[.5, 1]', 'no instances']
    table = str(result)
    assert f'{100 * result.scores["bbox"][0].AP:.1f}' in table
    assert 'Fewer than 50 images' in table


@pytest.mark.parametrize('spoil, sentence', [
    (lambda gt, dt: (dt, gt), 'a ground truth is a json object, found list; are the files swapped?'),
    (lambda gt, dt: (gt, gt), 'results are a json list of detections, found dict'),
    (lambda gt, dt: (gt | {'images': None}, dt), "'images' must be a list, found nothing"),
    (lambda gt, dt: (gt | {'categories': []}, dt), "'categories' is empty"),
    (lambda gt, dt: (gt | {'images': gt['images'] * 2}, dt), 'images: id 100 is given twice'),
    (lambda gt, dt: (gt | {'images': [], 'annotations': []}, []), "'images' is empty"),
    (lambda gt, dt: (gt, [*dt[:3], dt[0] | {'image_id': 5}]), r'results\[3\]: image_id=5 is not among the images'),
    (lambda gt, dt: (gt, [dt[0] | {'category_id': 5}]), r'results\[0\]: category_id=5 is not among the categories'),
    (lambda gt, dt: (gt, [dt[0] | {'score': float('nan')}]), r"results\[0\]: 'score' is nan, it must be a number"),
    (lambda gt, dt: (gt, [dt[0] | {'score': 1.5}]), r'results\[0\]: score=1.5 must lie in \[0, 1\]'),
    (lambda gt, dt: (gt, [dt[0] | {'bbox': [1, 2, -3, 4]}]), r'results\[0\].*must not be negative'),
    (lambda gt, dt: (gt, [dt[0] | {'bbox': [1, 2, 3]}]), r"results\[0\]: 'bbox' is \[1, 2, 3\]"),
    (lambda gt, dt: (gt, [{k: v for k, v in dt[0].items() if k != 'score'}]), r"results\[0\] has no 'score'"),
    (lambda gt, dt: (gt, [dt[0], 7]), r'results\[1\] must be an object, found int'),
    (lambda gt, dt: (gt | {'annotations': [{}]}, dt), r"annotations\[0\] has no 'image_id'"),
])  # fmt: skip
def test_bad_input_is_one_sentence(spoil, sentence):
    truth, found = spoil(*made_up())
    with pytest.raises(InputError, match=sentence) as error:
        evaluate_occlusion(truth, found, ('bbox',))
    assert '\n' not in str(error.value)


def test_masks_are_needed_for_segm():
    truth, found = made_up()
    with pytest.raises(InputError, match=r"results\[0\]: 'segmentation' must be"):
        evaluate_occlusion(truth, found, ('segm',))


@pytest.mark.parametrize('argument', [dict(engine='coco'), dict(iou_types=('keypoints',))])
def test_bad_arguments(argument):
    with pytest.raises(ValueError, match=str(next(iter(argument)))):
        evaluate_occlusion(*made_up(), **argument)
