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
    ratios = image_ratios(check_ground_truth(data, 'gt', segm=False))
    assert list(ratios) == [7, 3, 5]
    assert ratios[7] == 0.5
    assert np.isnan([ratios[3], ratios[5]]).all()


def test_coco_val2017(real_data):
    data, name = read_json(real_data('coco_val2017_boxes/instances_val2017_boxes.json'))
    ratios = image_ratios(check_ground_truth(data, name, segm=False))
    sizes = {label: len(ids) for label, ids in OcclusionBins().split(ratios).items()}
    assert sizes == {'0': 985, '(0, .2)': 1455, '[.2, .4)': 1002, '[.4, .6)': 789, '[.6, .8)': 537, '[.8, 1]': 184}
    assert max(ratios.values()) == pytest.approx(0.996, abs=5e-4)


def test_agrees_with_human_labels(real_data):
    """Images that people call highly occluded have higher ratios than those that they call little occluded."""
    data, name = read_json(real_data('coco_val2017_boxes/instances_val2017_boxes.json'))
    ratios = image_ratios(check_ground_truth(data, name, segm=False))
    labels, _ = read_json(real_data('coco_olac/occlusion_label_val.json'))
    levels = {level: [] for level in ('low', 'mid', 'high')}
    for file_stem, level in labels.items():
        levels[level].append(ratios.get(int(file_stem), np.nan))
    low, mid, high = (np.nanmean(levels[level]) for level in ('low', 'mid', 'high'))
    assert low + 0.1 < mid
    assert mid + 0.1 < high
