"""The gallery draws the median image of every bin that holds one, with masks where there are masks."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mmtied.coco.coco_json import read_json
from mmtied.datasets import write_scenes
from mmtied.evaluation import InputError, compare_occlusion, evaluate_occlusion
from mmtied.evaluation.report.gallery import median_images, save_gallery, without_file


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
    assert drawn.shape == bare.shape
    assert drawn.shape[1:] == (330 * columns, 3)
    half = 750 // 2  # The legend makes the figure higher.
    # Detections are drawn below and nowhere else.
    assert (drawn[half:] != bare[half:]).any()
    assert (drawn[100 : half - 40] == bare[100 : half - 40]).all()


def test_a_row_for_each_detector(scenes, tmp_path):
    truth, found, images = scenes
    alone = cv2.imread(str(save_gallery(evaluate_occlusion(truth, found), images, tmp_path / 'alone.png')))
    several = compare_occlusion(truth, found, found[::2], more=[found[:1]], names=['a', 'b', 'c'])
    drawn = cv2.imread(str(save_gallery(several, images, tmp_path / 'several.png')))
    assert drawn.shape[0] - alone.shape[0] == 2 * 2.5 * 150
    assert drawn.shape[1] == alone.shape[1]


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


def red_box(path) -> tuple[int, int, int, int]:
    """Return where a picture is red: left, top, right, bottom of the first panel's patch."""
    picture = cv2.imread(str(path))[: 750 // 2].astype(int)
    rows, columns = ((picture[..., 2] > 200) & (picture[..., :2].max(2) < 60)).nonzero()
    return columns.min(), rows.min(), columns.max(), rows.max()


@pytest.mark.parametrize('turn, size', [(1, (100, 200)), (6, (100, 200)), (1, (500, 1000))])
def test_the_box_is_on_the_object(tmp_path, turn, size):
    """The camera turned the picture, or the ground truth has another size: the outline lies about the red patch."""
    width, height = size
    upright = np.full((200, 100, 3), 255, dtype=np.uint8)
    upright[40:120, 20:80] = (255, 0, 0)
    picture = Image.fromarray(np.rot90(upright) if turn == 6 else upright)
    exif = picture.getexif()
    exif[0x0112] = turn
    picture.save(tmp_path / 'a.png', exif=exif)
    scale = width / 100
    entry = {'image_id': 1, 'category_id': 1, 'bbox': [20 * scale, 40 * scale, 60 * scale, 80 * scale]}
    images = [{'id': 1, 'file_name': 'a.png', 'width': width, 'height': height}]
    truth = {'images': images, 'categories': [{'id': 1, 'name': 'red'}], 'annotations': [entry]}
    result = evaluate_occlusion(truth, [entry | {'score': 0.9}], 'bbox')
    patch = red_box(save_gallery(result, tmp_path, tmp_path / 'gallery.png'))
    outline = cv2.imread(str(tmp_path / 'gallery.png'))[: 750 // 2].astype(int)
    blue = np.abs(outline - (180, 119, 31)).max(2) < 40  # the colour of the first class
    rows, columns = blue.nonzero()
    found = columns.min(), rows.min(), columns.max(), rows.max()
    assert np.abs(np.subtract(found, patch)).max() <= 6


def test_images_without_a_file_name_are_passed_over(scenes, tmp_path):
    truth, found, images = scenes
    data = read_json(truth, '')[0]
    lost = data['images'][0]
    data = data | {'images': [lost | {'file_name': None}, *data['images'][1:]]}
    result = evaluate_occlusion(data, found)
    index = [image['id'] for image in result.ground_truth.images].index(lost['id'])
    assert index not in median_images(result).values()
    assert without_file(result) == "1 image has no 'file_name', so it cannot be drawn"
    save_gallery(result, images, tmp_path / 'gallery.png')
