"""MR-2 and JI in the rows of the evaluation: those of the rules, with intervals, in table, json and files."""

import json

import numpy as np
import pytest
from pedestrians import SETUPS, jaccard_index, miss_rate, street

from mmtied.evaluation import InputError, OcclusionBins, OcclusionSettings, compare_occlusion, evaluate_occlusion

PEDESTRIANS = {'per_instance': True, 'miss_rate': True, 'min_height': 50}


@pytest.fixture(scope='module')
def sets():
    """A street whose visible shares are those that the boxes leave of each other."""
    truth, found = street(0, images=110)
    result = evaluate_occlusion(truth, found, per_instance=True)
    for entry, occlusion in zip(truth['annotations'], result.instance_ratios.tolist()):
        entry['vis_ratio'] = 1.0 if occlusion != occlusion else 1 - occlusion
    return truth, found


@pytest.mark.parametrize('images', [40, 110])
def test_setups_by_the_visible_ratio_equal_the_rules(images):
    """Shares of .65 and .9 exactly are among them, which belong to two setups and to three."""
    truth, found = street(2, images=images)
    bins = OcclusionBins(citypersons=True)
    result = evaluate_occlusion(truth, found, bins=bins, by='vis_ratio', visible=True, **PEDESTRIANS)
    wanted = {name: miss_rate(truth, found, SETUPS[name]) for name in SETUPS}
    assert {row.label: row.pedestrians.MR2 for row in result.bins} == pytest.approx(wanted, abs=1e-9)
    assert len(set(wanted.values())) == 4


def test_setups_by_what_boxes_cover_equal_the_rules(sets):
    truth, found = sets
    result = evaluate_occlusion(truth, found, bins=OcclusionBins(citypersons=True), **PEDESTRIANS)
    wanted = {name: miss_rate(truth, found, SETUPS[name]) for name in SETUPS}
    assert {row.label: row.pedestrians.MR2 for row in result.bins} == pytest.approx(wanted, abs=1e-9)
    assert len(set(wanted.values())) == 4
    wanted = miss_rate(truth, found, (0, 2))
    assert pytest.approx(wanted, abs=1e-9) == result.all.pedestrians.MR2


def test_jaccard_indices_of_the_rows_equal_the_rules(sets):
    truth, found = sets
    result = evaluate_occlusion(truth, found, bins=OcclusionBins((0, 0.3, 1)), **PEDESTRIANS)
    low = [entry | {'ignore': entry['ignore'] or int(entry['bbox'][3] < 50)} for entry in truth['annotations']]
    tall = [entry for entry in found if entry['bbox'][3] >= 40]
    shares = np.array([1 - entry['vis_ratio'] for entry in truth['annotations']])
    for row, inside in zip(result.rows(), (shares >= 0, shares == 0, (shares > 0) & (shares < 0.3), shares >= 0.3)):
        wanted = jaccard_index(truth | {'annotations': low}, tall, inside.tolist())
        assert pytest.approx(wanted, abs=1e-12) == row.pedestrians.JI


def test_what_is_too_low_is_ignored_in_all_scores(sets):
    truth, found = sets
    result = evaluate_occlusion(truth, found, per_instance=True, min_height=50)
    low = [entry | {'ignore': entry['ignore'] or int(entry['bbox'][3] < 50)} for entry in truth['annotations']]
    tall = [entry for entry in found if entry['bbox'][3] >= 40]
    wanted = evaluate_occlusion(truth | {'annotations': low}, tall)
    assert result.all.scores == wanted.all.scores
    assert result.all.errors == wanted.all.errors
    assert result.all.instances == sum(not entry['ignore'] for entry in low)
    assert result.all.pedestrians is None
    # They cover others still: the occlusion of the tall ones is what it was.
    everyone = evaluate_occlusion(truth, found, per_instance=True)
    kept = ~np.isnan(result.instance_ratios)
    assert np.array_equal(result.instance_ratios[kept], everyone.instance_ratios[kept])
    count = sum(entry['bbox'][3] < 50 for entry in truth['annotations'])
    assert f'{count} annotations are lower than 50 pixels and ignored.' in result.remarks()


def test_intervals_and_differences_are_paired(sets):
    truth, found = sets
    other = [entry for i, entry in enumerate(found) if i % 4]
    both = compare_occlusion(truth, found, other, names=['a', 'b'], bootstrap=40, **PEDESTRIANS)
    for row, one, second in zip(
        (both.all, *both.bins), (both.first.all, *both.first.bins), (both.second.all, *both.second.bins)
    ):
        assert pytest.approx(second.pedestrians.MR2 - one.pedestrians.MR2, nan_ok=True) == row.pedestrians.MR2
        for score in ('MR2', 'JI') if row.interval else ():
            low, high = one.interval[score]
            assert 0 <= low < one.pedestrians[score] < high <= 1
            low, high = row.interval[score]
            assert -1 <= low < row.pedestrians[score] < high <= 1
    same = compare_occlusion(truth, found, found, names=['a', 'b'], bootstrap=10, **PEDESTRIANS)
    assert same.all.interval['MR2'] == same.all.interval['JI'] == (0, 0)


def test_table_json_and_records(sets):
    truth, found = sets
    result = evaluate_occlusion(truth, found, bootstrap=20, **PEDESTRIANS)
    content = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    for row, entry in zip(result.bins, content['bins']):
        assert (entry['MR2'], entry['JI']) == (row.pedestrians.MR2, row.pedestrians.JI)
        assert 'pedestrians' not in entry
    assert content['unassigned']['MR2'] is None
    assert result.records()[0]['MR2'] == result.all.pedestrians.MR2
    assert result.records()[0]['MR2_low'] == result.all.interval['MR2'][0]
    heading, first = str(result).splitlines()[1:3]
    assert heading.split()[:10] == [
        'occlusion',
        'images',
        'instances',
        'classes',
        'AP',
        'AP50',
        'AP75',
        'AR',
        'MR2',
        'JI',
    ]
    assert 'MR2 95%' in heading
    assert f'{100 * result.all.pedestrians.MR2:.1f}' in first.split()


def test_without_being_asked_nothing_is_new(sets):
    result = evaluate_occlusion(*sets, per_instance=True, bootstrap=5)
    assert not {'MR2', 'JI', 'pedestrians'} & set(result.all.to_dict())
    assert 'MR2' not in str(result)


def test_few_images_are_said():
    truth, found = street(0, images=20)
    assert 'Fewer than 100 images: where even the best detection is false' in str(
        evaluate_occlusion(truth, found, **PEDESTRIANS)
    )


@pytest.mark.parametrize(
    'options, sentence',
    [
        ({'miss_rate': True}, 'miss_rate is of instances: it needs per_instance'),
        ({'bins': OcclusionBins(citypersons=True)}, 'citypersons are setups of instances: they need per_instance'),
        ({'min_height': -1.0}, 'min_height=-1.0 must be 0 or more'),
        ({'min_height': 50, 'iou_type': 'segm'}, "iou_type='segm' must be 'bbox' for min_height, which is of boxes"),
    ],
)
def test_what_does_not_go_together(options, sentence):
    with pytest.raises(ValueError, match=sentence):
        OcclusionSettings(**options)


def test_results_that_turn_out_to_be_masks_are_refused_in_one_sentence():
    truth = {'images': [{'id': 1, 'width': 10, 'height': 10}], 'categories': [{'id': 1}], 'annotations': []}
    found = [{'image_id': 1, 'category_id': 1, 'score': 0.5, 'segmentation': {'size': [10, 10], 'counts': 'T3'}}]
    with pytest.raises(InputError, match="detector 1: iou_type='segm' must be 'bbox' for miss_rate"):
        evaluate_occlusion(truth, found, **PEDESTRIANS)
