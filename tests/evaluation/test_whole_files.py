"""Whole files that differ from valid ones in one to three places: the reference API's numbers, or a refusal."""

import copy
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judge import Judge
from pycocotools import mask as rle

VALUES = [None, True, False, 0, 1, 2, -1, 0.5, -0.0, 1e-9, 1.5, 3, 99, 1e6, 2**31, 2**63, 1e308, math.nan, math.inf]
VALUES += ['', '1', 'a', '1.jpg', [], {}, [[]], [1], [0, 0, 0, 0], [1, 2, 3], [[1, 1, 5, 1, 5, 5]], {'id': 1}]
KEYS = ['id', 'image_id', 'category_id', 'bbox', 'score', 'segmentation', 'iscrowd', 'ignore', 'area', 'extra']
SIZE = 20


def polygon(box: list) -> list:
    x, y, w, h = box
    return [[x, y, x + w, y, x + w, y + h, x, y + h]]


@st.composite
def valid_files(draw, iou_type: str) -> tuple[dict, list]:
    """A small ground truth and results of it, of boxes or masks, with ties, crowds and ignored instances."""
    images = [
        {'id': i, 'file_name': f'{i}.jpg', 'height': SIZE, 'width': SIZE} for i in range(1, draw(st.integers(2, 4)))
    ]
    categories = [{'id': i, 'name': f'class {i}'} for i in range(1, draw(st.integers(2, 4)))]
    entries = st.fixed_dictionaries(
        {
            'image_id': st.sampled_from(images).map(lambda image: image['id']),
            'category_id': st.sampled_from(categories).map(lambda category: category['id']),
            'bbox': st.tuples(*[st.integers(0, 10)] * 2, *[st.integers(1, 10)] * 2).map(list),
        }
    )
    annotations, found = [], []
    for entry in draw(st.lists(entries, min_size=1, max_size=6)):
        flags = draw(st.sampled_from([{}, {}, {'iscrowd': 0}, {'iscrowd': 1}, {'ignore': 0}]))
        width, height = entry['bbox'][2:]
        annotations.append(
            {'id': len(annotations) + 1, 'iscrowd': 0, 'area': width * height, 'segmentation': polygon(entry['bbox'])}
            | copy.deepcopy(entry)
            | flags
        )
        for dx, score in draw(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 5)), max_size=2)):
            x, y, w, h = entry['bbox']
            found.append(copy.deepcopy(entry) | {'bbox': [x + dx, y, w, h], 'score': score / 5})
    found += [
        entry | {'score': score / 7}
        for entry, score in draw(st.lists(st.tuples(entries, st.integers(0, 7)), max_size=4))
    ]
    found = found or [copy.deepcopy(annotations[0]) | {'score': 1.0}]
    if iou_type == 'segm':
        for detection in found:
            mask = rle.merge(rle.frPyObjects(polygon(detection.pop('bbox')), SIZE, SIZE))
            detection['segmentation'] = mask | {'counts': mask['counts'].decode()}
    return {'images': images, 'annotations': annotations, 'categories': categories}, found


@st.composite
def files(draw, iou_type: str) -> tuple:
    """Valid files with up to three changes, each somewhere: a value, a type, a key that goes, an entry twice."""
    truth, found = draw(valid_files(iou_type))
    both = copy.deepcopy({'truth': truth, 'found': found})
    for _ in range(draw(st.integers(0, 3))):
        within, key = both, draw(st.sampled_from(['truth', 'found']))
        while isinstance(within[key], (dict, list)) and within[key] and draw(st.integers(0, 9)):
            within = within[key]
            key = draw(st.sampled_from(sorted(within) if isinstance(within, dict) else range(len(within))))
        kind = draw(st.sampled_from(['value', 'value', 'like', 'gone', 'twice', 'added']))
        value = within[key]
        if kind == 'value':
            within[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))
        elif kind == 'like':
            like = [str(value), [value], {'a': value}]
            if isinstance(value, (int, float)):
                like += [-value, value + 1, value * 1000, value + 0.5, float(value), bool(value)]
            within[key] = copy.deepcopy(draw(st.sampled_from(like)))
        elif kind == 'gone' and within is not both:
            del within[key]
        elif kind == 'twice' and isinstance(within, list):
            within.append(copy.deepcopy(value))
        elif kind == 'added' and isinstance(value, dict):
            value[draw(st.sampled_from(KEYS))] = copy.deepcopy(draw(st.sampled_from(VALUES)))
    return both['truth'], both['found']


@pytest.fixture(scope='module')
def judge(tmp_path_factory):
    judge = Judge(tmp_path_factory.mktemp('judge'))
    yield judge
    judge.close()


def same(first: list, second: list) -> bool:
    """Whether scores are equal; None is what the reference has for no ground truth, and NaN ours."""
    pairs = [[math.nan if value is None else value for value in pair] for pair in zip(first, second)]
    return all(a == pytest.approx(b, abs=1e-9, nan_ok=True) for a, b in pairs)


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
@given(st.data())
def test_numbers_of_the_reference_or_a_refusal(judge, iou_type, data):
    truth, found = data.draw(files(iou_type))
    said = judge.answers(truth, found, iou_type)
    for name, answer in said.items():
        assert name == 'reference' or 'crashed' not in answer, (name, answer)
    for mode in ('', ' lenient'):
        first, second = said[f'hotcoco{mode}'], said[f'pycocotools{mode}']
        assert first.get('refused') == second.get('refused')
        assert same(first.get('scores', []), second.get('scores', []))
        if 'scores' in first and 'scores' in said['reference'] and not has_annotation_zero(truth):
            # What lenient took otherwise than it stands there, it says.
            assert same(first['scores'], said['reference']['scores']) or (mode and first['notes'])
    strict, lenient = said['hotcoco'], said['hotcoco lenient']
    if 'scores' in strict:
        assert same(strict['scores'], lenient['scores']) or lenient['notes']
    elif 'scores' in lenient:
        # What was mended is said; of an empty list nothing is.
        assert lenient['notes'] or found == []


def has_annotation_zero(truth: dict) -> bool:
    """Whether an annotation has the id 0, for which the reference API takes what matches it for unmatched."""
    return any(entry.get('id') == 0 for entry in truth['annotations'])
