"""The occlusion ratio against counting pixels, and on all of COCO val2017."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmtied.evaluation import OcclusionBins, image_ratios, occlusion_ratio
from mmtied.evaluation.coco_input import check_ground_truth, read_json

boxes = st.lists(st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 9)] * 2), min_size=1, max_size=8)


def by_pixels(boxes) -> float:
    """The definition on a raster, which is exact for whole pixels."""
    masks = np.zeros((len(boxes), 30, 30), dtype=bool)
    for mask, (x, y, w, h) in zip(masks, boxes):
        mask[y : y + h, x : x + w] = True
    total = masks.sum()
    if not total:
        return 0.0
    covered = sum((mask & np.delete(masks, i, 0).any(0)).sum() for i, mask in enumerate(masks))
    return covered / total


@settings(max_examples=300, deadline=None)
@given(boxes)
def test_equals_counting_pixels(boxes):
    assert occlusion_ratio(np.array(boxes)) == pytest.approx(by_pixels(boxes), abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(boxes, st.floats(0.1, 50), st.floats(-100, 100), st.randoms())
def test_does_not_depend_on_scale_place_or_order(boxes, scale, shift, random):
    wanted = occlusion_ratio(np.array(boxes))
    shuffled = random.sample(boxes, len(boxes))
    moved = np.array(shuffled) * scale + [shift, -shift, 0, 0]
    assert occlusion_ratio(moved) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize('boxes, ratio', [
    ([[0, 0, 4, 4]], 0),
    ([[0, 0, 4, 4], [4, 0, 4, 4]], 0),  # they touch
    ([[0.1, 0, 0.2, 1], [0.30000000000000001, 0, 1, 1]], 0),  # .1 + .2 is not .3 in floats
    ([[0, 0, 4, 4], [0, 0, 4, 4]], 1),
    ([[0, 0, 4, 4], [0, 0, 2, 4]], 16 / 24),
    ([[0, 0, 4, 4], [1, 1, 0, 5]], 0),  # no width, no area
    ([[0, 0, 0, 0]], 0),
    ([[-3, -3, 4, 4], [0, 0, 1, 1]], 2 / 17),  # past the edge of the image
])  # fmt: skip
def test_cases(boxes, ratio):
    assert occlusion_ratio(np.array(boxes)) == pytest.approx(ratio)
    assert (occlusion_ratio(np.array(boxes)) == 0) == (ratio == 0)


def test_no_box_has_no_ratio():
    assert np.isnan(occlusion_ratio(np.empty((0, 4))))


@pytest.mark.parametrize('boxes, named', [
    ([[0, 0, 1]], r'shape \(1, 3\)'),
    ([[0, 0, -1, 1]], 'negative'),
    ([[0, 0, np.nan, 1]], 'finite'),
])  # fmt: skip
def test_bad_boxes(boxes, named):
    with pytest.raises(ValueError, match=named):
        occlusion_ratio(np.array(boxes))


def test_many_boxes_take_little_memory():
    """Two thousand boxes in a row, each half over the next: a grid of 4,000 x 2 corners, and of 4,000 x 4,000."""
    steps = np.arange(2000.0)
    row = np.stack([steps, 0 * steps, 0 * steps + 2, 0 * steps + 4], 1)
    assert occlusion_ratio(row) == pytest.approx(1 - 2 / 4000)
    stairs = row + np.stack([0 * steps, steps, 0 * steps, 0 * steps], 1)
    # Each overlaps the next by 1 x 3 of its 2 x 4; where both neighbours overlap, they do not meet.
    assert occlusion_ratio(stairs) == pytest.approx((2 * 1999 * 3) / (2000 * 8))


def test_image_ratios_leave_out_crowds():
    annotations = [
        dict(image_id=7, category_id=1, bbox=[0, 0, 4, 4]),
        dict(image_id=7, category_id=2, bbox=[2, 0, 4, 4]),
        dict(image_id=7, category_id=1, bbox=[0, 0, 9, 9], iscrowd=1),
        dict(image_id=3, category_id=1, bbox=[0, 0, 9, 9], iscrowd=1),
    ]
    data = dict(
        images=[dict(id=7), dict(id=3), dict(id=5)], categories=[dict(id=1), dict(id=2)], annotations=annotations
    )
    ratios = image_ratios(check_ground_truth(data, 'gt', 'bbox'))  # in the order of the ids 3, 5, 7
    assert np.isnan(ratios[:2]).all()
    assert ratios[2] == 0.5


@pytest.fixture
def val2017(real_data):
    path = real_data('coco_val2017_boxes/instances_val2017_boxes.json')
    return check_ground_truth(*read_json(path, ''), 'bbox')


def test_coco_val2017(val2017):
    ratios = image_ratios(val2017)
    assert np.bincount(OcclusionBins().assign(ratios)).tolist() == [985, 1455, 1002, 789, 537, 184]
    assert ratios.max() == pytest.approx(0.996, abs=5e-4)


def test_agrees_with_human_labels(val2017, real_data):
    """Images that people call highly occluded have higher ratios than those that they call little occluded."""
    ratios = dict(zip((image['id'] for image in val2017.images), image_ratios(val2017)))
    labels, _ = read_json(real_data('coco_olac/occlusion_label_val.json'), '')
    levels = {level: [] for level in ('low', 'mid', 'high')}
    for file_stem, level in labels.items():
        levels[level].append(ratios.get(int(file_stem), np.nan))
    low, mid, high = (np.nanmean(levels[level]) for level in ('low', 'mid', 'high'))
    assert low + 0.1 < mid
    assert mid + 0.1 < high
