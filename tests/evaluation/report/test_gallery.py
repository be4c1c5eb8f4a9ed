"""The gallery draws the median image of every bin that holds one, with masks where there are masks."""

import cv2
import pytest

from mmtied.coco.coco_json import read_json
from mmtied.datasets import write_scenes
from mmtied.evaluation import InputError, evaluate_occlusion
from mmtied.evaluation.report.gallery import median_images, save_gallery


@pytest.fixture(scope='module')
def scenes(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    truth = write_scenes(folder, 'val', 12, size=96)
    found = [annotation | {'score': 0.9} for annotation in read_json(truth, '')[0]['annotations']]
    return truth, found, folder / 'val'


@pytest.mark.parametrize('iou_type', ['bbox', 'segm'])
def test_picture(scenes, iou_type, tmp_path):
    truth, found, images = scenes
    drawn, bare = (
        cv2.imread(
            str(
                save_gallery(
                    evaluate_occlusion(truth, entries, iou_type, strict=False), images, tmp_path / 'gallery.png'
                )
            )
        )
        for entries in (found, [])
    )
    columns = len(median_images(evaluate_occlusion(truth, found)))
    assert drawn.shape == bare.shape == (750, 330 * columns, 3)
    half = drawn.shape[0] // 2
    # Detections are drawn below and nowhere else.
    assert (drawn[half:] != bare[half:]).any()
    assert (drawn[100 : half - 40] == bare[100 : half - 40]).all()


def test_median_images(scenes):
    truth, found, _ = scenes
    result = evaluate_occlusion(truth, found)
    chosen = median_images(result)
    for i, row in enumerate(result.bins):
        ratios = sorted(result.ratios[result.image_bins == i])
        assert (row.label in chosen) == bool(ratios)
        if ratios:
            assert result.ratios[chosen[row.label]] == ratios[len(ratios) // 2]


def test_missing_image_is_named(scenes, tmp_path):
    truth, found, _ = scenes
    with pytest.raises(InputError, match=r'\.jpg: no such image'):
        save_gallery(evaluate_occlusion(truth, found), tmp_path, tmp_path / 'gallery.png')
    assert not list(tmp_path.iterdir())


def test_nothing_to_draw_is_said(scenes, tmp_path):
    truth = {'images': [{'id': 1}], 'categories': [{'id': 1}], 'annotations': []}
    with pytest.raises(InputError, match='no image has an instance'):
        save_gallery(evaluate_occlusion(truth, [], strict=False), scenes[2], tmp_path / 'gallery.png')
