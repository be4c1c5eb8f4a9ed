"""The zoo: every config is in its folder's metafile, in the docs' page, and found by name."""

from functools import cache
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope

import mmtied.models  # noqa: F401
from mmtied.analysis.published.zoo import draw_published, listing, metafiles, page
from mmtied.zoo import config_file, config_files, zoo_root

ROOT = Path(__file__).parents[1]


def models() -> list[dict]:
    return [model for content in metafiles(ROOT) for model in content['Models']]


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


@cache
def parameters(scope: str, backbone: str) -> int:
    """Count a backbone, given as the text of its config."""
    init_default_scope(scope)
    return sum(
        p.numel() for p in MODELS.build(Config.fromstring(f'backbone = {backbone}', '.py').backbone).parameters()
    )


@pytest.mark.slow
def test_sizes_are_those_of_the_backbones(uninitialised):
    for model in models():
        config = Config.fromfile(ROOT / model['Config'])
        backbone = {key: value for key, value in config.model.backbone.to_dict().items() if key != 'init_cfg'}
        wanted = parameters(config.default_scope, repr(backbone))
        assert model['Metadata']['Backbone Parameters'] == wanted, f'{model["Name"]} in its metafile.yml: {wanted}'


def test_the_page_in_the_docs_is_made_by_the_code():
    made = page(ROOT)
    assert (ROOT / 'docs/zoo.md').read_text(encoding='utf-8') == made
    for name in config_files():
        assert f'| [{name}](' in made


@pytest.mark.parametrize('pattern, names', [
    ('tiedr50-4s18w_fpn_2x', ['mask-rcnn_tiedr50-4s18w_fpn_2x_coco', 'retinanet_tiedr50-4s18w_fpn_2x_coco']),
    ('retinanet_r*_1x_*', ['retinanet_r101_fpn_1x_coco', 'retinanet_r50_fpn_1x_coco']),
    ('*_tiedr50-4s32w_fpn_?x_voc0712', ['faster-rcnn_tiedr50-4s32w_fpn_1x_voc0712']),
])  # fmt: skip
def test_configs_by_pattern(pattern, names):
    assert sorted(config_files(pattern)) == names


def test_a_pattern_that_fits_nothing_has_similar_names():
    for pattern in ('mask-rcnn_tied50_fpn', '*mask-rcnn_tied50_fpn*'):
        with pytest.raises(ValueError, match=r"no config's name fits '\*mask-rcnn_tied50_fpn\*'; there are mask-rcnn_"):
            config_files(pattern)


def test_the_list_has_size_result_and_commands():
    lines = listing(ROOT, config_files()).splitlines()
    assert len(lines) > len(config_files())
    rows = {line.split('  ')[0]: line.split() for line in lines}
    assert rows['mask-rcnn_tiedr50-4s18w_fpn_2x_coco'][1:] == ['box', 'AP', '39.6,', 'mask', 'AP', '36.2', '11.86']
    assert rows['cascade-rcnn_tiedr50-4s32w_fpn_1x_coco'][1:] == ['-', '19.98']
    assert 'tiedresnet50-4s32w_8xb32_in1k: Tables 5 and 6 print 77.61, 93.62' in lines
    # In the order of the page.
    order = [line.split('](')[0].removeprefix('| [') for line in page(ROOT).splitlines() if line.startswith('| [')]
    assert [line.split('  ')[0] for line in lines[1 : len(order) + 1]] == order
    assert lines[-2:] == [
        'train: .venv/bin/python tools/train.py CONFIG --auto-scale-lr',
        'test:  .venv/bin/python tools/test.py CONFIG CHECKPOINT',
    ]
    (name,) = config_files('retinanet_tiedr50-4s32w_fpn_1x')
    assert listing(ROOT, [name]).splitlines()[-1] == f'test:  .venv/bin/python tools/test.py {name} CHECKPOINT'


def test_the_command_lists_or_writes(run_tool, tmp_path):
    status, out, _ = run_tool('zoo.py', 'retinanet_tiedr50*_1x_*')
    assert (status, [line.split('  ')[0] for line in out.splitlines()[1:4]]) == (
        0,
        ['retinanet_tiedr50-4s18w_fpn_1x_coco', 'retinanet_tiedr50-4s32w_fpn_1x_coco', ''],
    )
    status, _, err = run_tool('zoo.py', 'retinanet_tiedr5_fpn_1x_coco')
    assert status == 2 and "error: no config's name fits '*retinanet_tiedr5_fpn_1x_coco*'; there are retinanet_" in err
    status, _, err = run_tool('zoo.py', 'retinanet', '--out', tmp_path / 'zoo.md')
    assert status == 2 and 'pattern: chooses what is listed' in err
    assert run_tool('zoo.py', '--out', tmp_path / 'zoo.md')[0] == 0
    assert (tmp_path / 'zoo.md').read_text(encoding='utf-8') == page(ROOT)


@pytest.mark.slow
def test_figure_shows_the_published_numbers():
    figure = draw_published(ROOT)
    shown = {
        (axes.get_title(), text.get_text()): tuple(line.get_xydata()[0])
        for axes in figure.axes
        for text, line in zip(axes.texts, axes.lines)
    }
    assert len(shown) == 6 + 3 + 2 * 11
    assert shown['RetinaNet, 2x: published box AP', 'tiedr50-4s32w'] == pytest.approx((20.0, 38.6), abs=0.1)
    assert shown['Mask R-CNN, 2x: published mask AP', 'x101-32x8d'] == pytest.approx((86.7, 38.3), abs=0.1)
