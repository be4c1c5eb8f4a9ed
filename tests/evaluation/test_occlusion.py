"""AP per bin: both engines, the reference API run on each bin, and input as users have it."""

import json

import numpy as np
import pytest
from made_up import SCORES, by_area_ranges, made_up, polygon, reference
from pycocotools import mask

from mmtied.coco.coco_json import check_ground_truth, read_json
from mmtied.evaluation import InputError, OcclusionBins, compare_occlusion, evaluate_occlusion, instance_ratios
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
        detection['segmentation'] = mask.merge(mask.frPyObjects(polygon(x, y, w, h), 100, 100))
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
    truth['annotations'].append(truth['annotations'][0] | {'image_id': 5, 'id': 10**6})
    result = evaluate_occlusion(truth, found)
    assert numbers(result) == numbers(wanted)
    assert '1 annotation belongs to no listed image and is left out' in str(result)


def test_empty_results_and_images_without_instances():
    truth, _ = made_up()
    for engine in ENGINES:
        result = evaluate_occlusion(truth, [], engine=engine, strict=False)
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
    assert list(content) == ['all', 'bins', 'unassigned', 'settings', 'name', 'remarks', 'notes']
    assert content['settings']['edges'] == [0, 0.5, 1]
    assert content['settings']['definition'] == 'covered'
    assert [(row['lower'], row['upper']) for row in content['bins']] == [(0, 0.5), (0.5, 1)]
    assert content['all']['classes'] == 3
    manifest = list(result.manifest())
    assert [image_id for image_id, *_ in manifest] == [image['id'] for image in truth['images']]
    assert {label for _, ratio, label in manifest if ratio is None} == {'no instances'}
    table = str(result)
    assert f'{100 * result.all.AP:.1f}' in table
    assert 'Fewer than 50 images' in table
    assert 'crowd regions do not count as instances' in table


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


@pytest.mark.parametrize(
    'spoil, sentence',
    [
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
        (lambda gt, dt: (gt | {'annotations': gt['annotations'] * 2}, dt), 'annotations: id 1 is given twice'),
        (lambda gt, dt: (gt, [dt[0] | {'bbox': None}]), r"results\[0\] has no 'bbox'"),
        (lambda gt, dt: (gt, []), 'results: contains no detections'),
        (lambda gt, dt: (gt | {'images': [{'id': float('nan')}]}, dt), 'images: id nan is not a number'),
        (
            lambda gt, dt: (gt | {'annotations': [gt['annotations'][0] | {'image_id': None}]}, dt),
            r"annotations\[0\] has no 'image_id'",
        ),
        (
            lambda gt, dt: (gt | {'annotations': [gt['annotations'][0] | {'image_id': '100'}]}, dt),
            'none of the image_ids is among the images, for instance image_id=100',
        ),
        (lambda gt, dt: (gt, [dt[0] | {'image_id': 'a\nb' * 999}]), 'image_id=a ba b.* is not among the images'),
        (
            lambda gt, dt: (gt | {'annotations': [gt['annotations'][0] | {'iscrowd': 'no'}]}, dt),
            "'iscrowd' is no, it must",
        ),
        (
            lambda gt, dt: (gt | {'annotations': [gt['annotations'][0] | {'bbox': [0, 0, 1e300, 4]}]}, dt),
            r"annotations\[0\]: 'bbox' is \[0.0, 0.0, 1e\+300, 4.0\], it must lie within 1,000,000 pixels",
        ),
        (
            lambda gt, dt: (gt | {'annotations': [gt['annotations'][0] | {'category_id': 5}]}, dt),
            r'annotations\[0\]: cat',
        ),
    ],
)
def test_bad_input_is_one_sentence(spoil, sentence):
    truth, found = spoil(*made_up())
    with pytest.raises(InputError, match=sentence) as error:
        evaluate_occlusion(truth, found, 'bbox')
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    'segmentation, sentence',
    [
        (None, 'must be a run-length encoding or a list of polygons'),
        (MASK | {'size': [50, 100]}, r'has size \[50, 100\], but the image has height and width \[100, 100\]'),
        (MASK | {'counts': 5}, 'has no counts'),
        (MASK, 'has counts that do not add up to the pixels of its size'),
        (MASK | {'counts': [1, 2]}, 'has counts that do not add up'),
        (MASK | {'counts': [-1, 10001]}, 'has counts that are not all whole numbers'),
        ([[1, 2, 3, 4, 5, 6, 7]], 'holds a polygon that is not three or more points'),
        ([[1, 2, 3, 4]], 'holds a polygon that is not three or more points'),
        ([['a'] * 6], r"holds \['a', 'a', .* which is not a polygon"),
        ([['1'] * 6], r"holds \['1', '1', .* which is not a polygon"),
        ([{}], 'holds {}, which is not a polygon'),
        ([[0, 0, 1e9, 0, 1e9, 1e9]], 'holds a polygon that does not lie within 1,000,000 pixels'),
        ({'size': [100.0, 100.0], 'counts': [10000]}, r'has size \[100.0, 100.0\], but the image has'),
        ({'size': [100, 100], 'counts': [True, 9999]}, 'has counts that are not all whole numbers'),
    ],
)
def test_bad_masks(segmentation, sentence):
    truth, found = made_up()
    with pytest.raises(InputError, match=rf"results\[0\]: 'segmentation' {sentence}"):
        evaluate_occlusion(truth, [found[0] | {'segmentation': segmentation}], 'segm')


def test_masks_need_the_size_of_the_image():
    truth, found = made_up()
    del truth['images'][3]['width']
    with pytest.raises(InputError, match=r"images\[3\] has no 'width'"):
        evaluate_occlusion(truth, found, 'segm')
    with pytest.raises(InputError, match=r"images\[3\] has no 'width'"):
        evaluate_occlusion(truth, found, 'bbox', definition='hybrid')


@pytest.mark.parametrize('width', [0, -5, 9.5, 10**9])
def test_masks_need_a_size_that_makes_sense(width):
    truth, found = made_up()
    truth['images'][3]['width'] = width
    with pytest.raises(InputError, match=r"images\[3\]: 'width' is .*, it must be a whole number of pixels from 1"):
        evaluate_occlusion(truth, found, 'segm')


@pytest.mark.parametrize('engine', ENGINES)
def test_instances_equal_the_area_ranges_of_the_reference(engine):
    truth, found = made_up(images=80)
    result = evaluate_occlusion(truth, found, per_instance=True, engine=engine)
    checked = check_ground_truth(truth, '')
    indices = OcclusionBins().assign(instance_ratios(checked))
    wanted = by_area_ranges(truth, found, indices, len(result.bins))
    for i, row in enumerate(result.bins):
        scores = {key: getattr(row, key) for key in SCORES}
        assert scores == pytest.approx(wanted[i], abs=1e-6, nan_ok=True), row.label
        assert row.instances == (indices == i).sum()
        assert row.images == len(np.unique(checked.image[indices == i]))
    ids = [image['id'] for image in truth['images']]
    assert pytest.approx(reference(truth, found, 'bbox', ids)['AP'], abs=1e-6) == result.all.AP


def test_cumulative_rows_equal_the_reference_on_their_images():
    truth, found = made_up()
    result = evaluate_occlusion(truth, found, bins=OcclusionBins((0, 0.2, 0.5, 1), cumulative=True))
    ids = np.array([image['id'] for image in truth['images']])
    tests = [result.ratios >= 0, result.ratios > 0, result.ratios >= 0.2, result.ratios >= 0.5]
    assert len(result.bins) == len(tests)
    for row, chosen in zip(result.bins, tests):
        assert row.images == chosen.sum()
        assert pytest.approx(row.AP, abs=1e-6) == reference(truth, found, 'bbox', ids[chosen].tolist())['AP']
    assert {label for *_, label in result.manifest()} <= {row.label for row in result.bins} | {'no instances'}


def test_detectors_are_told_apart(tmp_path):
    truth, found = made_up()
    for name in ('a', 'b'):
        (tmp_path / name).mkdir()
        (tmp_path / name / 'results.json').write_text(json.dumps(found))
    files = tmp_path / 'a' / 'results.json', tmp_path / 'b' / 'results.json'
    assert [result.name for result in compare_occlusion(truth, *files).models] == ['a/results', 'b/results']
    assert [result.name for result in compare_occlusion(truth, found, found).models] == ['detector 1', 'detector 2']
    with pytest.raises(ValueError, match='must be two different names'):
        compare_occlusion(truth, found, found, names=['a', 'a'])
    for names in (['a', 'b'], ['a', 'b', 'a']):
        with pytest.raises(ValueError, match='must be 3 different names'):
            compare_occlusion(truth, found, found, more=[found], names=names)
    with pytest.raises(ValueError, match='none of them empty'):
        compare_occlusion(truth, found, found, names=['a', ' '])
    lines = compare_occlusion(truth, found, found, more=files[0], names=['a', 'b\nof two lines', 'c'])
    assert [result.name for result in lines.models] == ['a', 'b of two lines', 'c']
    with pytest.raises(ValueError, match='9 detectors are too many: at most 8'):
        compare_occlusion(truth, found, found, more=[found] * 7)


def test_classes_of_one_name_are_told_apart():
    truth, found = made_up()
    for category in truth['categories']:
        category['name'] = 'same'
    result = evaluate_occlusion(truth, found, per_class=True)
    assert set(result.all.per_class) == {'same (0)', 'same (3)', 'same (9)'}


@pytest.mark.parametrize('engine', ENGINES)
def test_classes_equal_the_reference_on_each_class_alone(engine):
    truth, found = made_up()
    result = evaluate_occlusion(truth, found, engine=engine, per_class=True)
    parts = {row.label: [] for row in rows_of(result)}
    for image_id, _, label in result.manifest():
        parts['all'].append(image_id)
        parts[label].append(image_id)
    for row in (result.all, *result.bins):
        assert len(row.per_class) == row.classes
        for category in truth['categories']:
            if category['name'] in row.per_class:
                only = truth | {'categories': [category]}
                only['annotations'] = [a for a in truth['annotations'] if a['category_id'] == category['id']]
                of_class = [detection for detection in found if detection['category_id'] == category['id']]
                wanted = reference(only, of_class, 'bbox', parts[row.label])
                scores = row.per_class[category['name']]
                assert pytest.approx((wanted['AP'], wanted['AP75']), abs=1e-6) == (scores.AP, scores.AP75)


@pytest.mark.parametrize(
    'options', [dict(definition='hybrid'), dict(definition='pairwise'), dict(region='segm'), dict(same_class=True)]
)
def test_how_images_are_binned_does_not_change_the_whole_set(options):
    truth, found = made_up()
    plain, result = evaluate_occlusion(truth, found), evaluate_occlusion(truth, found, **options)
    assert result.all == plain.all
    assert sum(row.images for row in rows_of(result)[1:]) == len(truth['images'])


def test_what_is_said_of_the_edges():
    truth, found = made_up()
    truth['annotations'] = [entry for entry in truth['annotations'] if not entry['iscrowd']]
    for annotation in truth['annotations']:
        annotation['bbox'] = [0, 0, 9, 9]  # n boxes in one place: n (n - 1) / 2 pairs, n areas
    counts = np.unique([entry['image_id'] for entry in truth['annotations']], return_counts=True)[1]
    ratios = (counts - 1) / 2
    said = str(evaluate_occlusion(truth, found, definition='pairwise'))
    assert f'{(ratios > 1).sum()} images lie above 1, up to {ratios.max():.2f}; the last bin includes them.' in said
    assert f'No image falls into (0, .2), [.2, .4), [.6, .8): the largest ratio is {ratios.max():.3g}.' in said
    said = str(evaluate_occlusion(truth, found, bins=OcclusionBins((0, 1, 2))))
    assert 'No image can reach an edge above 1: `covered` is at most 1.' in said


def test_two_detectors():
    truth, found = made_up()
    half = found[::2]
    options = dict(bootstrap=20, random_subsets=10, seed=3, per_class=True)
    both = compare_occlusion(truth, found, half, names=['one', 'two'], **options)
    first, second = evaluate_occlusion(truth, found, **options), evaluate_occlusion(truth, half, **options)
    for result, alone in ((both.first, first), (both.second, second)):
        assert numbers(result) == numbers(alone)
    for row, one, two in zip((both.all, *both.bins), (first.all, *first.bins), (second.all, *second.bins)):
        for score in SCORES:
            assert getattr(row, score) == pytest.approx(getattr(two, score) - getattr(one, score), nan_ok=True)
    content = json.loads(json.dumps(both.to_dict(), allow_nan=False))
    assert content['all'] == json.loads(json.dumps(first.all.to_dict()))
    assert content['second']['name'] == 'two'
    assert len(content['difference']['bins']) == len(content['bins'])
    assert 'two less one, on the same images' in str(both)


def test_each_of_several_is_compared_with_the_first_as_if_it_were_alone():
    truth, found = made_up()
    sources = {'one': found, 'two': found[::2], 'three': found[1::2], 'four': found[::3]}
    options = dict(bootstrap=20, random_subsets=5, seed=3)
    first, second, *more = sources.values()
    together = compare_occlusion(truth, first, second, more=more, names=list(sources), **options)
    content, tables = together.to_dict(), [table.title for table in together.tables()]
    assert tables[:2] == ['AP of each detector', 'AP75 of each detector']
    assert [one['name'] for one in content['others']] == list(sources)[1:]
    for k, (name, source) in enumerate(list(sources.items())[1:]):
        pair = compare_occlusion(truth, found, source, names=['one', name], **options)
        assert together.differences[k].to_dict() == pair.differences[0].to_dict()
        assert numbers(together.results[1 + k]) == numbers(pair.second)
        assert content['others'][k]['difference'] == pair.to_dict()['difference']
        assert 'others' not in pair.to_dict()
        assert tables[2 + k] == f'{name} less one, on the same images'
    assert (together.second, together.all) == (together.results[1], together.differences[0].all)
    overview = together.tables()[0]
    assert overview.columns['detector'] == list(sources)
    assert overview.columns['(0, .2)'] == [f'{100 * result.bins[1].AP:.1f}' for result in together.results]
    models = {record['model'] for record in together.records()}
    assert models == {*sources, 'two less one', 'three less one', 'four less one'}


def test_what_not_all_detectors_say_has_their_names():
    truth, found = made_up()
    names = ['one', 'two', 'three']
    result = compare_occlusion(truth, found, found[:1], more=[found[::2]], names=names, max_dets=1)
    said = [remark for remark in result.remarks() if 'beyond' in remark]
    assert [remark.partition(':')[0] for remark in said] == ['one', 'three']
    assert sum('Fewer than 50 images' in remark for remark in result.remarks()) == 1
    assert sum(remark.startswith('Fewer') for remark in result.remarks()) == 1


def test_a_detector_against_itself_differs_by_nothing():
    truth, found = made_up()
    both = compare_occlusion(truth, found, found, bootstrap=20)
    for row in (both.all, *both.bins):
        if row.interval:
            assert [row.AP, *row.interval['AP']] == [0, 0, 0]


def test_table_of_records():
    truth, found = made_up()
    both = compare_occlusion(truth, found, found[::2], names=['one', 'two'], bootstrap=20, per_class=True)
    frame = both.to_pandas().set_index(['model', 'bin', 'class'])
    assert frame.loc[('one', '(0, .2)', None), 'AP'] == both.first.bins[1].AP
    assert frame.loc[('two', 'all', 'class 3'), 'AP75'] == both.second.all.per_class['class 3'].AP75
    assert frame.loc[('two less one', 'all', None), 'AP_low'] == both.all.interval['AP'][0]
    assert len(frame) == len(both.records())


@pytest.mark.parametrize(
    'argument',
    [
        dict(engine='coco'),
        dict(iou_type='keypoints'),
        dict(definition='iou'),
        dict(region='keypoints'),
        dict(bootstrap=-1),
        dict(random_subsets=-1),
        dict(seed=-1),
        dict(score_thr=2),
    ],
)
def test_bad_arguments(argument):
    with pytest.raises(ValueError, match=f'{next(iter(argument))}=.* must'):
        evaluate_occlusion(*made_up(), **argument)


@pytest.mark.parametrize(
    'arguments, sentence',
    [
        (dict(definition='hybrid', region='bbox'), 'region=.* for hybrid, which uses boxes and masks'),
        (dict(per_instance=True, definition='union'), 'for single instances'),
        (dict(per_instance=True, random_subsets=5), 'random_subsets are of images, but per_instance bins instances'),
    ],
)
def test_arguments_that_do_not_go_together(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluate_occlusion(*made_up(), **arguments)
