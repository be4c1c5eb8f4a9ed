"""Files that are not quite COCO's: refused with a sentence that names the way out; with it evaluated, and counted."""

import copy
import json

import numpy as np
import pytest
from pycocotools import mask as rle

from mmtied.evaluation import InputError, evaluate_occlusion

SQUARE = [10, 10, 30, 10, 30, 30, 10, 30]


def truth() -> dict:
    images = [{'id': i, 'file_name': f'shots/{i}0.jpg', 'width': 100, 'height': 80} for i in (1, 2)]
    annotations = [
        {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [10, 10, 20, 20], 'segmentation': [SQUARE], 'area': 400},
        {
            'id': 2,
            'image_id': 2,
            'category_id': 2,
            'bbox': [40, 40, 20, 20],
            'segmentation': [[40, 40, 60, 40, 60, 60]],
        },
    ]
    categories = [{'id': 1, 'name': 'cat'}, {'id': 2, 'name': 'dog'}]
    return {'images': images, 'categories': categories, 'annotations': annotations}


def found() -> list[dict]:
    kept = ('image_id', 'category_id', 'bbox', 'segmentation')
    return [{key: entry[key] for key in kept} | {'score': 0.9} for entry in truth()['annotations']]


def each(entries: list[dict], **changes) -> list[dict]:
    """Return the entries with keys changed by functions of them."""
    return [entry | {key: change(entry) for key, change in changes.items()} for entry in entries]


def without(entries: list[dict], key: str) -> list[dict]:
    return [{name: value for name, value in entry.items() if name != key} for entry in entries]


def unknown(**changes) -> list[dict]:
    return [*found(), found()[0] | changes]


def as_object() -> dict:
    """What some tools write: the ground truth's form, with ids of its own."""
    images = [{'id': i, 'file_name': f'shots/{i}0.jpg', 'width': 100, 'height': 80} for i in (2, 1)]
    images = [image | {'id': own} for own, image in enumerate(images)]
    categories = [{'id': 8, 'name': 'dog'}, {'id': 9, 'name': 'cat'}]
    entries = each(found(), image_id=lambda d: 2 - d['image_id'], category_id=lambda d: {1: 9, 2: 8}[d['category_id']])
    return {'images': images, 'categories': categories, 'annotations': entries}


def changed_truth(**changes) -> dict:
    gt = truth()
    gt['annotations'] = each(gt['annotations'], **changes)
    return gt


CASES = {
    'numbers as text': (truth(), each(found(), image_id=lambda d: str(d['image_id'])), 'bbox', {'image_by_name': 2}),
    'classes as text': (
        truth(),
        each(found(), category_id=lambda d: str(d['category_id'])),
        'bbox',
        {'class_by_name': 2},
    ),
    'names of files': (
        truth(),
        each(found(), image_id=lambda d: f'shots/{d["image_id"]}0.jpg'),
        'bbox',
        {'image_by_name': 2},
    ),
    'names without folder': (
        truth(),
        each(found(), image_id=lambda d: f'{d["image_id"]}0.jpg'),
        'bbox',
        {'image_by_name': 2},
    ),
    'stems': (truth(), each(found(), image_id=lambda d: f'{d["image_id"]}0'), 'bbox', {'image_by_name': 2}),
    'numbers of stems': (truth(), each(found(), image_id=lambda d: d['image_id'] * 10), 'bbox', {'image_by_name': 2}),
    'names of classes': (
        truth(),
        each(found(), category_id=lambda d: ('cat', 'dog')[d['category_id'] - 1]),
        'bbox',
        {'class_by_name': 2},
    ),
    'an unknown image': (truth(), unknown(image_id=7), 'bbox', {'unknown_image': 1}),
    'an unknown class': (truth(), unknown(category_id=44), 'bbox', {'unknown_class': 1}),
    'scores in percent': (truth(), each(found(), score=lambda d: 90), 'bbox', {'score_as_rank': 2}),
    'an object': (truth(), as_object(), 'bbox', {'object': 2, 'image_by_name': 2, 'class_by_name': 2}),
    'a stray point': (
        changed_truth(segmentation=lambda a: [*a['segmentation'], [50, 50]]),
        found(),
        'segm',
        {'stray_polygon': 2},
    ),
    'a stray line of a detection': (
        truth(),
        each(found(), segmentation=lambda d: [*d['segmentation'], [50, 50, 60, 60]]),
        'segm',
        {'stray_polygon': 2},
    ),
    'masks without boxes': (
        truth() | {'annotations': without(truth()['annotations'], 'bbox')},
        found(),
        'segm',
        {'box_of_mask': 2},
    ),
    'detected masks without boxes': (truth(), without(found(), 'bbox'), 'bbox', {'box_of_mask': 2}),
    'text ids of annotations': (
        changed_truth(image_id=lambda a: str(a['image_id'])),
        found(),
        'bbox',
        {'text_image_id': 2},
    ),
    'a flag as text': (changed_truth(iscrowd=lambda a: '0'), found(), 'bbox', {'text_iscrowd': 2}),
    'a flag as a word': (changed_truth(ignore=lambda a: 'false'), found(), 'bbox', {'text_ignore': 2}),
}


@pytest.mark.parametrize('case', CASES)
def test_is_refused_with_the_way_out_and_evaluated_with_it(case, tmp_path):
    gt, results, iou_type, notes = CASES[case]
    (tmp_path / 'gt.json').write_text(json.dumps(gt))
    (tmp_path / 'results.json').write_text(json.dumps(results))
    given = copy.deepcopy((gt, results))
    for sources in ((gt, results), (tmp_path / 'gt.json', tmp_path / 'results.json')):
        if case != 'text ids of annotations':  # These are orphans, which are counted as such.
            with pytest.raises(InputError, match=r'--lenient \(lenient=True\)'):
                evaluate_occlusion(*sources, iou_type)
        result = evaluate_occlusion(*sources, iou_type, lenient=True)
        assert pytest.approx(1) == result.all.AP
        content = result.to_dict()
        assert {note['kind']: note['count'] for note in content['notes']} == notes
        for note in content['notes']:
            assert note['text'] in content['remarks'] and note['text'] in str(result)
            assert note['text'].endswith(f': {note["count"]}.')
    assert (gt, results) == given


def test_flags_as_text_are_what_they_spell():
    """Any text is true in Python, so that "0" would be a crowd."""
    gt = changed_truth(iscrowd=lambda a: str(int(a['id'] == 2)))
    assert evaluate_occlusion(gt, found(), 'bbox', lenient=True).all.instances == 1


def test_clean_files_have_no_notes():
    strict, lenient = (evaluate_occlusion(truth(), found(), 'segm', lenient=lenient) for lenient in (False, True))
    assert strict.to_dict() | {'settings': None} == lenient.to_dict() | {'settings': None}
    assert lenient.to_dict()['notes'] == []


def test_an_id_is_not_taken_for_a_name():
    """Image 10 has the id of a stem, so that all detections are known by their ids, and no stem is looked at."""
    gt = truth()
    gt['images'].append({'id': 10, 'file_name': 'x.jpg', 'width': 100, 'height': 80})
    result = evaluate_occlusion(gt, [*found(), found()[0] | {'image_id': 10}], 'bbox', lenient=True)
    assert result.to_dict()['notes'] == []
    assert result.all.errors.false_positives == pytest.approx(1 / 3)


def test_a_name_that_two_images_share_is_none():
    gt = truth()
    for image in gt['images']:
        image['file_name'] = 'same.jpg'
    with pytest.raises(InputError, match='no image_id is known to the ground truth'):
        evaluate_occlusion(gt, each(found(), image_id=lambda d: 'same.jpg'), 'bbox', lenient=True)


def test_pictures_of_one_name_and_two_sizes_are_said():
    results = as_object()
    results['images'][0]['width'] = 640
    notes = evaluate_occlusion(truth(), results, 'bbox', lenient=True).to_dict()['notes']
    assert {note['kind']: note['count'] for note in notes}['other_size'] == 1


def test_a_mask_without_any_polygon_is_ignored():
    gt = changed_truth(segmentation=lambda a: [[5, 5]] if a['id'] == 2 else a['segmentation'])
    result = evaluate_occlusion(gt, found(), 'segm', lenient=True)
    assert result.all.instances == 1
    kinds = {note['kind']: note['count'] for note in result.to_dict()['notes']}
    assert kinds == {'stray_polygon': 1, 'no_polygon': 1}


def test_where_boxes_are_evaluated_masks_are_not_looked_at():
    """As the reference API: a box is found whatever its polygons are."""
    gt = changed_truth(segmentation=lambda a: [[5, 5]])
    results = each(found(), segmentation=lambda d: [[5, 5]])
    result = evaluate_occlusion(gt, results, 'bbox', lenient=True)
    assert (result.all.instances, result.all.AP) == (2, pytest.approx(1))
    assert result.to_dict()['notes'] == []


def test_the_box_of_a_mask_is_not_that_of_its_strays():
    gt = truth()
    gt['annotations'] = without(
        changed_truth(segmentation=lambda a: [*a['segmentation'], [99, 79]])['annotations'], 'bbox'
    )
    boxes = evaluate_occlusion(gt, found(), 'bbox', lenient=True).ground_truth.bbox
    assert boxes.tolist() == [[10, 10, 20, 20], [40, 40, 20, 20]]


def test_annotations_of_unlisted_categories_are_left_out():
    gt = truth()
    gt['annotations'].append(gt['annotations'][0] | {'id': 3, 'category_id': 44})
    with pytest.raises(InputError, match='category_id=44 is not among the categories; --lenient'):
        evaluate_occlusion(gt, found(), 'bbox')
    result = evaluate_occlusion(gt, found(), 'bbox', lenient=True)
    assert {note['kind']: note['count'] for note in result.to_dict()['notes']} == {'unknown_category': 1}
    assert pytest.approx(1) == result.all.AP


def test_box_of_an_encoded_mask():
    mask = np.zeros((80, 100), dtype=np.uint8, order='F')
    mask[10:30, 10:30] = 1
    encoding = rle.encode(mask)
    gt = truth()
    gt['annotations'] = [without(gt['annotations'], 'bbox')[0] | {'segmentation': encoding}]
    result = evaluate_occlusion(gt, found()[:1], 'bbox', lenient=True)
    assert result.ground_truth.bbox.tolist() == [[10, 10, 20, 20]]


@pytest.mark.parametrize('score', [float('nan'), None, 'high'])
def test_what_is_no_score_stays_an_error(score):
    with pytest.raises(InputError, match='score'):
        evaluate_occlusion(truth(), each(found(), score=lambda d: score), 'bbox', lenient=True)


def test_ids_of_two_types_are_shown_with_their_types():
    with pytest.raises(InputError, match=r'image_id is the text "1", but among the images .* it is the number 1'):
        evaluate_occlusion(truth(), each(found(), image_id=lambda d: str(d['image_id'])), 'bbox')


def test_areas_out_of_all_sizes_are_ignored_and_said():
    """As by the reference API, whose range of all sizes ends at 10^10 square pixels."""
    box = {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 10, 10], 'id': 1}
    truth = {'images': [{'id': 1}], 'categories': [{'id': 1, 'name': 'a'}]}
    found = [{'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 10, 10], 'score': 0.5}]
    for area, counts in ((-1, 1), (1e11, 1), (2**63, 1), (0, 2), (1e10, 2), ('100', 2), (float('nan'), 2), (None, 2)):
        far = box | {'bbox': [50, 50, 9, 9], 'id': 2, 'area': area}
        result = evaluate_occlusion(truth | {'annotations': [box, far]}, found)
        assert result.all.instances == counts
        assert any("'area' is negative or above 10^10" in remark for remark in result.remarks()) == (counts == 1)
