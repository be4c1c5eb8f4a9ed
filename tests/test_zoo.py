"""The zoo: every config is in its folder's metafile, in the docs' page, and found by name."""

from pathlib import Path

import pytest
import yaml

from mmtied.analysis.published.zoo import draw_published, page
from mmtied.zoo import config_file, config_files, zoo_root

ROOT = Path(__file__).parents[1]


def models() -> list[dict]:
    metafiles = yaml.safe_load((ROOT / 'model-index.yml').read_text())['Import']
    return [model for metafile in metafiles for model in yaml.safe_load((ROOT / metafile).read_text())['Models']]


def test_every_config_is_in_the_index():
    assert {model['Name']: model['Config'] for model in models()} == {
        name: str(path.relative_to(ROOT)) for name, path in config_files().items()
    }
    # mim finds configs by their names.
    assert len(config_files()) == len(list((ROOT / 'configs').glob('[!_]*/*.py')))


def test_no_weights_are_linked_that_do_not_exist():
    assert not any('Weights' in model for model in models())


def test_configs_by_name():
    assert zoo_root() == ROOT
    path = config_file('mask-rcnn_tiedr50-4s32w_fpn_2x_coco')
    assert Path(path) == ROOT / 'configs/mask_rcnn/mask-rcnn_tiedr50-4s32w_fpn_2x_coco.py'
    with pytest.raises(ValueError, match=r"no config is named 'mask-rcnn_tied50'.* mask-rcnn_"):
        config_file('mask-rcnn_tied50')


@pytest.mark.slow
def test_the_page_in_the_docs_is_made_by_the_code(uninitialised):
    made = page(ROOT)
    assert (ROOT / 'docs/zoo.md').read_text(encoding='utf-8') == made
    for name in config_files():
        assert f'| [{name}](' in made


@pytest.mark.slow
def test_figure_shows_the_published_numbers(uninitialised):
    figure = draw_published(ROOT)
    shown = {
        (axes.get_title(), text.get_text()): tuple(line.get_xydata()[0])
        for axes in figure.axes
        for text, line in zip(axes.texts, axes.lines)
    }
    assert len(shown) == 6 + 3 + 2 * 11
    assert shown['RetinaNet, 2x: published box AP', 'tiedr50-4s32w'] == pytest.approx((20.0, 38.6), abs=0.1)
    assert shown['Mask R-CNN, 2x: published mask AP', 'x101-32x8d'] == pytest.approx((86.7, 38.3), abs=0.1)
