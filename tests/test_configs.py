"""Every config builds, takes a training step and infers, at a small input size; found by looking, not by a list."""

import re
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample
from torch import nn

from mmtied.models.residual_backbone import ResidualBackbone

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs').glob('[!_]*/*.py'))
# A detector and a classifier that are trained by `make fast` too.
QUICK = ('retinanet_tiedr50-4s32w_fpn_1x_coco', 'tiedresnet50-4s32w_8xb32_in1k')


def networks():
    """Yield one config of each model and optimizer: those that differ in schedule, data or weights alone share them."""
    found: dict[str, Path] = {}
    for path in CONFIGS:
        config = Config.fromfile(path)
        offline(config.model, [])
        found.setdefault(repr((config.model, config.get('data_preprocessor'), config.optim_wrapper)), path)
    for path in found.values():
        yield pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else [pytest.mark.slow])


def detection_batch(size: int = 96) -> dict:
    masks = np.zeros((2, size, size), dtype=np.uint8)
    masks[0, 10:60, 10:60] = masks[1, 30:90, 40:90] = 1
    boxes = torch.tensor([[10.0, 10, 60, 60], [40, 30, 90, 90]])
    samples = []
    for _ in range(2):
        instances = InstanceData(bboxes=boxes, labels=torch.tensor([0, 0]), masks=BitmapMasks(masks, size, size))
        meta = dict(img_shape=(size, size), ori_shape=(size, size), batch_input_shape=(size, size), scale_factor=(1, 1))
        samples.append(DetDataSample(gt_instances=instances, metainfo=meta))
    return {
        'inputs': [torch.randint(0, 255, (3, size, size), dtype=torch.uint8) for _ in range(2)],
        'data_samples': samples,
    }


def classification_batch(size: int = 64) -> dict:
    return {
        'inputs': [torch.randint(0, 255, (3, size, size), dtype=torch.uint8) for _ in range(2)],
        'data_samples': [DataSample().set_gt_label(label) for label in (3, 7)],
    }


def few_regions(cfg) -> None:
    """Make the second stage look at few regions: what it does with each is the same, and takes most of the time."""
    few = {'nms_pre': 50, 'max_per_img': 20, 'num': 16}
    for key, value in cfg.items():
        if key in few and isinstance(value, int):
            cfg[key] = few[key]
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, dict):
                few_regions(part)


def offline(cfg, found: list) -> None:
    """Take out what downloads weights, and collect it."""
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, dict) and 'checkpoint' in (value.get('init_cfg') or {}):
            found.append(value.init_cfg.checkpoint)
            value.init_cfg = None
        if isinstance(value, dict | list):
            offline(value, found)


# Epochs and milestones of the schedules that names end with.
SCHEDULES = {
    '_1x_coco': (12, [8, 11]),
    '_2x_coco': (24, [16, 22]),
    '_20e_coco': (20, [16, 19]),
    '_6x_coco': (73, [65, 71]),
    '_1x_cityscapes': (8, [7]),
    '_1x_voc0712': (4, [3]),
    '_8xb32_in1k': (100, [30, 60, 90]),
    '_8xb32-100e_in1k': (100, [30, 60, 90]),
}


def depth_of(path: Path) -> int | None:
    """The depth of the backbone that the name says."""
    depth = re.search(r'(?:r|x|se|net|next|nest)(26|50|101)\b', path.stem.replace('-', ' ').replace('_', ' '))
    return int(depth[1]) if depth else None


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_says_what_its_name_says(path):
    config = Config.fromfile(path)
    assert any(hook['type'] == 'SyncBuffersHook' for hook in config.custom_hooks)
    assert config.test_evaluator == config.val_evaluator
    for end, (epochs, milestones) in SCHEDULES.items():
        if path.stem.endswith(end):
            schedule = (
                config.param_scheduler if isinstance(config.param_scheduler, dict) else config.param_scheduler[-1]
            )
            assert (config.train_cfg.max_epochs, schedule['milestones']) == (epochs, milestones)
    if path.stem.endswith('in1k'):
        optimizer = config.optim_wrapper.optimizer
        assert (optimizer.type, optimizer.lr, optimizer.momentum) == ('SGD', 0.1, 0.9)
        assert config.auto_scale_lr.base_batch_size == 8 * config.train_dataloader.batch_size == 256
    elif 'mini' not in path.stem:
        assert config.auto_scale_lr.base_batch_size == 8 * config.train_dataloader.batch_size
    backbone = config.model.backbone
    kind = re.search(r'tied(r|x|se|resnet|resnext|senet|resnest)\d', path.stem)
    if kind and '-tiedse' not in path.stem:
        wanted = {'r': 'ResNet', 'resnet': 'ResNet', 'x': 'ResNeXt', 'resnext': 'ResNeXt', 'resnest': 'ResNeSt'}
        assert backbone.type == 'Tied' + wanted.get(kind[1], 'SENet')
    depth = depth_of(path)
    if depth and backbone.type != 'TIMMBackbone':
        assert backbone.depth == depth
    width = re.search(r'(\d)s(\d\d)w', path.stem)
    if width:
        built = MODELS.build(dict(backbone, type=f'mmtied.{backbone.type}', init_cfg=None)).layer1[0]
        assert (len(built.splits), built.splits[0].out_channels) == (int(width[1]), int(width[2]))
    attention = re.search(r'(tiedse|tiedgcb|groupgcb|gcb)(\d?)(?=[-_])', path.stem)
    if attention and backbone.type == 'TiedBackbone':
        assert backbone.se_blocks == int(attention[2])
    elif attention and 'plugins' in backbone:
        cfg = backbone.plugins[0].cfg
        assert cfg.type == ('ContextBlock' if attention[1] == 'gcb' else 'TiedGCB')
        assert cfg.ratio == 1 / 4 and tuple(backbone.plugins[0].stages) == (False, True, True, True)
        if attention[1] == 'tiedgcb':
            assert (cfg.blocks, cfg.get('groups', 1)) == (int(attention[2]), 1)
        elif attention[1] == 'groupgcb':
            assert (cfg.blocks, cfg.groups) == (1, int(attention[2]))


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_detectors_are_evaluated_by_occlusion_and_tied_networks_start_from_scratch(path):
    config = Config.fromfile(path)
    downloads = []
    offline(config.model, downloads)
    if 'tied' in path.stem and '-tied' not in path.stem:
        assert config.get('load_from') is None
        assert downloads == ([f'work_dirs/tiedresnet{depth_of(path)}_warm.pth'] if '-warm_' in path.stem else [])
    if config.default_scope != 'mmpretrain':
        assert 'mmtied.OcclusionMetric' in [metric['type'] for metric in np.atleast_1d(config.test_evaluator)]


def check_norms_from_scratch(config: Config, model: nn.Module) -> None:
    """No norm needs the statistics of a batch, and none is of one channel alone; neck and heads are mmdet's."""
    norms = [module for module in model.modules() if 'Norm' in type(module).__name__]
    assert all(isinstance(norm, nn.GroupNorm) and norm.num_channels > norm.num_groups for norm in norms)
    head = model.roi_head if hasattr(model, 'roi_head') else model.bbox_head
    for part in (model.neck, head):
        assert {module.num_groups for module in part.modules() if isinstance(module, nn.GroupNorm)} == {32}
    assert not model.backbone.zero_init_residual
    assert config.optim_wrapper.paramwise_cfg.norm_decay_mult == 0


@pytest.mark.slow
@pytest.mark.parametrize('depth, source', [(50, 'resnext50_32x4d'), (101, 'resnext101_32x4d')])
def test_the_warm_start_of_a_recipe_is_what_convert_writes(depth, source, run_tool, tmp_path, monkeypatch):
    """By the commands of the config's comment, from a network of random weights."""
    config = Config.fromfile(ROOT / f'configs/warm_start/mask-rcnn_tiedr{depth}-4s32w-warm_fpn_2x_coco.py')
    path = config.model.backbone.init_cfg.checkpoint
    monkeypatch.chdir(tmp_path)
    torch.save(timm.create_model(source).state_dict(), f'{source}.pth')
    status, out, err = run_tool('convert_weights.py', f'tiedresnet{depth}', f'{source}.pth', path)
    assert status == 0, out + err
    init_default_scope('mmdet')
    backbone = MODELS.build(config.model.backbone)
    backbone.init_weights()
    written = torch.load(path, weights_only=True)['state_dict']
    for name, value in backbone.state_dict().items():
        assert torch.equal(value, written[f'backbone.{name}']), name
    assert all(parameter.requires_grad for parameter in backbone.train().parameters())
    assert all(norm.training for norm in backbone.modules() if isinstance(norm, nn.BatchNorm2d))


@pytest.mark.parametrize('path', list(networks()))
def test_trains_a_step_and_infers(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    offline(config.model, [])
    if config.default_scope == 'mmpretrain':
        config.model.setdefault('data_preprocessor', config.data_preprocessor)
    for part in ('train_cfg', 'test_cfg'):
        few_regions(config.model.get(part) or {})
    model = MODELS.build(config.model)
    model.init_weights()
    tied = 'tied' in path.stem and '-tied' not in path.stem  # a tied backbone, not attention in an ordinary one
    # mmdet has no ResNet-26, so the small baseline is ours without tying.
    assert isinstance(model.backbone, ResidualBackbone) == (tied or '_r26-mini' in path.stem)
    if tied:
        # Nothing is frozen.
        assert all(parameter.requires_grad for parameter in model.backbone.parameters())
    if '_gn-all_' in path.stem:
        check_norms_from_scratch(config, model)

    batch = classification_batch if config.default_scope == 'mmpretrain' else detection_batch
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.train()
    logs = model.train_step(batch(), wrapper)
    assert torch.isfinite(logs['loss']), logs
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    after = dict(model.named_parameters())
    changed = [name for name in trained if not torch.equal(before[name], after[name])]
    assert any(name.startswith('backbone') for name in changed)
    model.eval()
    with torch.no_grad():
        found = model.test_step(batch())
    assert len(found) == 2
    if config.default_scope == 'mmpretrain':
        assert found[0].pred_score.shape == (1000,)
    else:
        assert found[0].pred_instances.bboxes.shape[1] == 4
