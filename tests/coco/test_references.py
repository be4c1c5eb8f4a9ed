"""Results that know images by their files and classes by numbers: Ultralytics' predictions.json."""

import copy
import json
import pickle

import numpy as np
import pytest

from mmtied.coco.references import COCO_NUMBERS
from mmtied.evaluation import InputError, evaluate_occlusion

NAMES = ['zebra', 'apple', 'dog']
BOXES = [[10, 10, 20, 20], [40, 40, 20, 20], [70, 5, 20, 30]]
STEMS = ['000007', 'b_1', '12']


def as_json(ids: list[int]) -> dict:
    """COCO's json, an instance of another class in each image."""
    images = [
        {'id': 50 + i, 'file_name': f'shots/{stem}.jpg', 'width': 100, 'height': 80} for i, stem in enumerate(STEMS)
    ]
    annotations = [{'image_id': 50 + i, 'category_id': ids[i], 'bbox': box} for i, box in enumerate(BOXES)]
    categories = [{'id': id, 'name': name} for id, name in zip(ids, NAMES)]
    return {'images': images, 'categories': categories, 'annotations': annotations}


def as_kitti(folder):
    """The same as labels that name their classes."""
    (folder / 'label_2').mkdir()
    for stem, name, (x, y, w, h) in zip(STEMS, NAMES, BOXES):
        line = f'{name} 0 0 0 {x} {y} {x + w} {y + h} 0 0 0 0 0 0 0\n'
        (folder / 'label_2' / f'{stem}.txt').write_text(line)
    return folder


def predictions(numbers: list, file_names: bool = True) -> list[dict]:
    """What Ultralytics writes: the stem, as a number where it is one, and in later versions the file's name."""
    entries = []
    for stem, number, box in zip(STEMS, numbers, BOXES):
        entry = {'image_id': int(stem) if stem.isnumeric() else stem, 'category_id': number, 'bbox': box, 'score': 0.9}
        entries.append(entry | ({'file_name': f'{stem}.jpg'} if file_names else {}))
    return entries


def notes(result) -> dict[str, str]:
    return {note['kind']: note['text'] for note in result.to_dict()['notes']}


@pytest.mark.parametrize('ids', [[0, 1, 2], [1, 2, 3], [3, 5, 9]])
@pytest.mark.parametrize('numbers', [[0, 1, 2], [1, 2, 3]])
def test_numbers_count_the_classes_of_the_json(ids, numbers, tmp_path):
    """Also where the ground truth counts from 0 and Ultralytics from 1, so that what looks like an id is none."""
    truth, found = as_json(ids), predictions(numbers)
    given = copy.deepcopy((truth, found))
    (tmp_path / 'predictions.json').write_text(json.dumps(found))
    for results in (found, tmp_path / 'predictions.json'):
        for lenient in (False, True):
            result = evaluate_occlusion(truth, results, lenient=lenient)
            assert pytest.approx(1) == result.all.AP
            said = notes(result)
            assert said == {} or f'3 classes counted from {numbers[0]} ({numbers[0]} is zebra)' in said['class_numbers']
            assert (said == {}) == (ids == numbers == [1, 2, 3])
    assert (truth, found) == given


def test_what_could_count_from_0_or_from_1_is_said():
    result = evaluate_occlusion(as_json([0, 1, 2]), predictions([1, 2, 2]))
    assert 'though neither 0 nor 3 occurs to tell it from counting from 0' in notes(result)['class_numbers']


def test_ids_of_the_json_are_ids():
    """Not in the order of the names: Ultralytics' numbers for COCO are COCO's ids."""
    assert pytest.approx(1) == evaluate_occlusion(as_json([4, 9, 2]), predictions([4, 9, 2])).all.AP


def test_given_classes_say_what_numbers_count():
    names = ('dog', 'zebra', 'apple')
    assert pytest.approx(1) == evaluate_occlusion(as_json([1, 2, 3]), predictions([2, 3, 1]), classes=names).all.AP


def test_an_image_is_not_taken_for_another_one_with_that_id():
    truth = as_json([1, 2, 3])
    truth['images'][1]['id'] = truth['annotations'][1]['image_id'] = 12  # the stem of the third
    assert pytest.approx(1) == evaluate_occlusion(truth, predictions([1, 2, 3])).all.AP


def test_an_unknown_file_is_one_sentence():
    found = predictions([1, 2, 3])
    found[2] |= {'image_id': 99, 'file_name': '99.jpg'}
    with pytest.raises(InputError, match=r'results\[2\]: image_id=99 is not among the images of the ground truth'):
        evaluate_occlusion(as_json([1, 2, 3]), found)
    result = evaluate_occlusion(as_json([1, 2, 3]), found, lenient=True)
    assert pytest.approx(2 / 3) == result.all.AP


def test_an_unknown_class_is_one_sentence():
    found = predictions([1, 2, 7])
    with pytest.raises(
        InputError, match=r'results\[2\]: category_id=7 is not among the categories of the ground truth'
    ):
        evaluate_occlusion(as_json([1, 2, 3]), found)
    assert pytest.approx(2 / 3) == evaluate_occlusion(as_json([1, 2, 3]), found, lenient=True).all.AP


def test_earlier_versions_name_no_file_and_need_the_lenient_mode():
    found = predictions([0, 1, 2], file_names=False)
    with pytest.raises(InputError, match=r'--lenient \(lenient=True\)'):
        evaluate_occlusion(as_json([1, 2, 3]), found)
    result = evaluate_occlusion(as_json([1, 2, 3]), found, lenient=True)
    assert pytest.approx(1) == result.all.AP
    assert 'counted from 0 (0 is zebra)' in notes(result)['class_numbers']


@pytest.mark.parametrize('file_names', [False, True])
def test_labels_that_name_classes_need_to_know_what_numbers_count(file_names, tmp_path):
    folder, found = as_kitti(tmp_path), predictions([1, 2, 3], file_names)
    with pytest.raises(InputError, match=r'results: classes are numbers, such as 1, .* --classes \(classes=\[...\]\)'):
        evaluate_occlusion(folder, found)
    result = evaluate_occlusion(folder, found, classes=('Zebra', 'apple', 'dog'))
    assert (result.all.AP, result.all.classes) == (pytest.approx(1), 3)
    assert pytest.approx(1) == evaluate_occlusion(folder, predictions(NAMES, file_names)).all.AP


def test_given_classes_may_be_more_than_occur(tmp_path):
    """A false detection of a class without an instance is one of the errors, and none of the scores."""
    found = predictions([1, 2, 3])
    result = evaluate_occlusion(as_kitti(tmp_path), [*found, found[0] | {'category_id': 4}], classes=(*NAMES, 'bus'))
    assert (result.all.AP, result.all.errors.false_positives) == (pytest.approx(1), pytest.approx(1 / 3))


def test_an_unknown_class_of_labels_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r'results\[2\]: category_id=bus is not among the categories'):
        evaluate_occlusion(as_kitti(tmp_path), predictions(['zebra', 'apple', 'bus']))
    with pytest.raises(InputError, match=r'results\[2\]: category_id=7 is not among the categories'):
        evaluate_occlusion(tmp_path, predictions([1, 2, 7]), classes=NAMES)
    result = evaluate_occlusion(tmp_path, predictions([1, 2, 7]), classes=NAMES, lenient=True)
    assert pytest.approx(2 / 3) == result.all.AP


def test_numbers_of_coco_have_gaps(tmp_path):
    """80 classes as YOLO counts them; only the numbers above 80 tell COCO's own from these."""
    names = [f'class {i}' for i in range(80)]
    (tmp_path / 'label_2').mkdir()
    for stem, i, (x, y, w, h) in zip(STEMS, (15, 40, 79), BOXES):
        line = f'class{i} 0 0 0 {x} {y} {x + w} {y + h} 0 0 0 0 0 0 0\n'
        (tmp_path / 'label_2' / f'{stem}.txt').write_text(line)
    names = [name.replace(' ', '') for name in names]
    for numbers in ([15, 40, 79], [16, 41, 80], [COCO_NUMBERS[i] for i in (15, 40, 79)]):
        found = predictions(numbers)
        extra = [found[0] | {'category_id': n, 'score': 0.1} for n in (0 if numbers[0] == 15 else 1,)]
        assert pytest.approx(1) == evaluate_occlusion(tmp_path, found + extra, classes=names).all.AP
    assert len(COCO_NUMBERS) == 80 and COCO_NUMBERS[-1] == 90


def test_a_pickle_of_mmdet_needs_the_classes_too(tmp_path):
    """mmdet knows VOC's images by their stems."""
    folder = as_kitti(tmp_path)
    samples = []
    for i, (stem, (x, y, w, h)) in enumerate(zip(STEMS, BOXES)):
        found = {'labels': np.array([i]), 'scores': np.array([0.9]), 'bboxes': np.array([[x, y, x + w, y + h]], float)}
        samples.append({'img_id': stem, 'pred_instances': found})
    path = tmp_path / 'results.pkl'
    path.write_bytes(pickle.dumps(samples))
    with pytest.raises(InputError, match=r'results\.pkl: labels: classes are numbers, such as 0,'):
        evaluate_occlusion(folder, path)
    assert pytest.approx(1) == evaluate_occlusion(folder, path, classes=NAMES).all.AP


@pytest.mark.parametrize('key, value', [
    ('image_id', None), ('image_id', {'a': 1}), ('category_id', None), ('category_id', [2]), ('category_id', 1.5),
])  # fmt: skip
def test_odd_references_are_one_sentence(key, value, tmp_path):
    found = predictions(NAMES)
    found[1][key] = value
    with pytest.raises(InputError, match=rf'results\[1\].*{key}') as error:
        evaluate_occlusion(as_kitti(tmp_path), found)
    assert '\n' not in str(error.value)
