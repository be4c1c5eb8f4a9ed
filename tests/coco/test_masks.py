"""Masks: all encodings are one, and wrong ones are found before a library decodes them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as rle

from mmtied.coco.masks import decode, wrong_counts


def test_all_encodings_of_a_mask():
    mask = np.zeros((8, 9), dtype=np.uint8)
    mask[2:5, 3:7] = 1
    code = rle.encode(np.asfortranarray(mask))
    counts = [3 * 8 + 2, *[3, 5] * 3, 3, 2 * 8 + 3]
    polygon = [[3, 2, 7, 2, 7, 5, 3, 5]]
    for segmentation in (code, {'size': [8, 9], 'counts': counts}, polygon):
        assert (decode(segmentation, {'height': 8, 'width': 9}) == mask).all()


@given(st.integers(0, 2**32 - 1))
def test_what_the_reference_encodes_is_right(seed):
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(rng.integers(1, 6)):
        shape = rng.integers(1, 60, 2)
        masks.append(
            rle.encode(np.asfortranarray((rng.random(shape) < rng.choice([0, 0.01, 0.5, 1])).astype(np.uint8)))
        )
    assert wrong_counts(masks) is None
    as_text = [mask | {'counts': mask['counts'].decode()} for mask in masks]
    assert wrong_counts(as_text) is None
    # One pixel more is one too many.
    last = rng.integers(len(masks))
    height, width = masks[last]['size']
    masks[last] = masks[last] | {'size': [height, width + 1]}
    assert wrong_counts(masks) == last


@pytest.mark.parametrize('counts', ['PPP0', 'zzzz', 'é', '', 'o0', '1000000000001', b'\xff', [1, 2], 'P' * 40])
def test_wrong_counts_are_found(counts):
    mask = np.ones((100, 100), dtype=np.uint8, order='F')
    good = rle.encode(mask)
    assert wrong_counts([good, {'size': [100, 100], 'counts': counts}, good]) == 1


def test_many_masks():
    good = rle.encode(np.asfortranarray(np.arange(400).reshape(20, 20) % 3 == 0).astype(np.uint8))
    masks = [good] * 3000
    assert wrong_counts(masks) is None
    masks[2500] = good | {'counts': good['counts'][:-1]}
    assert wrong_counts(masks) == 2500


def test_no_mask():
    assert wrong_counts([]) is None
