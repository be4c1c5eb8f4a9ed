"""Amodal masks as data sets write them, against counting pixels."""

import numpy as np
import pytest
from made_up import polygon
from pycocotools import mask

from mmtied.coco.coco_json import check_ground_truth
from mmtied.evaluation import image_ratios, instance_ratios
from mmtied.utils.errors import InputError

SIZE = 40


def rle(pixels: np.ndarray) -> dict:
    encoded = mask.encode(np.asfortranarray(pixels.astype(np.uint8)))
    return encoded | {'counts': encoded['counts'].decode()}


def instances(seed: int = 0, count: int = 12) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Amodal and visible pixels; some objects are hidden, some whole; what is visible may stand out a little."""
    rng = np.random.default_rng(seed)
    whole, visible = [], []
    for i in range(count):
        x, y, w, h = (*rng.integers(0, 20, 2), *rng.integers(4, 20, 2))
        pixels = np.zeros((SIZE, SIZE), dtype=bool)
        pixels[y : y + h, x : x + w] = True
        seen = pixels & (rng.random((SIZE, SIZE)) < i / count)
        seen[0, 0] = True
        whole.append(pixels)
        visible.append(seen)
    return whole, visible


FORMS = {
    'KINS': lambda whole, seen: {'a_segm': rle(whole), 'i_segm': rle(seen)},
    'KINS as COCO': lambda whole, seen: {'segmentation': rle(whole), 'inmodal_seg': rle(seen)},
    'COCOA': lambda whole, seen: {'segmentation': rle(whole), 'invisible_mask': rle(whole & ~seen)},
    'D2SA': lambda whole, seen: {'segmentation': rle(whole), 'visible_mask': rle(seen), 'invisible_mask': None},
}


def ground_truth(form: str) -> tuple[dict, np.ndarray]:
    """Annotations of three images in a form, and their invisible and amodal pixels, (n, 2)."""
    whole, visible = instances()
    entries = [
        {'id': i + 1, 'image_id': 1 + i % 3, 'category_id': 1, 'bbox': [0, 0, 9, 9]} | FORMS[form](*pair)
        for i, pair in enumerate(zip(whole, visible))
    ]
    counted = np.array([[(w & ~v).sum(), w.sum()] for w, v in zip(whole, visible)], dtype=float)
    images = [{'id': i, 'width': SIZE, 'height': SIZE} for i in (1, 2, 3)]
    return {'images': images, 'annotations': entries, 'categories': [{'id': 1}]}, counted


@pytest.mark.parametrize('form', FORMS)
def test_every_form_equals_counting_pixels(form):
    content, counted = ground_truth(form)
    truth = check_ground_truth(content, 'gt', amodal=True)
    np.testing.assert_array_equal(truth.amodal, counted)
    np.testing.assert_allclose(instance_ratios(truth, 'amodal'), counted[:, 0] / counted[:, 1])
    sums = [counted[i::3].sum(0) for i in range(3)]
    np.testing.assert_allclose(image_ratios(truth, 'amodal'), [hidden / area for hidden, area in sums])


def test_polygons_and_what_nothing_hides():
    content, _ = ground_truth('KINS')
    first, second, third = content['annotations'][:3]
    first |= {'a_segm': polygon(0, 0, 10, 10), 'i_segm': polygon(0, 0, 10, 4)}
    for entry in (second, third):
        del entry['i_segm']
    second['occlude_rate'] = 0.0
    third['occlude_rate'] = 0.3  # without a mask of it
    shares = instance_ratios(check_ground_truth(content, 'gt', amodal=True), 'amodal')
    assert shares[:2].tolist() == [0.6, 0]
    assert np.isnan(shares[2])


def test_crowds_and_ignored_annotations_are_not_looked_at():
    content, counted = ground_truth('KINS')
    content['annotations'][0] |= {'iscrowd': 1, 'a_segm': 'no mask'}
    content['annotations'][3] |= {'ignore': 1}
    truth = check_ground_truth(content, 'gt', amodal=True)
    assert np.isnan(instance_ratios(truth, 'amodal')[[0, 3]]).all()
    hidden, area = counted[6::3].sum(0)
    assert image_ratios(truth, 'amodal')[0] == pytest.approx(hidden / area)


@pytest.mark.parametrize(
    'change, sentence',
    [
        ({'i_segm': {'size': [9, 9], 'counts': [81]}}, r"annotations\[0\]: 'i_segm' has size \[9, 9\]"),
        ({'a_segm': [[1, 2]]}, r"annotations\[0\]: 'a_segm' holds a polygon that is not three"),
        ({'a_segm': {'size': [SIZE, SIZE], 'counts': 'zz'}}, "'a_segm' has counts that do not add up"),
        ({'a_segm': 'text'}, "'a_segm' must be a run-length encoding or a list of polygons"),
    ],
)
def test_bad_masks_are_a_sentence(change, sentence):
    content, _ = ground_truth('KINS')
    content['annotations'][0] |= change
    with pytest.raises(InputError, match=sentence):
        check_ground_truth(content, 'gt', amodal=True)


def test_without_any_such_mask():
    content, _ = ground_truth('KINS')
    for entry in content['annotations']:
        del entry['i_segm']
    with pytest.raises(InputError, match='no instance has an amodal mask'):
        check_ground_truth(content, 'gt', amodal=True)
    with pytest.raises(ValueError, match='needs a ground truth that was read with amodal masks'):
        image_ratios(check_ground_truth(content, 'gt'), 'amodal')


def test_images_need_a_size():
    content, _ = ground_truth('KINS')
    del content['images'][1]['width']
    with pytest.raises(InputError, match=r"images\[1\] has no 'width'"):
        check_ground_truth(content, 'gt', amodal=True)
