"""Occluded scenes: their ratio is under control, their masks are modal, their files are COCO's."""

import contextlib
import io
import json

import cv2
import numpy as np
import pytest
from pycocotools.coco import COCO

from mmtied.coco.coco_json import check_ground_truth, read_json
from mmtied.datasets import CLASSES, make_scene, write_scenes
from mmtied.datasets.textures import texture
from mmtied.evaluation import image_ratios


@pytest.mark.parametrize('ratio', [0, 0.05, 0.2, 0.4, 0.6, 0.8, 0.9])
def test_ratio_is_under_control(ratio):
    ratios = np.array([make_scene(np.random.default_rng([1, i]), 128, ratio).ratio for i in range(12)])
    if ratio == 0:
        assert (ratios == 0).all()
    assert np.median(abs(ratios - ratio)) <= 0.01
    assert abs(ratios - ratio).max() <= 0.05


def test_masks_are_modal():
    for i in range(10):
        scene = make_scene(np.random.default_rng(i), 96, 0.7)
        assert scene.image.shape == (96, 96, 3)
        assert scene.image.dtype == np.uint8
        assert sum(mask.astype(int) for mask in scene.masks).max() == 1
        assert min(mask.sum() for mask in scene.masks) >= 30
        assert len(scene.masks) == len(scene.labels) > 1


def test_same_seed_same_scene():
    first, again, other = (make_scene(np.random.default_rng(seed), 96, 0.5) for seed in (3, 3, 4))
    assert (first.image == again.image).all()
    assert first.labels == again.labels
    assert (first.image != other.image).any()


@pytest.mark.parametrize('argument', [dict(size=32, ratio=0.5), dict(size=96, ratio=0.95), dict(size=96, ratio=-0.1)])
def test_bad_arguments(argument):
    with pytest.raises(ValueError, match='must'):
        make_scene(np.random.default_rng(0), **argument)


@pytest.fixture(scope='module')
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp('scenes')
    write_scenes(folder, 'train', 40, size=96, seed=5)
    write_scenes(folder, 'val', 10, size=96, seed=5)
    return folder


def test_files(written):
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO(str(written / 'instances_train.json'))
    assert [category['name'] for category in coco.loadCats(coco.getCatIds())] == list(CLASSES)
    assert len(coco.imgs) == 40
    assert not list(written.glob('*.part'))
    for image in coco.imgs.values():
        picture = cv2.imread(str(written / 'train' / image['file_name']))
        assert picture.shape == (image['height'], image['width'], 3)
    for annotation in coco.anns.values():
        mask = coco.annToMask(annotation)
        assert mask.sum() == annotation['area']
        assert list(cv2.boundingRect(mask)) == annotation['bbox']


def test_ratios_are_spread(written):
    ratios = image_ratios(check_ground_truth(*read_json(written / 'instances_train.json', ''), 'bbox'))
    wanted = np.linspace(-0.1, 0.9, 40).clip(0)
    assert (ratios == 0).sum() >= (wanted == 0).sum() == 4
    assert abs(np.sort(ratios) - wanted).max() <= 0.03


def test_all_classes_are_there_and_splits_differ(written):
    train, val = (json.loads((written / f'instances_{split}.json').read_text()) for split in ('train', 'val'))
    assert {annotation['category_id'] for annotation in train['annotations']} == {1, 2, 3, 4, 5}
    assert train['annotations'][0]['segmentation'] != val['annotations'][0]['segmentation']


class Watched(np.random.Generator):
    """A generator that keeps what it was asked for and gave."""

    def uniform(self, *args, **kwargs):
        value = super().uniform(*args, **kwargs)
        self.__dict__.setdefault('drawn', {}).setdefault(args, []).append(value)
        return value


@pytest.mark.parametrize('half', ['even', 'odd'])
def test_textures_of_a_half_lie_on_its_fields(half):
    used = set()
    for seed in range(200):
        rng = Watched(np.random.PCG64(seed))
        texture(rng, 4, 4, hue=0.5, textures=half)
        angle, period = rng.drawn[0, np.pi][-1], rng.drawn[6, 20][-1]  # what was drawn last is used
        used.add((int(angle / np.pi * 8), int((period - 6) / 14 * 4)))
    assert {(row + column) % 2 for row, column in used} == {half == 'odd'}
    assert {row for row, _ in used} == set(range(8))
    assert {column for _, column in used} == set(range(4))


def test_scenes_of_all_textures_are_what_they_were():
    """The demo's scenes stay: without halves no further random number is drawn."""
    first, again = (make_scene(np.random.default_rng(4), 96, 0.3, *halves) for halves in ((), ('all',)))
    assert (first.image == again.image).all()
    other = make_scene(np.random.default_rng(4), 96, 0.3, 'odd')
    assert other.labels == first.labels and (other.image != first.image).any()
    with pytest.raises(ValueError, match="textures='none' must be one of"):
        make_scene(np.random.default_rng(4), 96, 0.3, 'none')
