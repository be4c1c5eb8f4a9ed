"""One run of the study, in a process of its own: train, test, and write what is kept of it as json."""

from __future__ import annotations

import argparse
import contextlib
import json
import time
from pathlib import Path

import mmdet
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import nn

import mmtied.models

from ..tying.projection import project
from ..utils.checkpoints import read_checkpoint
from ..utils.complexity import complexity
from ..utils.files import written_aside
from ..zoo import read_config
from . import rival  # noqa: F401
from .arms import Arm
from .plan import ARMS, Schedule
from .score import score_run

CONFIGS = {
    'scenes': 'mask-rcnn_r26-mini_fpn_8e_shapes',
    'nuclei': 'mask-rcnn_tiedr26-mini_fpn_8e_nuclei',
}
SIZE = {'scenes': (128, 128), 'nuclei': (256, 256)}
CHECKPOINTS = 20  # of a run; only the last is kept
SIMILARITY_LAYERS = ['layer?.1.exit.conv']


@HOOKS.register_module()
class KeepStart(Hook):
    """Keep the weights that training starts from, beside its checkpoints."""

    def before_train(self, runner: Runner) -> None:
        if not runner.iter:  # Else they are those of a run that goes on.
            torch.save({'state_dict': runner.model.state_dict()}, Path(runner.work_dir) / 'start.pth')


def run_config(arm: Arm, seed: int, folder: Path, schedule: Schedule, start: Path | None) -> Config:
    """Return the config of a run: the small recipe of the zoo with the arm's backbone and the study's schedule.

    The mask head is left out: boxes are compared, and it takes a quarter of the time.

    Args:
        arm: What is trained.
        seed: Of weights, order of the images and augmentation.
        folder: Of logs and checkpoints.
        schedule: Steps and where the learning rate falls.
        start: Checkpoint that the backbone starts from, or None.
    """
    config = read_config(CONFIGS[arm.data])
    steps = schedule.steps_of(arm)
    config.model.backbone = arm.model()
    if start is not None:
        config.model.backbone.init_cfg = dict(type='Pretrained', checkpoint=str(start), prefix='backbone.')
    config.model.neck.in_channels = [4 * arm.base_channels * 2**i for i in range(4)]
    config.model.type = 'FasterRCNN'
    for part in ('mask_head', 'mask_roi_extractor'):
        config.model.roi_head.pop(part)
    for loader in (config.train_dataloader, config.test_dataloader, config.val_dataloader):
        loader.update(num_workers=0, persistent_workers=False)  # Pictures are small, cores are few.
        for step in loader.dataset.pipeline:
            if step.type == 'LoadAnnotations':
                step.with_mask = False
    config.optim_wrapper.optimizer.update(lr=arm.rate, fused=True)  # Fused: a sixth of the time less.
    config.train_dataloader.sampler = dict(type='InfiniteSampler', shuffle=True)
    config.train_dataloader.pop('batch_sampler')
    config.train_dataloader.dataset.indices = arm.images
    every = max(1, steps // arm.validations) if arm.validations else steps + 1
    config.train_cfg = dict(type='IterBasedTrainLoop', max_iters=steps, val_interval=every)
    warm_up, *_ = config.param_scheduler
    milestones = [round(share * steps) for share in schedule.milestones]
    config.param_scheduler = [warm_up, dict(type='MultiStepLR', by_epoch=False, milestones=milestones, gamma=0.1)]
    results = str(folder / 'results')
    config.val_evaluator = dict(
        type='mmtied.OcclusionMetric', metric='bbox', ann_file=config.val_evaluator.ann_file, outfile_prefix=results
    )
    config.test_evaluator = config.val_evaluator
    # A run that is interrupted goes on from its last checkpoint.
    interval = max(1, steps // CHECKPOINTS)
    config.default_hooks.checkpoint = dict(type='CheckpointHook', by_epoch=False, interval=interval, max_keep_ckpts=1)
    config.resume = (folder / 'last_checkpoint').is_file()
    config.default_hooks.logger = dict(type='LoggerHook', interval=max(1, steps // 40), log_metric_by_epoch=False)
    config.log_processor = dict(type='LogProcessor', by_epoch=False, window_size=max(1, steps // 40))
    config.custom_hooks = [*config.get('custom_hooks', []), dict(type='KeepStart')]
    config.randomness = dict(seed=seed)
    config.work_dir = str(folder)
    return config


def project_backbone(source: Path, model: dict, out: Path) -> Path:
    """Write a backbone's start: the trained weights of one of the same wiring, each projected onto its blocks."""
    trained = read_checkpoint(source)['state_dict']
    backbone = MODELS.build(model)
    state = {}
    for name, own in backbone.state_dict().items():
        value = trained[f'backbone.{name}']
        if value.shape != own.shape:
            layer = backbone.get_submodule(name.rpartition('.')[0])
            value = project(value, layer.blocks, layer.groups)
        state[f'backbone.{name}'] = value
    torch.save({'state_dict': state}, out)
    return out


def curve(folder: Path, key: str) -> list[tuple[int, float]]:
    """Return a value over the steps, from mmengine's log of scalars."""
    values: dict[int, float] = {}
    for path in sorted(folder.glob('*/vis_data/scalars.json')):  # One for each time that it was started.
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):  # Where it was killed, the last one is cut.
                record = json.loads(line)
                values |= {record['step']: round(record[key], 4)} if key in record else {}
    return sorted(values.items())


def similarities(folder: Path, checkpoint: Path, images: Path, small: bool) -> list[dict]:
    """Return how alike the filters of a layer are, before and after the training, for json."""
    # They need the analysis extra, which the training does not.
    from ..analysis.images import image_files, read_pixels
    from ..analysis.network.layers import choose_layers
    from ..analysis.network.loader import load_network
    from ..analysis.similarity.measurement import filter_similarity

    count, filters, size = (2, 4, 64) if small else (32, 32, 128)
    pixels = read_pixels(image_files(images, count, 0), size)
    (config,) = folder.glob('*.py')
    kept = []
    for state, weights in (('start', folder / 'start.pth'), ('trained', checkpoint)):
        network = load_network(str(config), weights)
        found = filter_similarity(network, choose_layers(network, SIMILARITY_LAYERS), pixels=pixels, filters=filters)
        for layer in found.patterns:
            held = [round(value, 3) for value in layer.histogram().tolist()]
            mean = round(layer.mean, 4) if layer.mean == layer.mean else None
            kept.append({'state': state, 'layer': layer.layer, 'mean': mean, 'dead': layer.dead, 'histogram': held})
    return kept


def train(name: str, seed: int, data: Path, folder: Path, schedule: Schedule, source: Path | None) -> dict:
    """Train and test an arm, and return what is kept of it.

    Args:
        name: Of the arm.
        seed: Of the run.
        data: Folder of the scenes or nuclei.
        folder: For config, log, checkpoint and detections.
        schedule: Of the study.
        source: Checkpoint of the arm that this one starts from, or None.
    """
    arm, began = ARMS[name], time.time()
    folder.mkdir(parents=True, exist_ok=True)
    start = None if source is None else project_backbone(source, arm.model(), folder / 'projected.pth')
    config = run_config(arm, seed, folder=folder, schedule=schedule, start=start)
    backbone: nn.Module = MODELS.build(arm.model())
    size = complexity(backbone, SIZE[arm.data])
    runner = Runner.from_cfg(config)
    runner.train()
    validated = curve(folder, 'occlusion/bbox_mAP') if arm.validations else []
    runner.test()
    (checkpoint,) = folder.glob('iter_*.pth')
    content = {
        'arm': name,
        'seed': seed,
        'title': arm.title,
        'backbone': {key: value for key, value in arm.model().items()},
        'parameters': size.parameters,
        'macs': size.macs,
        'steps': config.train_cfg.max_iters,
        'loss': curve(folder, 'loss'),
    }
    content |= score_run(Path(config.test_evaluator.ann_file), folder / 'results.bbox.json')
    if validated:
        content['validated'] = validated
    if arm.similarity:
        images = data / config.test_dataloader.dataset.data_prefix.img
        content['similarity'] = similarities(folder, checkpoint, images, small=schedule.small)
    content['minutes'] = round((time.time() - began) / 60, 1)
    content['versions'] = {'torch': torch.__version__, 'mmdet': mmdet.__version__, 'mmtied': mmtied.__version__}
    return content


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('arm', choices=ARMS)
    parser.add_argument('seed', type=int)
    parser.add_argument('data', type=Path)
    parser.add_argument('folder', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--source', type=Path)
    parser.add_argument('--tiny', action='store_true')
    args = parser.parse_args()
    schedule = Schedule.tiny() if args.tiny else Schedule()
    content = train(args.arm, args.seed, data=args.data, folder=args.folder, schedule=schedule, source=args.source)
    with written_aside(args.out) as part:
        part.write_text(json.dumps(content))


if __name__ == '__main__':
    main()
