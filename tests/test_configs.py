"""Every config builds, takes a training step and infers, at a small input size; found by looking, not by a list."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData
from mmpretrain.structures import DataSample

from mmtied.models.residual_backbone import ResidualBackbone

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((ROOT / 'configs').glob('[!_]*/*.py'))
# What takes long on two cores.
LARGE = ('101', 'cascade')


def cases():
    for path in CONFIGS:
        marks = [pytest.mark.slow] if any(word in path.stem for word in LARGE) else []
        yield pytest.param(path, id=path.stem, marks=marks)


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


def offline(cfg, found: list) -> None:
    """Take out what downloads weights, and collect it."""
    for value in cfg.values() if isinstance(cfg, dict) else cfg:
        if isinstance(value, dict) and 'checkpoint' in (value.get('init_cfg') or {}):
            found.append(value.init_cfg.checkpoint)
            value.init_cfg = None
        if isinstance(value, dict | list):
            offline(value, found)


@pytest.mark.parametrize('path', cases())
def test_trains_a_step_and_infers(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    downloads = []
    offline(config.model, downloads)
    if config.default_scope == 'mmpretrain':
        config.model.setdefault('data_preprocessor', config.data_preprocessor)
    model = MODELS.build(config.model)
    model.init_weights()
    tied = 'tied' in path.stem and '-tied' not in path.stem  # a tied backbone, not attention in an ordinary one
    assert isinstance(model.backbone, ResidualBackbone) == tied
    if tied:
        # Nothing is frozen, and no weights of another network are loaded.
        assert downloads == [] and config.get('load_from') is None
        assert all(parameter.requires_grad for parameter in model.backbone.parameters())

    batch = classification_batch if config.default_scope == 'mmpretrain' else detection_batch
    wrapper = build_optim_wrapper(model, config.optim_wrapper)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    model.train()
    logs = model.train_step(batch(), wrapper)
    assert torch.isfinite(logs['loss']), logs
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    changed = [name for name in trained if not torch.equal(before[name], dict(model.named_parameters())[name])]
    assert any(name.startswith('backbone') for name in changed)
    model.eval()
    with torch.no_grad():
        found = model.test_step(batch())
    assert len(found) == 2
    if config.default_scope == 'mmpretrain':
        assert found[0].pred_score.shape == (1000,)
    else:
        assert found[0].pred_instances.bboxes.shape[1] == 4
        types = [metric['type'] for metric in np.atleast_1d(config.test_evaluator)]
        assert 'mmtied.OcclusionMetric' in types
