"""The options that training and testing share."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import pytest
from mmengine.config import Config

from mmtied.commands.command_line import add_config_arguments, load_config
from mmtied.utils.errors import InputError
from mmtied.zoo import config_file


def load(config: str | Path, *options: str) -> Config:
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    return load_config(parser.parse_args([str(config), *options]))


def texts(value) -> Iterator[str]:
    """All texts in a config, its keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)
    elif isinstance(value, dict | Config):
        for inner in value.values():
            yield from texts(inner)


# A config of each data set, its folder, and something that it names outside.
DATA = {
    'mask-rcnn_tiedr50-4s32w_fpn_2x_coco': 'data/coco',
    'mask-rcnn_tiedr50-4s32w_fpn_1x_cityscapes': 'data/cityscapes',
    'faster-rcnn_tiedr50-4s32w_fpn_1x_voc0712': 'data/VOCdevkit',
    'tiedresnet50-4s32w_8xb32_in1k': 'data/imagenet',
    'mask-rcnn_tiedr26-mini_fpn_8e_shapes': 'data/occluded_shapes',
}


@pytest.mark.parametrize('name', DATA)
def test_the_data_root_is_moved_wherever_a_config_names_it(name, monkeypatch):
    monkeypatch.delenv('MMTIED_SHAPES', raising=False)
    as_it_is, moved = load(config_file(name)), load(config_file(name), '--data-root', '/elsewhere/my\\1')
    before, after = list(texts(as_it_is._cfg_dict)), list(texts(moved._cfg_dict))
    root = DATA[name]
    # Every dataloader and evaluator has some.
    assert sum(text.startswith(root) for text in before) >= 3
    assert not any(text.startswith(root) for text in after)
    assert after == ['/elsewhere/my\\1' + text.removeprefix(root) if text.startswith(root) else text for text in before]


def test_mmdets_way_of_saying_so_is_the_same():
    name = config_file('retinanet_r50_fpn_1x_coco')
    options = ['--cfg-options', 'data_root=/coco/', 'train_dataloader.batch_size=1']
    config = load(name, *options)
    assert config.train_dataloader.batch_size == 1
    assert config._cfg_dict == load(name, '--data-root', '/coco', '--cfg-options', options[-1])._cfg_dict
    assert config.val_evaluator[1].ann_file == '/coco/annotations/instances_val2017.json'


def test_options_are_known_to_a_command_and_have_the_last_word(tmp_path):
    (tmp_path / 'config.py').write_text('depth, frozen, norms = 50, 0, 0\n')
    parser = argparse.ArgumentParser()
    add_config_arguments(parser)
    args = parser.parse_args([str(tmp_path / 'config.py'), '--cfg-options', 'depth=26', 'frozen=-1'])
    seen = []

    def adapt(config: Config) -> None:
        seen.append(config.depth)  # A checkpoint is compared with the network of this depth.
        config.update(frozen=1, norms=1)

    config = load_config(args, adapt)
    assert (seen, config.depth, config.frozen, config.norms) == ([26], 26, -1, 1)


def test_other_folders_whose_names_begin_alike_stay(tmp_path):
    path = tmp_path / 'config.py'
    path.write_text("dataset = dict(data_root='data/coco/')\nothers = ('data/coco', 'data/coco_2', 'x/data/coco/y')\n")
    config = load(path, '--data-root', 'there/')
    assert (config.dataset.data_root, config.others) == ('there/', ('there', 'data/coco_2', 'x/data/coco/y'))


@pytest.mark.parametrize(
    'text, found',
    [
        ("dataset = dict(ann_file='a.json')", 'the config has none'),
        ("a, b = dict(data_root='one'), dict(data_root='two/')", 'the config has several: one, two'),
    ],
)
def test_a_data_root_takes_the_place_of_exactly_one(tmp_path, text, found):
    (tmp_path / 'config.py').write_text(text)
    with pytest.raises(InputError, match=f'--data-root: .*{found}'):
        load(tmp_path / 'config.py', '--data-root', 'there')
