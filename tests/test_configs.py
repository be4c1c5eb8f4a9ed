"""Every config builds, trains a step and detects, at a small input size; found by looking, not by a list."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData

from mmtied.models import TiedResNet

CONFIGS = sorted((Path(__file__).parents[1] / 'configs').glob('[!_]*/*.py'))


def batch(size: int = 96) -> dict:
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


@pytest.mark.parametrize('path', CONFIGS, ids=lambda path: path.stem)
def test_trains_a_step_and_detects(path):
    config = Config.fromfile(path)
    init_default_scope(config.default_scope)
    model = MODELS.build(config.model)
    model.init_weights()
    assert isinstance(model.backbone, TiedResNet)
    # Nothing is frozen, and no weights of another network are loaded.
    assert all(parameter.requires_grad for parameter in model.backbone.parameters())
    assert config.model.backbone.get('init_cfg') is None
    model.train()
    data = model.data_preprocessor(batch(), training=True)
    loss, logs = model.parse_losses(model(**data, mode='loss'))
    assert torch.isfinite(loss), logs
    loss.backward()
    assert model.backbone.stem[0].conv.weight.grad.abs().sum() > 0
    model.eval()
    with torch.no_grad():
        found = model.test_step(batch())
    assert len(found) == 2
    assert found[0].pred_instances.bboxes.shape[1] == 4
    types = [metric['type'] for metric in np.atleast_1d(config.test_evaluator)]
    assert 'mmtied.OcclusionMetric' in types
