"""Test-time augmentation, as a config that `test` makes of another."""

from mmengine.config import Config

from mmtied.commands.test import augment
from mmtied.zoo import config_file


def augmented(name: str, **settings) -> tuple[Config, Config]:
    before, after = (Config.fromfile(config_file(name)) for _ in range(2))
    after.update(settings)
    augment(after)
    return before, after


def test_a_detector_sees_each_image_and_its_mirror_image():
    before, after = augmented('cascade-rcnn_tiedr50-4s32w_fpn_1x_coco')
    assert (after.model.type, after.model.module) == ('DetTTAModel', before.model)
    *first, last = after.test_dataloader.dataset.pipeline
    assert first == before.test_dataloader.dataset.pipeline[:-1]
    flips, (pack,) = last.transforms
    assert [flip.prob for flip in flips] == [1, 0]
    assert pack.meta_keys[-2:] == ('flip', 'flip_direction')
    # The others are as they were.
    assert after.val_dataloader == before.val_dataloader


def test_a_classifier_keeps_its_normalisation():
    before, after = augmented('tiedresnet50-4s32w_8xb32_in1k')
    assert after.model.type == 'AverageClsScoreTTA'
    assert after.model.module.data_preprocessor == before.data_preprocessor
    assert after.test_dataloader.dataset.pipeline[-1].transforms[1] == [before.test_dataloader.dataset.pipeline[-1]]


def test_a_config_of_mmdet_that_has_its_own_way_keeps_it():
    before, after = augmented('retinanet_tiedr50-4s32w_fpn_1x_coco')
    assert after.test_dataloader.dataset.pipeline == before.tta_pipeline
    assert (after.model.type, after.model.tta_cfg) == (before.tta_model.type, before.tta_model.tta_cfg)


def test_what_a_config_says_of_it_decides():
    _, after = augmented(
        'tiedresnet50-4s32w_8xb32_in1k', tta_model=dict(type='Mine', weight=2), tta_pipeline=[dict(type='Load')]
    )
    assert (after.model.type, after.model.weight) == ('Mine', 2)
    assert after.test_dataloader.dataset.pipeline == [dict(type='Load')]
