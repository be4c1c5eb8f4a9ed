"""Pictures as people see them, in the pixels that annotations refer to."""

import numpy as np
import pytest
from PIL import Image

from mmtied.utils.errors import InputError
from mmtied.utils.pictures import drawn_size, open_picture, read_picture, scaling


def save(path, size, turn=None):
    picture = Image.fromarray(np.zeros((size[1], size[0], 3), dtype=np.uint8))
    exif = picture.getexif()
    if turn:
        exif[0x0112] = turn
    picture.save(path, exif=exif)
    return path


@pytest.mark.parametrize('turn', [None, *range(1, 9)])
def test_upright_as_opencv_reads_it(tmp_path, turn):
    import cv2

    path = save(tmp_path / 'a.jpg', (60, 40), turn)
    assert read_picture(path).size == cv2.imread(str(path)).shape[1::-1]


def test_another_size_than_the_ground_truth_says():
    picture = Image.new('RGB', (100, 50))
    assert scaling(picture, {'width': 100, 'height': 50}) == scaling(picture, {}) == ''
    assert drawn_size(picture, {}) == (100, 50)
    assert drawn_size(picture, {'width': 200, 'height': 90}) == (200, 90)
    assert scaling(picture, {'width': 200, 'height': 90}) == (
        'scaled: the picture is 100x50, the ground truth says 200x90'
    )


def test_no_file_name(tmp_path):
    with pytest.raises(InputError, match=r"image 7 of the ground truth has no 'file_name'"):
        open_picture(tmp_path, {'id': 7, 'file_name': ''})
