"""One training step of a tied detector beside the ordinary one: images and boxes made here, the rest as configs say."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS, DefaultScope
from mmengine.structures import InstanceData

from mmtied.zoo import config_file

DETECTORS = {
    'Faster R-CNN, ResNet-50': 'faster-rcnn_r50_fpn_1x_voc0712',
    'Faster R-CNN, TiedResNet-50': 'faster-rcnn_tiedr50-4s32w_fpn_1x_voc0712',
}
BOXES = 8  # an image


def training_step(config: str, size: tuple[int, int], batch: int, device: torch.device, half: bool) -> Callable:
    """Return a function that trains a detector of a config one step, on a device.

    Args:
        config: The name of a config of ours.
        size: Height and width of the images.
        batch: Images.
        device: Where it is trained.
        half: Whether with mixed precision.
    """
    content = Config.fromfile(config_file(config))
    # Both are trained whole, where ordinary backbones freeze their first stage and their norms.
    if 'frozen_stages' in content.model.backbone:
        content.model.backbone.update(frozen_stages=-1, norm_eval=False)
    content.optim_wrapper.optimizer.lr = 1e-6  # Random weights and images of noise: no step may diverge.
    optimizer = dict(content.optim_wrapper, type='AmpOptimWrapper' if half else 'OptimWrapper')
    with DefaultScope.overwrite_default_scope('mmdet'):
        detector = MODELS.build(content.model).to(device).train()
        wrapper = build_optim_wrapper(detector, optimizer)
    data = made_up(size, batch=batch, classes=content.model.roi_head.bbox_head.num_classes)
    return lambda: detector.train_step(data, wrapper)


def made_up(size: tuple[int, int], batch: int, classes: int) -> dict:
    """Return images of noise with boxes, as a data loader does."""
    height, width = size
    generator = torch.Generator().manual_seed(0)
    samples = []
    for _ in range(batch):
        corner, extent = torch.rand(2, BOXES, 2, generator=generator) / 2
        boxes = torch.cat([corner, corner + extent + 0.1], dim=1).clamp(max=1) * torch.tensor([width, height] * 2)
        labels = torch.randint(classes, (BOXES,), generator=generator)
        shape = dict(img_shape=size, ori_shape=size, pad_shape=size, batch_input_shape=size, scale_factor=(1.0, 1.0))
        sample = DetDataSample(metainfo=shape)
        sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=labels[:0])
        samples.append(sample)
    images = [torch.randint(256, (3, *size), generator=generator, dtype=torch.uint8) for _ in range(batch)]
    return dict(inputs=images, data_samples=samples)
