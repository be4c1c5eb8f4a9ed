"""The occlusion ratio against counting pixels, and on all of COCO val2017."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as rle
from scipy.stats import spearmanr

from mmtied.coco.coco_json import check_ground_truth, read_json
from mmtied.evaluation import OcclusionBins, image_ratios, instance_occlusion, instance_ratios, occlusion_ratio

SIZE = 30
boxes = st.lists(st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(0, 9)] * 2), min_size=1, max_size=8)
seeds = st.integers(0, 2**32 - 1)


def rasters(boxes) -> np.ndarray:
    """Boxes on a raster, which is exact for whole pixels, (n, SIZE, SIZE)."""
    masks = np.zeros((len(boxes), SIZE, SIZE), dtype=bool)
    for mask, (x, y, w, h) in zip(masks, boxes):
        mask[y : y + h, x : x + w] = True
    return masks


def blobs(seed: int) -> np.ndarray:
    """Masks with holes and separate parts, some empty, (n, SIZE, SIZE)."""
    rng = np.random.default_rng(seed)
    masks = rng.random((rng.integers(1, 6), SIZE, SIZE)) < rng.choice([0.05, 0.5])
    masks[:, :, rng.integers(0, SIZE) :] = False
    return masks


def encoded(masks: np.ndarray) -> list[dict]:
    return rle.encode(np.asfortranarray(masks.transpose(1, 2, 0).astype(np.uint8)))


def covered_pixels(masks: np.ndarray, covers: np.ndarray) -> np.ndarray:
    """Pixels of each mask that are inside the cover of any other instance."""
    return np.array([(mask & np.delete(covers, i, 0).any(0)).sum() for i, mask in enumerate(masks)])


def by_pixels(masks: np.ndarray, definition: str) -> tuple[float, float]:
    """The definitions, pixel by pixel: overlap, and what it is divided by."""
    count = masks.sum(0)
    if definition == 'covered':
        return covered_pixels(masks, masks).sum(), masks.sum()
    if definition == 'union':
        return (count > 1).sum(), (count > 0).sum()
    return sum((a & b).sum() for i, a in enumerate(masks) for b in masks[:i]), masks.sum()


@given(boxes, st.sampled_from(['covered', 'union', 'pairwise']))
def test_boxes_equal_counting_pixels(boxes, definition):
    overlap, total = by_pixels(rasters(boxes), definition)
    ratio = occlusion_ratio(np.array(boxes), definition=definition)
    assert ratio == pytest.approx(overlap / total if total else 0, abs=1e-12)
    assert (ratio == 0) == (overlap == 0)


@given(seeds, st.sampled_from(['covered', 'union', 'pairwise']))
def test_masks_equal_counting_pixels(seed, definition):
    masks = blobs(seed)
    overlap, total = by_pixels(masks, definition)
    ratio = occlusion_ratio(masks=encoded(masks), definition=definition)
    assert ratio == pytest.approx(overlap / total if total else 0, abs=1e-12)


@given(boxes, seeds)
def test_hybrid_equals_counting_pixels(boxes, seed):
    rng = np.random.default_rng(seed)
    covers = rasters(boxes)
    masks = covers & (rng.random(covers.shape) < 0.7)
    pixels, areas = covered_pixels(masks, covers), masks.sum((1, 2))
    ratio = occlusion_ratio(np.array(boxes), encoded(masks), 'hybrid')
    assert ratio == pytest.approx(pixels.sum() / areas.sum() if areas.sum() else 0, abs=1e-12)
    shares = instance_occlusion(np.array(boxes), encoded(masks), 'hybrid')
    assert shares == pytest.approx(np.where(areas > 0, pixels / np.maximum(areas, 1), 0), abs=1e-12)


@given(boxes)
def test_instances_equal_counting_pixels(boxes):
    masks = rasters(boxes)
    pixels, areas = covered_pixels(masks, masks), masks.sum((1, 2))
    wanted = np.where(areas > 0, pixels / np.maximum(areas, 1), 0)
    for shares in (instance_occlusion(np.array(boxes)), instance_occlusion(masks=encoded(masks))):
        assert shares == pytest.approx(wanted, abs=1e-12)
        assert ((shares == 0) == (wanted == 0)).all()


@given(boxes, seeds, st.sampled_from(['covered', 'union', 'pairwise']))
def test_same_class_sums_over_the_classes(boxes, seed, definition):
    classes = np.random.default_rng(seed).integers(0, 3, len(boxes))
    parts = [by_pixels(rasters(np.array(boxes)[classes == value]), definition) for value in np.unique(classes)]
    overlap, total = np.sum(parts, 0)
    ratio = occlusion_ratio(np.array(boxes), definition=definition, classes=classes)
    assert ratio == pytest.approx(overlap / total if total else 0, abs=1e-12)
    shares = instance_occlusion(np.array(boxes), classes=classes)
    for value in np.unique(classes):
        assert shares[classes == value] == pytest.approx(instance_occlusion(np.array(boxes)[classes == value]))


@given(boxes, st.floats(0.1, 50), st.floats(-100, 100), st.randoms())
def test_does_not_depend_on_scale_place_or_order(boxes, scale, shift, random):
    wanted = occlusion_ratio(np.array(boxes))
    shuffled = random.sample(boxes, len(boxes))
    moved = np.array(shuffled) * scale + [shift, -shift, 0, 0]
    # Corners are rounded to six decimals, so that a cell of .1 x .1 or more errs by 2e-5 of its area at most; both the
    # overlap and the total are sums of such cells.
    assert occlusion_ratio(moved) == pytest.approx(wanted, abs=1e-4)


@pytest.mark.parametrize(
    'boxes, ratio',
    [
        ([[0, 0, 4, 4]], 0),
        ([[0, 0, 4, 4], [4, 0, 4, 4]], 0),  # they touch
        ([[0.1, 0, 0.2, 1], [0.30000000000000001, 0, 1, 1]], 0),  # .1 + .2 is not .3 in floats
        ([[0, 0, 4, 4], [0, 0, 4, 4]], 1),
        ([[0, 0, 4, 4], [0, 0, 2, 4]], 16 / 24),
        ([[0, 0, 4, 4], [1, 1, 0, 5]], 0),  # no width, no area
        ([[0, 0, 0, 0]], 0),
        ([[-3, -3, 4, 4], [0, 0, 1, 1]], 2 / 17),  # past the edge of the image
    ],
)
def test_cases(boxes, ratio):
    assert occlusion_ratio(np.array(boxes)) == pytest.approx(ratio)
    assert (occlusion_ratio(np.array(boxes)) == 0) == (ratio == 0)


def test_pairwise_may_exceed_one():
    assert occlusion_ratio(np.array([[0, 0, 4, 4]] * 4), definition='pairwise') == 6 / 4


def test_no_instance_has_no_ratio():
    assert np.isnan(occlusion_ratio(np.empty((0, 4))))
    assert np.isnan(occlusion_ratio(masks=[]))
    assert instance_occlusion(np.empty((0, 4))).shape == (0,)


@pytest.mark.parametrize(
    'arguments, named',
    [
        (dict(boxes=[[0, 0, 1]]), r'shape \(1, 3\)'),
        (dict(boxes=[[0, 0, -1, 1]]), 'negative'),
        (dict(boxes=[[0, 0, np.nan, 1]]), 'finite'),
        (dict(boxes=[[0, 0, 1, 1]], definition='overlap'), "definition='overlap' must be one of"),
        (dict(boxes=[[0, 0, 1, 1]], definition='hybrid'), 'needs both'),
        (dict(boxes=[[0, 0, 1, 1]], masks=[{}]), 'needs either boxes or masks'),
        (dict(), 'needs either boxes or masks'),
        (dict(masks=[[[0, 0, 4, 0, 4, 4]]]), 'masks: each must be a compressed run-length encoding'),
        (dict(masks=encoded(np.ones((1, 9, 9))) + encoded(np.ones((1, 8, 8)))), 'masks: all must have the same size'),
        (dict(boxes=[[0, 0, 1, 1]], classes=[1, 2]), r'classes: shape \(2,\) must be \(1,\)'),
    ],
)
def test_bad_arguments(arguments, named):
    with pytest.raises(ValueError, match=named):
        occlusion_ratio(**arguments)


def test_instances_know_no_union():
    with pytest.raises(ValueError, match="definition='union' must be 'covered' or 'hybrid'"):
        instance_occlusion([[0, 0, 1, 1]], definition='union')


def test_many_boxes_take_little_memory():
    """Two thousand boxes in a row, each half over the next: a grid of 4,000 x 2 corners, and of 4,000 x 4,000."""
    steps = np.arange(2000.0)
    row = np.stack([steps, 0 * steps, 0 * steps + 2, 0 * steps + 4], 1)
    assert occlusion_ratio(row) == pytest.approx(1 - 2 / 4000)
    stairs = row + np.stack([0 * steps, steps, 0 * steps, 0 * steps], 1)
    # Each overlaps the next by 1 x 3 of its 2 x 4; where both neighbours overlap, they do not meet.
    assert occlusion_ratio(stairs) == pytest.approx((2 * 1999 * 3) / (2000 * 8))


@pytest.mark.parametrize('ignored_occlude', [False, True])
def test_images_together_have_the_ratios_of_each(ignored_occlude):
    rng = np.random.default_rng(0)
    images = [{'id': i} for i in range(60)]
    annotations = []
    for image in images[:55]:
        for _ in range(rng.integers(1, 75)):
            box = [*rng.integers(0, 60, 2).tolist(), *rng.integers(0, 30, 2).tolist()]
            flags = {'iscrowd': int(rng.random() < 0.1), 'ignore': int(rng.random() < 0.3)}
            annotations.append({'image_id': image['id'], 'category_id': 1, 'bbox': box} | flags)
    data = {'images': images, 'annotations': annotations, 'categories': [{'id': 1}]}
    truth = check_ground_truth(data, 'truth')
    ratios = image_ratios(truth, ignored_occlude=ignored_occlude)
    for index in range(len(images)):
        rows = (truth.image == index) & (~truth.iscrowd if ignored_occlude else ~truth.uncounted)
        wanted = occlusion_ratio(truth.bbox[rows], counted=~truth.ignore[rows])
        assert ratios[index] == pytest.approx(wanted, rel=1e-12, nan_ok=True)


def test_crowds_are_left_out():
    annotations = [
        dict(image_id=7, category_id=1, bbox=[0, 0, 4, 4]),
        dict(image_id=7, category_id=2, bbox=[2, 0, 4, 4]),
        dict(image_id=7, category_id=1, bbox=[0, 0, 9, 9], iscrowd=1),
        dict(image_id=3, category_id=1, bbox=[0, 0, 9, 9], iscrowd=1),
    ]
    data = dict(
        images=[dict(id=7), dict(id=3), dict(id=5)], categories=[dict(id=1), dict(id=2)], annotations=annotations
    )
    truth = check_ground_truth(data, 'gt')
    ratios = image_ratios(truth)  # in the order of the ids 3, 5, 7
    assert np.isnan(ratios[:2]).all()
    assert ratios[2] == 0.5
    assert image_ratios(truth, same_class=True)[2] == 0
    assert instance_ratios(truth).tolist()[:2] == [0.5, 0.5]
    assert np.isnan(instance_ratios(truth)[2:]).all()


@pytest.fixture
def val2017(real_data):
    path = real_data('coco_val2017_boxes/instances_val2017_boxes.json')
    return check_ground_truth(*read_json(path, ''))


@pytest.mark.parametrize(
    'definition, images, largest',
    [
        ('covered', [2440, 1002, 789, 537, 184], 0.996),
        ('union', [3157, 1022, 528, 190, 55], 0.991),
        ('pairwise', [3288, 1100, 435, 103, 26], 1.38),
    ],
)
def test_coco_val2017(val2017, definition, images, largest):
    ratios = image_ratios(val2017, definition)
    # No ratio is nearer than 3e-6 to an edge: its last bit does not decide its bin.
    assert np.bincount(OcclusionBins(zero_bin=False).assign(ratios)).tolist() == images
    assert np.bincount(OcclusionBins().assign(ratios))[0] == 985
    assert ratios.max() == pytest.approx(largest, abs=5e-3 if largest > 1 else 5e-4)


def test_coco_masks(real_data):
    path = real_data('cocoapi_val2014_100/instances_val2014_100.json')
    truth = check_ground_truth(*read_json(path, ''), masks=True)
    hybrid = image_ratios(truth, 'hybrid')
    assert np.bincount(OcclusionBins(zero_bin=False).assign(hybrid)).tolist() == [54, 22, 11, 8, 5]
    assert hybrid.max() == pytest.approx(0.945, abs=5e-4)
    assert image_ratios(truth, region='segm').max() == pytest.approx(0.62, abs=5e-3)


def test_agrees_with_human_labels(val2017, real_data):
    """Images that people call highly occluded have higher ratios than those that they call little occluded."""
    ratios = dict(zip((image['id'] for image in val2017.images), image_ratios(val2017)))
    labels, _ = read_json(real_data('coco_olac/occlusion_label_val.json'), '')
    pairs = [
        (ratios[int(stem)], ('low', 'mid', 'high').index(level))
        for stem, level in labels.items()
        if int(stem) in ratios
    ]
    assert len(pairs) == 4952
    assert 0.6 < spearmanr(*zip(*pairs)).statistic < 0.75
