"""LVIS's rules: the numbers of lvis-api, of hotcoco's evaluation of LVIS, and of the rules written out."""

import copy
import json
import re
from collections import defaultdict

import hotcoco
import numpy as np
import pytest
import torch
from made_up import polygon

from mmtied.evaluation import (
    InputError,
    OcclusionBins,
    OcclusionSettings,
    compare_occlusion,
    evaluate_occlusion,
    object_table,
)
from mmtied.evaluation.metric import OcclusionMetric
from mmtied.evaluation.report.page import save_report

NAMES = ('AP', 'AP50', 'AP75', 'AR', 'APr', 'APc', 'APf')
THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)


def federated_set(seed: int = 0, images: int = 40, classes: int = 8) -> tuple[dict, list[dict]]:
    """Boxes of classes that each image was searched for or not, with jittered, wrong and unlabelled detections."""
    rng = np.random.default_rng(seed)
    categories = [{'id': 2 * i + 3, 'name': f'class {i}', 'frequency': 'rcf'[i % 3]} for i in range(classes)]
    ids = [category['id'] for category in categories]
    truth, found = {'images': [], 'annotations': [], 'categories': categories}, []
    for i in range(images):
        present = rng.choice(ids, rng.integers(0, 5), replace=False).tolist()
        absent = [id for id in ids if id not in present]
        negative = rng.choice(absent, rng.integers(0, 3), replace=False).tolist()
        some = [id for id in present if rng.random() < 0.3] + [id for id in negative if rng.random() < 0.2]
        image = {'id': 5 * i + 2, 'width': 100, 'height': 100}
        truth['images'].append(image | {'neg_category_ids': negative, 'not_exhaustive_category_ids': some})
        for id in present:
            for _ in range(rng.integers(1, 4)):
                x, y, w, h = (*rng.integers(0, 60, 2).tolist(), *rng.integers(6, 40, 2).tolist())
                entry = {'image_id': image['id'], 'category_id': id, 'bbox': [x, y, w, h]}
                annotation = entry | {'id': len(truth['annotations']) + 1, 'area': w * h}
                truth['annotations'].append(annotation | {'segmentation': polygon(x, y, w, h)})
                for _ in range(rng.integers(0, 4)):
                    box = (np.array(entry['bbox']) + rng.normal(0, 2, 4)).clip(0.5).round(1).tolist()
                    other = id if rng.random() < 0.8 else int(rng.choice(ids))
                    found.append(entry | {'bbox': box, 'category_id': other, 'score': round(float(rng.random()), 2)})
        for _ in range(4):
            x, y, w, h = (*rng.integers(0, 60, 2).tolist(), *rng.integers(6, 40, 2).tolist())
            entry = {'image_id': image['id'], 'category_id': int(rng.choice(ids)), 'bbox': [x, y, w, h]}
            found.append(entry | {'score': round(float(rng.random()), 2)})
    return truth, found


def masked(found: list[dict]) -> list[dict]:
    return [{**{k: v for k, v in entry.items() if k != 'bbox'}, 'segmentation': rle(entry['bbox'])} for entry in found]


def rle(box: list[float]) -> dict:
    x0, y0, x1, y1 = (round(v) for v in (box[0], box[1], box[0] + box[2], box[1] + box[3]))
    mask = np.zeros((100, 100), dtype=np.uint8, order='F')
    mask[max(y0, 0) : max(y1, y0 + 1), max(x0, 0) : max(x1, x0 + 1)] = 1
    encoded = hotcoco.mask.encode(mask)
    counts = encoded['counts']
    return {'size': [100, 100], 'counts': counts.decode() if isinstance(counts, bytes) else counts}


def written_out(truth: dict, found: list[dict], images: list[int], limit: int = 300) -> dict[str, float]:
    """LVIS's rules for boxes, detection by detection."""
    by_image = defaultdict(list)
    for entry in found:
        by_image[entry['image_id']].append(entry)
    labels, searched, open_ended = defaultdict(list), defaultdict(set), {}
    for entry in truth['annotations']:
        if entry['area'] > 0:
            labels[entry['image_id'], entry['category_id']].append(entry)
            searched[entry['image_id']].add(entry['category_id'])
    for image in truth['images']:
        searched[image['id']] |= set(image['neg_category_ids'])
        open_ended[image['id']] = set(image['not_exhaustive_category_ids'])
    precision, recall = {}, {}
    for category in truth['categories']:
        for threshold in THRESHOLDS:
            rows, count = [], 0
            for image in images:
                own = labels[image, category['id']]
                count += sum(not entry.get('ignore') for entry in own)
                best = sorted(by_image[image], key=lambda entry: -entry['score'])[:limit]
                best = [entry for entry in best if entry['category_id'] == category['id'] and area(entry['bbox']) > 0]
                if category['id'] not in searched[image]:
                    continue
                free = list(own)
                for entry in best:
                    hit = match(entry, free, threshold)
                    if hit is not None:
                        free = [one for one in free if one is not hit]
                        if not hit.get('ignore'):
                            rows.append((entry['score'], True))
                    elif category['id'] not in open_ended[image]:
                        rows.append((entry['score'], False))
            if count:
                rows.sort(key=lambda row: -row[0])
                right = np.cumsum([hit for _, hit in rows])
                values = right / np.arange(1, len(rows) + 1)
                reached = right / count
                at = [values[reached >= r].max(initial=0.0) for r in RECALLS]
                precision[category['id'], threshold] = np.mean(at)
                recall[category['id'], threshold] = reached[-1] if len(rows) else 0.0
    frequency = {category['id']: category['frequency'] for category in truth['categories']}

    def mean(values: dict, **only) -> float:
        kept = [
            value
            for (id, threshold), value in values.items()
            if threshold == only.get('threshold', threshold) and frequency[id] == only.get('frequency', frequency[id])
        ]
        return float(np.mean(kept)) if kept else float('nan')

    return {
        'AP': mean(precision),
        'AP50': mean(precision, threshold=THRESHOLDS[0]),
        'AP75': mean(precision, threshold=THRESHOLDS[5]),
        'AR': mean(recall),
        **{f'AP{group}': mean(precision, frequency=group) for group in 'rcf'},
    }


def area(box: list[float]) -> float:
    return box[2] * box[3]


def match(entry: dict, free: list[dict], threshold: float) -> dict | None:
    """Return the instance that a detection fits best, one that counts if there is any."""
    for ignored in (False, True):
        of_kind = [one for one in free if bool(one.get('ignore')) == ignored]
        fitting = [(iou(entry['bbox'], one['bbox']), i) for i, one in enumerate(of_kind)]
        fitting = [pair for pair in fitting if pair[0] >= threshold]
        if fitting:
            return of_kind[max(fitting)[1]]
    return None


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    common = max(width, 0) * max(height, 0)
    return common / (area(one) + area(other) - common)


def hotcoco_alone(truth: dict, found: list[dict], images: list[int], iou_type: str, limit: int = 300) -> dict:
    gt = hotcoco.LVIS(truth)
    evaluation = hotcoco.LVISEval(gt, hotcoco.LVISResults(gt, copy.deepcopy(found), max_dets=limit), iou_type)
    evaluation.params.img_ids = images
    evaluation.run()
    results = evaluation.get_results()
    return {name: without_none(results['AR@300' if name == 'AR' else name]) for name in NAMES}


def by_size(truth: dict, found: list[dict], images: list[int], iou_type: str) -> list[float]:
    gt = hotcoco.LVIS(truth)
    evaluation = hotcoco.LVISEval(gt, hotcoco.LVISResults(gt, copy.deepcopy(found)), iou_type)
    evaluation.params.img_ids = images
    evaluation.run()
    return [without_none(evaluation.get_results()[name]) for name in ('APs', 'APm', 'APl')]


def lvis_api(truth: dict, found: list[dict], images: list[int], iou_type: str, limit: int, path) -> dict:
    """lvis-api, whose last version names a type that numpy has no more."""
    lvis = pytest.importorskip('lvis', reason='needs lvis-api (pip install lvis)')
    path.write_text(json.dumps(truth))
    gt = lvis.LVIS(str(path))
    evaluation = lvis.LVISEval(gt, lvis.LVISResults(gt, copy.deepcopy(found), max_dets=limit), iou_type)
    evaluation.params.img_ids = images
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(np, 'float', float, raising=False)
        evaluation.run()
    return {name: without_none(evaluation.results['AR@300' if name == 'AR' else name]) for name in NAMES}


def without_none(value: float) -> float:
    return float('nan') if value == -1 else value


def scores(row) -> dict[str, float]:
    return {name: row.frequencies[name] if name in ('APr', 'APc', 'APf') else row.scores[name] for name in NAMES}


def same(one: dict, other: dict) -> bool:
    return one == pytest.approx(other, abs=1e-6, nan_ok=True)


def parts(result) -> list:
    """Each row with the ids of its images."""
    ids = np.array([image['id'] for image in result.ground_truth.images])
    inside = [result.image_bins == i for i in range(len(result.bins))]
    return [(result.all, ids.tolist()), *((row, ids[own].tolist()) for row, own in zip(result.bins, inside))]


BINS = OcclusionBins((0, 0.3, 1))


@pytest.mark.parametrize('engine', ['hotcoco', 'pycocotools'])
@pytest.mark.parametrize('seed', range(3))
def test_rules_written_out(seed, engine):
    truth, found = federated_set(seed)
    result = evaluate_occlusion(truth, found, 'bbox', BINS, lvis=True, engine=engine)
    for row, images in parts(result):
        assert row.images == len(images)
        assert same(scores(row), written_out(truth, found, images)), row.label


@pytest.mark.parametrize('limit', [300, 7])
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_as_hotcoco_evaluates_lvis_on_each_part_alone(iou_type, limit):
    truth, found = federated_set(5)
    found = masked(found) if iou_type == 'segm' else found
    result = evaluate_occlusion(truth, found, iou_type, BINS, lvis=True, max_dets=limit)
    for row, images in parts(result):
        assert same(scores(row), hotcoco_alone(truth, found, images, iou_type, limit)), row.label


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_sizes_are_those_of_hotcocos_lvis(iou_type):
    truth, found = federated_set(4)
    found = masked(found) if iou_type == 'segm' else found
    result = evaluate_occlusion(truth, found, iou_type, BINS, lvis=True, sizes=(0, 32, 96))
    for row, images in parts(result):
        cells = [cell.AP for cell in row.sizes]
        assert cells == pytest.approx(by_size(truth, found, images, iou_type), abs=1e-6, nan_ok=True), row.label


@pytest.mark.parametrize('limit', [300, 7])
@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_as_lvis_api_on_each_part_alone(iou_type, limit, tmp_path):
    truth, found = federated_set(6)
    boxes = found
    if iou_type == 'bbox':  # Neither counts, but hotcoco takes it as an instance and as a false positive.
        truth['annotations'][3]['area'] = 0
        found[::9] = [entry | {'bbox': [*entry['bbox'][:3], 0]} for entry in found[::9]]
    else:
        found = masked(boxes)
    truth['annotations'][5]['ignore'] = 1
    result = evaluate_occlusion(truth, found, iou_type, BINS, lvis=True, max_dets=limit)
    if iou_type == 'bbox':
        assert same(scores(result.all), written_out(truth, found, [image['id'] for image in truth['images']], limit))
    for row, images in parts(result):
        expected = lvis_api(truth, found, images, iou_type=iou_type, limit=limit, path=tmp_path / 'gt.json')
        assert same(scores(row), expected), row.label


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_engines_agree_also_for_single_instances(iou_type):
    truth, found = federated_set(7)
    found = masked(found) if iou_type == 'segm' else found
    options = {'lvis': True, 'per_instance': True, 'per_class': True}
    one, other = (
        evaluate_occlusion(truth, found, iou_type, BINS, engine=engine, **options)
        for engine in ('hotcoco', 'pycocotools')
    )
    for row, its in zip(one.rows(), other.rows()):
        assert same(scores(row), scores(its))
        names = {category['name']: category['frequency'] for category in truth['categories']}
        for group in 'rcf':  # The classes come from matches that are made a third time.
            values = [found.AP for name, found in row.per_class.items() if names[name] == group]
            assert row.frequencies[f'AP{group}'] == pytest.approx(np.mean(values) if values else np.nan, nan_ok=True)


def test_samples_are_of_the_same_rules():
    """The middle of the samples is moved to the score, so that another one would lie outside of all of them."""
    truth, found = federated_set(8, images=60)
    result = evaluate_occlusion(truth, found, 'bbox', OcclusionBins((0, 1), zero_bin=False), lvis=True, bootstrap=50)
    subsets = evaluate_occlusion(
        truth, found, 'bbox', OcclusionBins((0, 1), zero_bin=False), lvis=True, random_subsets=3
    )
    (row,) = subsets.bins  # Its only subset is all of its images.
    for score in ('AP', 'AP50', 'AP75', 'AR'):
        low, high = result.all.interval[score]
        assert low < result.all.scores[score] < high
        assert row.random[score] == pytest.approx([row.scores[score]] * 3)


def few() -> tuple[dict, list[dict]]:
    """Two images: one was searched for cats and dogs, the other for cats, of which not all are labelled."""
    lists = [([2], []), ([], [1])]
    images = [
        {'id': i, 'neg_category_ids': negative, 'not_exhaustive_category_ids': some}
        for i, (negative, some) in enumerate(lists)
    ]
    categories = [{'id': i, 'name': name, 'frequency': 'f'} for i, name in enumerate(('cat', 'dog', 'emu'), start=1)]
    box = {'category_id': 1, 'bbox': [0, 0, 20, 20]}
    truth = {'images': images, 'categories': categories, 'annotations': [box | {'image_id': i} for i in (0, 1)]}
    return truth, [box | {'image_id': i, 'score': 0.5} for i in (0, 1)]


@pytest.mark.parametrize('image, category, wrong', [(0, 1, 1), (0, 2, 1), (0, 3, 0), (1, 1, 0), (1, 2, 0), (1, 3, 0)])
def test_what_is_false_is_what_was_searched_for(image, category, wrong):
    truth, found = few()
    extra = {'image_id': image, 'category_id': category, 'bbox': [50, 50, 10, 10], 'score': 0.9}
    result = evaluate_occlusion(truth, [*found, extra], lvis=True)
    assert result.all.errors.false_positives == wrong / 2
    assert pytest.approx(2 / 3 if (image, category) == (0, 1) else 1) == result.all.AP
    left_out = '1 detection is of a class that' if (image, category) in ((0, 3), (1, 2), (1, 3)) else '0 detections are'
    assert left_out in str(result)
    assert (result.all.instances, len(result.ground_truth.image)) == (2, 2)


def test_the_table_of_objects_has_what_counts():
    truth, found = few()
    truth['annotations'][0]['id'] = 7
    extras = [
        {'image_id': image, 'category_id': category, 'bbox': [50, 50, 10, 10], 'score': 0.9}
        for image, category in ((0, 3), (1, 1), (0, 1))
    ]
    result = evaluate_occlusion(truth, [*extras, *found], lvis=True)
    table = object_table(result)
    assert table['kind'] == ['instance', 'instance', 'false positive']
    assert table['detection'] == [3, 4, 2]
    assert table['matched_50'] == [True, True, False]
    assert result.all.errors.false_positives == 1 / 2


def test_without_instances_there_is_no_score():
    truth, found = few()
    result = evaluate_occlusion(truth | {'annotations': []}, found, lvis=True)
    assert np.isnan(list(scores(result.all).values())).all()


def test_the_limit_is_of_an_image_and_said():
    truth, found = few()
    better = [found[0] | {'category_id': 3, 'score': 0.9}] * 300
    result = evaluate_occlusion(truth, [*found, *better], lvis=True)
    assert pytest.approx(51 / 101) == result.all.AP
    assert 'Scores count the best 300 detections of all classes in an image: 1 detection is beyond' in str(result)
    assert pytest.approx(1) == evaluate_occlusion(truth, [*found, *better], lvis=True, max_dets=301).all.AP


def test_what_is_lvis_is_said_without_the_option():
    truth, found = few()
    result = evaluate_occlusion(truth, found)
    assert result.all.frequencies is None
    assert "--lvis (lvis=True) follows LVIS's rules" in str(result)


def test_table_json_and_differences():
    truth, found = federated_set(9)
    both = compare_occlusion(truth, found, found[::2], names=['all', 'half'], lvis=True)
    content = both.to_dict()
    for row in (content['all'], *content['bins'], content['difference']['all']):
        assert {'APr', 'APc', 'APf'} <= set(row)
    less = content['second']['all']['APr'] - content['all']['APr']
    assert content['difference']['all']['APr'] == pytest.approx(less)
    assert content['settings']['lvis'] is True and content['settings']['max_dets'] == 300
    assert all(name in str(table) for table in (both.tables()[0], both.first.tables()[0]) for name in ('APr', 'APf'))
    assert {'APr', 'APc', 'APf'} <= set(both.records()[0])


BAD = {
    'no list': (lambda t: t['images'][1].pop('neg_category_ids'), r"images\[1\] has no 'neg_category_ids'; LVIS's"),
    'no other list': (lambda t: t['images'][0].pop('not_exhaustive_category_ids'), r'images\[0\] has no .* --lvis$'),
    'text': (lambda t: t['images'][1].update(neg_category_ids='1'), r"images\[1\]: 'neg_category_ids' must be a list"),
    'unknown': (lambda t: t['images'][1].update(neg_category_ids=[9]), r'holds 9, which is not the id of a category'),
    'odd': (lambda t: t['images'][1].update(neg_category_ids=[[1]]), r'holds \[1\], which is not the id of a category'),
    'no frequency': (lambda t: t['categories'][2].pop('frequency'), r"categories\[2\] has no 'frequency'"),
    'frequency': (lambda t: t['categories'][2].update(frequency='x'), r"'frequency' is x, it must be r, c or f"),
}  # fmt: skip


@pytest.mark.parametrize('case', BAD)
def test_what_is_wrong_is_one_sentence(case):
    truth, found = few()
    spoil, sentence = BAD[case]
    spoil(truth)
    with pytest.raises(InputError, match=sentence):
        evaluate_occlusion(truth, found, lvis=True)


def test_two_benchmarks_do_not_go_together():
    with pytest.raises(ValueError, match='lvis and miss_rate'):
        OcclusionSettings(lvis=True, miss_rate=True, per_instance=True)


def test_the_command_and_the_metric(run_tool, tmp_path):
    truth, found = federated_set(1)
    (tmp_path / 'gt.json').write_text(json.dumps(truth))
    (tmp_path / 'results.json').write_text(json.dumps(found))
    status, output, _ = run_tool('occlusion_eval.py', tmp_path / 'gt.json', tmp_path / 'results.json', '--lvis')
    assert status == 0 and '   APr    APc    APf' in output
    assert output.startswith("results: bbox by LVIS's rules, by the occlusion ratio of the image")
    assert OcclusionMetric(ann_file=str(tmp_path / 'gt.json'), lvis=True).options['lvis'] is True


def test_the_metric_evaluates_a_part_of_the_classes(tmp_path):
    truth, found = federated_set(2)
    (tmp_path / 'gt.json').write_text(json.dumps(truth))
    names = [category['name'] for category in truth['categories'][:4]]
    metric = OcclusionMetric(ann_file=str(tmp_path / 'gt.json'), lvis=True, edges=[0, 1])
    metric.dataset_meta = {'classes': names}
    for image in truth['images']:
        own = [entry for entry in found if entry['image_id'] == image['id']]
        own = [(entry, entry['category_id'] // 2 - 1) for entry in own if entry['category_id'] < 11]
        corners = [[x, y, x + w, y + h] for (x, y, w, h) in (entry['bbox'] for entry, _ in own)]
        instances = {
            'labels': torch.tensor([label for _, label in own], dtype=torch.long),
            'scores': torch.tensor([entry['score'] for entry, _ in own], dtype=torch.float64),
            'bboxes': torch.tensor(corners, dtype=torch.float64).reshape(-1, 4),
        }
        metric.process({}, [{'img_id': image['id'], 'ori_shape': (100, 100), 'pred_instances': instances}])
    values = metric.evaluate(len(truth['images']))
    part = copy.deepcopy(truth)
    part['categories'] = part['categories'][:4]
    part['annotations'] = [entry for entry in truth['annotations'] if entry['category_id'] < 11]
    part_found = [entry for entry in found if entry['category_id'] < 11]
    expected = written_out(part, part_found, [image['id'] for image in truth['images']])
    for key, name in (('mAP', 'AP'), ('mAP_75', 'AP75'), ('APr', 'APr'), ('APf', 'APf')):
        assert values[f'occlusion/bbox_{key}'] == pytest.approx(expected[name], abs=1e-6)
    with pytest.raises(ValueError, match='lvis and amodal masks need an ann_file'):
        OcclusionMetric(lvis=True)
    with pytest.raises(InputError, match="has no 'neg_category_ids'"):
        part['images'][0].pop('neg_category_ids')
        (tmp_path / 'gt.json').write_text(json.dumps(part))
        OcclusionMetric(ann_file=str(tmp_path / 'gt.json'), lvis=True)


def test_the_report_says_what_the_scores_are_of(tmp_path):
    truth, found = few()
    for lvis, said in ((True, '300 detections of an image.'), (False, '100 detections of a class and image.')):
        result = evaluate_occlusion(truth, found, lvis=lvis)
        page = save_report(result, tmp_path / 'report.html').read_text()
        assert said in page
        assert bool(re.search(r'>\s*APr\s*<', page)) == lvis
