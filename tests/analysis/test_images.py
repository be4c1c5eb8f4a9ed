"""Images of a folder, as networks take them."""

import numpy as np
import pytest
import torch
from PIL import Image

from mmtied.analysis.images import crop, image_files, read_pixels
from mmtied.evaluation import InputError
from mmtied.utils.pictures import read_picture


def save(path, size=(60, 40), colour=(200, 30, 60), **kwargs):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, colour).save(path, **kwargs)
    return path


def test_files_in_folders_sorted_and_drawn(tmp_path):
    names = ['b.png', 'a/z.JPEG', 'a/y.jpg', 'c.webp']
    for name in names:
        save(tmp_path / name)
    (tmp_path / 'notes.txt').write_text('no image')
    (tmp_path / '._b.png').write_text('what another system leaves')
    assert image_files(tmp_path) == sorted(tmp_path / name for name in names)
    two = image_files(tmp_path, 2, seed=1)
    assert len(two) == 2 and two == image_files(tmp_path, 2, seed=1) == sorted(two)
    assert image_files(tmp_path, 9) == image_files(tmp_path)


def test_bad_folders_and_files(tmp_path):
    with pytest.raises(ValueError, match='absent: no such folder of images'):
        image_files(tmp_path / 'absent')
    with pytest.raises(ValueError, match=r'holds no image; the endings looked for are \.jpg'):
        image_files(tmp_path)
    (tmp_path / 'broken.jpg').write_text('no image')
    with pytest.raises(InputError, match=r'broken\.jpg: not a readable image'):
        read_pixels(image_files(tmp_path), 8)


def test_pixels_are_the_middle(tmp_path):
    picture = np.zeros((64, 128, 3), np.uint8)
    picture[:, :32] = picture[:, 96:] = 255  # what is cut off
    Image.fromarray(picture).save(tmp_path / 'a.png')
    pixels = read_pixels([tmp_path / 'a.png'], 28)
    assert pixels.shape == (1, 3, 28, 28) and pixels.dtype == torch.uint8
    assert (pixels == 0).all()
    assert crop(Image.fromarray(picture), 28).size == (28, 28)
    small = read_pixels([save(tmp_path / 'b.png', (3, 5))], 28)
    assert small[0, :, 14, 14].tolist() == [200, 30, 60]


def test_16_bits_keep_their_highest(tmp_path):
    values = np.linspace(0, 65535, 256, dtype=np.uint16).reshape(16, 16)
    Image.fromarray(values).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(np.asarray(read_picture(tmp_path / 'a.png'))[..., 0], values >> 8)


def test_turned_as_the_camera_says(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    assert read_picture(save(tmp_path / 'a.jpg', (60, 40), exif=exif)).size == (40, 60)
