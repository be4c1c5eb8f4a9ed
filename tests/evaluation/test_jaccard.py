"""JI against CrowdHuman's rules, written out one score at a time, and against mmdet's CrowdHumanMetric."""

from queue import Queue

import numpy as np
import pytest
from mmdet.evaluation.metrics.crowdhuman_metric import CrowdHumanMetric, Image
from pedestrians import checked, copies, jaccard_index, street

from mmtied.evaluation.jaccard import JaccardMatcher, match
from mmtied.evaluation.overlaps import Overlaps


def ours(truth: dict, found: list, counts: list[bool] | None = None) -> float:
    outside = ~np.array(counts or [True] * len(truth['annotations']), dtype=bool)
    truth, found = checked(truth, found)
    indices = JaccardMatcher(truth, found).indices(truth.uncounted | outside)
    return indices.scores(np.ones((1, len(truth.images)), dtype=int))[0]


@pytest.mark.parametrize('ties', [False, True], ids=['', 'ties'])
@pytest.mark.parametrize('seed', range(3))
def test_equals_the_rules(seed, ties):
    truth, found = street(seed, images=50, ties=ties)
    wanted = jaccard_index(truth, found)
    assert 0.2 < wanted < 0.7
    assert ours(truth, found) == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize('seed', range(3))
def test_a_bin_forgives_what_is_found_of_others_but_misses_only_in_ignored_regions(seed):
    truth, found = street(seed, images=50)
    counts = [entry['vis_ratio'] < 0.65 for entry in truth['annotations']]
    wanted = jaccard_index(truth, found, counts)
    assert ours(truth, found, counts) == pytest.approx(wanted, abs=1e-12)
    assert abs(wanted - jaccard_index(truth, found)) > 0.005


def of_mmdet(truth: dict, found: list) -> float:
    """What mmdet's metric returns, without its processes and rounding."""
    samples = {}
    for image in truth['images']:
        entries = [entry for entry in truth['annotations'] if entry['image_id'] == image['id']]
        instances = [
            {'tag': 'person', 'fbox': list(entry['bbox']), 'hbox': [0] * 4, 'extra': {'ignore': entry['ignore']}}
            for entry in entries
        ]
        # It cannot read an image without annotations; this one has no area.
        instances = instances or [{'tag': 'mask', 'fbox': [0] * 4, 'hbox': [0] * 4}]
        boxes = [
            {'box': list(entry['bbox']), 'score': entry['score'], 'tag': 1}
            for entry in found
            if entry['image_id'] == image['id']
        ]
        record = {'ID': image['id'], 'width': image['width'], 'height': image['height']}
        sample = samples[image['id']] = Image(0)
        sample.load(record | {'gtboxes': instances}, 'box', None, ['background', 'person'], True)
        sample.load(record | {'dtboxes': boxes}, 'box', None, ['background', 'person'], False)
        sample.clip_all_boader()
    metric = CrowdHumanMetric.__new__(CrowdHumanMetric)
    metric.iou_thres = 0.5
    means = []
    for tenth in range(10):
        queue = Queue()
        metric.compute_ji_with_ignore(queue, samples, 0.1 * tenth)
        means.append(metric.gather([queue.get() for _ in samples])[1])
    return max(means)


@pytest.mark.parametrize('ties', [False, True], ids=['', 'ties'])
@pytest.mark.parametrize('seed', range(3))
def test_equals_mmdets_metric(seed, ties):
    truth, found = street(seed, images=25, ties=ties)
    for entry in truth['annotations']:
        entry['ignore'] = 0
    assert ours(truth, found) == pytest.approx(of_mmdet(truth, found), abs=1e-9)


def test_equals_mmdets_metric_with_ignored_regions():
    """Of several largest matchings mmdet takes any, and what is left over may lie in a region or not: seeds without."""
    for seed in range(2):
        truth, found = street(seed, images=25)
        regions = [dict(entry) for entry in truth['annotations']]
        for entry in regions:
            entry['ignore'] = 0
        assert ours(truth, found) == pytest.approx(of_mmdet(truth, found), abs=1e-9)
        assert ours(truth, found) != ours(truth | {'annotations': regions}, found)


def test_weights_are_copies_of_images():
    truth, found = street(2, images=30)
    rng = np.random.default_rng(0)
    several = np.array([rng.multinomial(30, np.full(30, 1 / 30)) for _ in range(3)])
    sets = checked(truth, found)
    scores = JaccardMatcher(*sets).indices(sets[0].uncounted).scores(several)
    for weights, score in zip(several, scores):
        assert score == pytest.approx(jaccard_index(*copies(truth, found, weights)), abs=1e-12)


@pytest.mark.parametrize('seed', range(30))
def test_as_many_as_can_be_are_matched_above_any_score(seed):
    """Against the maximum that scipy finds, on each set of the best detections."""
    scipy_sparse = pytest.importorskip('scipy.sparse')
    from scipy.sparse.csgraph import maximum_bipartite_matching

    rng = np.random.default_rng(seed)
    table = rng.random((12, 9)) < rng.choice([0.1, 0.2, 0.4])
    rows, columns = np.nonzero(table)
    score = rng.permutation(12) / 12
    matched, reached = match(Overlaps(rows, columns, iou=np.ones(len(rows))), score, annotations=9)
    for least in np.sort(score):
        above = score >= least
        most = (maximum_bipartite_matching(scipy_sparse.csr_matrix(table[above])) >= 0).sum()
        assert (matched & above).sum() == (reached >= least).sum() == most


def test_classes_do_not_meet_and_are_averaged():
    truth, found = street(1, images=40)
    alone = ours(truth, found)
    truth['categories'].append({'id': 2, 'name': 'rider'})
    truth['annotations'].append(truth['annotations'][0] | {'id': 10_000, 'category_id': 2, 'ignore': 0})
    assert ours(truth, found) == pytest.approx(alone / 2)


def test_without_instances_or_detections():
    truth, found = street(1, images=5)
    assert ours(truth, []) == 0
    assert np.isnan(ours(truth | {'annotations': []}, found))


def test_images_without_a_size_are_not_clipped():
    truth = {
        'images': [{'id': 1}],
        'categories': [{'id': 1}],
        'annotations': [{'image_id': 1, 'category_id': 1, 'bbox': [-50, 0, 60, 100]}],
    }
    found = [{'image_id': 1, 'category_id': 1, 'bbox': [-20, 0, 30, 100], 'score': 0.9}]
    assert ours(truth, found) == pytest.approx(1, abs=1e-5)  # IoU .5 as annotated
    found[0]['bbox'] = [-10, 0, 20, 100]
    assert ours(truth, found) == 0
    truth['images'] = [{'id': 1, 'width': 200, 'height': 200}]
    assert ours(truth, found) == pytest.approx(1, abs=1e-5)
