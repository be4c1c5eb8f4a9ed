"""The gallery draws the median image of every bin that holds one, with masks where there are masks."""

import cv2
import numpy as np
import pytest
from pycocotools import mask as rle

from mmtied.datasets import write_scenes
from mmtied.evaluation import InputError, evaluate_occlusion
from mmtied.evaluation.coco_input import read_json
from mmtied.evaluation.gallery import decode, median_images, save_gallery


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    truth = write_scenes(folder, 'val', 12, size=96)
    found = [annotation | {'score': 0.9} for annotation in read_json(truth)[0]['annotations']]
    return truth, found, folder / 'val'


@pytest.mark.parametrize('iou_types', [('bbox',), ('bbox', 'segm')])
def test_picture(scenes, iou_types, tmp_path):
    truth, found, images = scenes
    result = evaluate_occlusion(truth, found, iou_types)
    drawn, bare = (
        cv2.imread(str(save_gallery(evaluate_occlusion(truth, entries, iou_types), images, tmp_path / 'gallery.png')))
        for entries in (found, [])
    )
    columns = len(median_images(result))
    assert drawn.shape == bare.shape == (750, 330 * columns, 3)
    half = drawn.shape[0] // 2
    # Detections are drawn below and nowhere else.
    assert (drawn[half:] != bare[half:]).any()
    assert (drawn[100 : half - 40] == bare[100 : half - 40]).all()


def test_median_images(scenes):
    truth, found, _ = scenes
    result = evaluate_occlusion(truth, found)
    for label, image_id in median_images(result).items():
        ids = result.bins.split(result.ratios)[label]
        ratios = sorted(result.ratios[i] for i in ids)
        assert result.ratios[image_id] == ratios[len(ratios) // 2]


def test_missing_image_is_named(scenes, tmp_path):
    truth, found, _ = scenes
    with pytest.raises(InputError, match=r'\.jpg: no such image'):
        save_gallery(evaluate_occlusion(truth, found), tmp_path, tmp_path / 'gallery.png')
    assert not list(tmp_path.iterdir())


def test_all_encodings_of_a_mask():
    mask = np.zeros((8, 9), dtype=np.uint8)
    mask[2:5, 3:7] = 1
    code = rle.encode(np.asfortranarray(mask))
    counts = [3 * 8 + 2, *[3, 5] * 3, 3, 2 * 8 + 3]
    polygon = [[3, 2, 7, 2, 7, 5, 3, 5]]
    for segmentation in (code, {'size': [8, 9], 'counts': counts}, polygon):
        assert (decode(segmentation, {'height': 8, 'width': 9}) == mask).all()
