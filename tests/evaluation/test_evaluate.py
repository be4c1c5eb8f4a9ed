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
from mmtied.evaluation.engine import ENGINES

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


def rows_of(result) -> list:
    return [result.all, *result.bins, result.unassigned]


def check_equals_reference(truth, found, iou_type):
    results = [evaluate_occlusion(truth, found, iou_type, engine=engine) for engine in ENGINES]
    parts: dict[str, list] = {row.label: [] for row in rows_of(results[0])}
    for image_id, _, label in results[0].manifest():
        parts['all'].append(image_id)
        parts[label].append(image_id)
    assert sum(row.images for row in rows_of(results[0])[1:]) == len(truth['images'])
    for rows in zip(*map(rows_of, results)):
        ids = parts[rows[0].label]
        wanted = reference(truth, found, iou_type, ids) if ids else dict.fromkeys(SCORES, -1)
        wanted = {key: value if value > -1 else np.nan for key, value in wanted.items()}
        for row in rows:
            scores = {key: getattr(row, key) for key in SCORES}
            assert scores == pytest.approx(wanted, abs=1e-6, nan_ok=True), row.label


@pytest.mark.parametrize('truth, found, iou_types', PAIRS)
def test_real_pairs_equal_the_reference(real_data, truth, found, iou_types):
    truth, _ = read_json(real_data(truth), '')
    found, _ = read_json(real_data(found), '')
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


def numbers(result) -> list[dict]:
    return [row.to_dict() for row in rows_of(result)]


@pytest.mark.parametrize('engine', ENGINES)
def test_dirt_changes_nothing(engine):
    truth, found = made_up()
    wanted = numbers(evaluate_occlusion(truth, found, engine=engine))
    for i, annotation in enumerate(truth['annotations']):
        annotation |= {'id': i, 'area': None, 'attributes': {'x': object}, 'iscrowd': bool(annotation['iscrowd'])}
        annotation['bbox'] = [str(value) for value in annotation['bbox']]
        del annotation['segmentation']
    for image in truth['images']:
        image |= {'id': float(image['id']), 'width': '?', 'license': []}
    for i, detection in enumerate(found):
        detection |= {'id': 'a', 'area': -1, 'segmentation': i % 2 or None}
    del truth['categories'][0]['name']
    assert numbers(evaluate_occlusion(truth, found, engine=engine)) == wanted


@pytest.mark.parametrize('engine', ENGINES)
@pytest.mark.parametrize('rename', [lambda i: 2**60 + i, lambda i: i - 1000, lambda i: f'image {i:04}'])
def test_any_ids_will_do(engine, rename):
    truth, found = made_up()
    wanted = numbers(evaluate_occlusion(truth, found, engine=engine))
    for image in truth['images']:
        image['id'] = rename(image['id'])
    for entry in (*truth['annotations'], *found):
        entry['image_id'] = rename(entry['image_id'])
    result = evaluate_occlusion(truth, found, engine=engine)
    assert numbers(result) == wanted
    assert next(result.manifest())[0] == rename(100)


def test_annotations_of_unlisted_images_are_left_out_and_counted():
    truth, found = made_up()
    wanted = evaluate_occlusion(truth, found)
    truth['annotations'].append(truth['annotations'][0] | {'image_id': 5})
    result = evaluate_occlusion(truth, found)
    assert numbers(result) == numbers(wanted)
    assert '1 annotations belong to no listed image' in str(result)


def test_empty_results_and_images_without_instances():
    truth, _ = made_up()
    for engine in ENGINES:
        result = evaluate_occlusion(truth, [], engine=engine)
        assert result.all.AP == 0
        assert (result.unassigned.instances, result.unassigned.to_dict()['AP']) == (0, None)
        assert result.unassigned.images > 0


def test_no_ground_truth_at_all():
    truth, found = made_up()
    truth['annotations'] = []
    for engine in ENGINES:
        assert np.isnan(evaluate_occlusion(truth, found, engine=engine).all.AP)


def test_content():
    truth, found = made_up()
    result = evaluate_occlusion(truth, found, bins=OcclusionBins((0, 0.5, 1), zero_bin=False))
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert list(content) == ['all', 'bins', 'unassigned', 'settings']
    assert [(row['lower'], row['upper']) for row in content['bins']] == [(0, 0.5), (0.5, 1)]
    assert content['all']['classes'] == 3
    manifest = list(result.manifest())
    assert [image_id for image_id, *_ in manifest] == [image['id'] for image in truth['images']]
    assert {label for _, ratio, label in manifest if ratio is None} == {'no instances'}
    table = str(result)
    assert f'{100 * result.all.AP:.1f}' in table
    assert 'Fewer than 50 images' in table
    assert 'crowd regions are no instances' in table


def test_a_detector_in_training_may_err():
    """Scores beyond 1 and boxes of negative size are errors in a file, but not in mmdet's loop."""
    truth, found = made_up()
    found[0] |= {'score': 1.3, 'bbox': [1, 2, -0.1, 4]}
    with pytest.raises(InputError):
        evaluate_occlusion(truth, found)
    wanted = reference(truth, found, 'bbox', [image['id'] for image in truth['images']])
    for engine in ENGINES:
        assert pytest.approx(wanted['AP']) == evaluate_occlusion(truth, found, engine=engine, strict=False).all.AP


MASK = {'size': [100, 100], 'counts': 'PPP0'}


@pytest.mark.parametrize('spoil, sentence', [
    (lambda gt, dt: (dt, gt), 'a ground truth is a json object, found list; are the files swapped?'),
    (lambda gt, dt: (gt, gt), 'results are a json list of detections, found dict'),
    (lambda gt, dt: (gt | {'images': None}, dt), "'images' must be a list, found nothing"),
    (lambda gt, dt: (gt | {'categories': []}, dt), "'categories' is empty"),
    (lambda gt, dt: (gt | {'images': gt['images'] * 2}, dt), 'images: id 100 is given twice'),
    (lambda gt, dt: (gt | {'images': [], 'annotations': []}, []), "'images' is empty"),
    (lambda gt, dt: (gt | {'images': [{'id': [1]}]}, dt), r"images\[0\]: 'id' is \[1\]"),
    (lambda gt, dt: (gt, [*dt[:3], dt[0] | {'image_id': 5}]), r'results\[3\]: image_id=5 is not among the images'),
    (lambda gt, dt: (gt, [dt[0] | {'image_id': [5]}]), r"results\[0\]: 'image_id' is \[5\], it must be an id"),
    (lambda gt, dt: (gt, [dt[0] | {'category_id': 5}]), r'results\[0\]: category_id=5 is not among the categories'),
    (lambda gt, dt: (gt, [dt[0] | {'score': float('nan')}]), r"results\[0\]: 'score' is nan, it must be a number"),
    (lambda gt, dt: (gt, [dt[0] | {'score': 1.5}]), r'results\[0\]: score=1.5 must lie in \[0, 1\]'),
    (lambda gt, dt: (gt, [dt[0] | {'bbox': [1, 2, -3, 4]}]), r'results\[0\].*must not be negative'),
    (lambda gt, dt: (gt, [dt[0] | {'bbox': [1, 2, 3]}]), r"results\[0\]: 'bbox' is \[1, 2, 3\]"),
    (lambda gt, dt: (gt, [{k: v for k, v in dt[0].items() if k != 'score'}]), r"results\[0\] has no 'score'"),
    (lambda gt, dt: (gt, [dt[0], 7]), r'results\[1\] must be an object, found int'),
    (lambda gt, dt: (gt | {'annotations': [{}]}, dt), r"annotations\[0\] has no 'image_id'"),
    (lambda gt, dt: (gt | {'annotations': [gt['annotations'][0] | {'category_id': 5}]}, dt), r'annotations\[0\]: cat'),
])  # fmt: skip
def test_bad_input_is_one_sentence(spoil, sentence):
    truth, found = spoil(*made_up())
    with pytest.raises(InputError, match=sentence) as error:
        evaluate_occlusion(truth, found, 'bbox')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize('segmentation, sentence', [
    (None, 'must be a run-length encoding or a list of polygons'),
    (MASK | {'size': [50, 100]}, r'is of size \[50, 100\], the image is of height and width \[100, 100\]'),
    (MASK | {'counts': 5}, 'has no counts'),
    ([[1, 2, 3, 4, 5, 6, 7]], 'holds a polygon that is not three or more points'),
    ([[1, 2, 3, 4]], 'holds a polygon that is not three or more points'),
    ([['a'] * 6], r"holds \['a', 'a', .* which is no polygon"),
])  # fmt: skip
def test_bad_masks(segmentation, sentence):
    truth, found = made_up()
    with pytest.raises(InputError, match=rf"results\[0\]: 'segmentation' {sentence}"):
        evaluate_occlusion(truth, [found[0] | {'segmentation': segmentation}], 'segm')


def test_masks_need_the_size_of_the_image():
    truth, _ = made_up()
    del truth['images'][3]['width']
    with pytest.raises(InputError, match=r"images\[3\] has no 'width'"):
        evaluate_occlusion(truth, [], 'segm')


@pytest.mark.parametrize('argument', [dict(engine='coco'), dict(iou_type='keypoints')])
def test_bad_arguments(argument):
    with pytest.raises(ValueError, match=next(iter(argument))):
        evaluate_occlusion(*made_up(), **argument)
