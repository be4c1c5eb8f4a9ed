"""The recipes of the zoo on miniatures of their data sets, by the commands of the README."""

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import miniature
import pytest
import torch
from warm_python import run_script

import mmtied.models  # noqa: F401

ROOT = Path(__file__).parents[1]
CONFIGS = ROOT / 'configs'
MMDET = Path(find_spec('mmdet').origin).parent / '.mim'
MMPRETRAIN = Path(find_spec('mmpretrain').origin).parent / '.mim'
ENVIRONMENT = os.environ | {'PYTHONPATH': str(ROOT), 'PYTHON': sys.executable}
WITH_TESTS = f'{ROOT}:{ROOT / "tests"}'
pytestmark = pytest.mark.slow

# The small images of the miniatures at a size a CPU is quick with, and no worker processes.
LOADER = ('num_workers=0', 'persistent_workers=False')
LOADERS = [f'{split}_dataloader.{setting}' for split in ('train', 'val', 'test') for setting in LOADER]
QUICK = [*LOADERS, 'train_dataloader.batch_size=2']
# Channels of a small network instead of the published one; what is tested is the recipe.
SMALL = ['model.backbone.base_channels=16', 'model.backbone.depth=26', 'model.neck.in_channels=[64,128,256,512]']
# And few regions for the second stage to look at.
SMALL += [f'model.test_cfg.{key}=50' for key in ('rpn.nms_pre', 'rpn.max_per_img', 'rcnn.max_per_img')]
SMALL += ['model.train_cfg.rpn_proposal.max_per_img=50', 'model.train_cfg.rcnn.sampler.num=16']


def start(folder: Path, *command, **environment) -> subprocess.CompletedProcess:
    env = ENVIRONMENT | environment
    if command[0] == sys.executable:
        return run_script(*command[1:], cwd=folder, env=env)
    return subprocess.run([*map(str, command)], env=env, cwd=folder, capture_output=True, text=True)


def run(folder: Path, *command, **environment) -> str:
    done = start(folder, *command, **environment)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return done.stdout + done.stderr


def free_port() -> str:
    """A port for the processes of one run, that another run of the tests beside this one does not take."""
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return str(one.getsockname()[1])


def resized(index: int, *splits: str, scale: str = 'scale', size: str = '(96,96)', inner: str = '') -> list[str]:
    return [f'{split}_dataloader.dataset.{inner}pipeline.{index}.{scale}="{size}"' for split in splits]


@pytest.fixture(scope='module')
def coco(tmp_path_factory):
    folder = tmp_path_factory.mktemp('coco')
    miniature.coco(folder)
    return folder


# With a threshold of 0 a network of a few steps detects something.
COCO = [*QUICK, *SMALL, *resized(2, 'train'), *resized(1, 'val', 'test')]
MASK = [*COCO, 'model.test_cfg.rcnn.score_thr=0.']


@pytest.fixture(scope='module')
def trained(coco):
    config = CONFIGS / 'mask_rcnn/mask-rcnn_tiedr50-4s32w_fpn_2x_coco.py'
    options = ['train_cfg.max_epochs=1', 'visualizer.vis_backends.0.type=TensorboardVisBackend', *MASK]
    log = run(
        coco,
        sys.executable,
        ROOT / 'tools/train.py',
        config,
        '--work-dir',
        'work',
        '--auto-scale-lr',
        '--cfg-options',
        *options,
    )
    return config, log


def test_coco_from_folder_to_binned_evaluation(coco, trained):
    config, log = trained
    for key in ('coco/bbox_mAP', 'coco/segm_mAP', 'occlusion/bbox_mAP_r0', 'occlusion/segm_mAP_75_r0.4-0.6'):
        assert f'{key}:' in log
    assert list((coco / 'work').rglob('events.out.tfevents*'))
    log = run(
        coco,
        sys.executable,
        ROOT / 'tools/test.py',
        config,
        'work/epoch_1.pth',
        '--work-dir',
        'test',
        '--show-dir',
        'pictures',
        '--cfg-options',
        'test_evaluator.0.outfile_prefix=work/results',
        *MASK,
    )
    assert 'occlusion/segm_mAP:' in log
    assert len(list((coco / 'test').rglob('pictures/*.jpg'))) == 4
    truth = 'data/coco/annotations/instances_val2017.json'
    log = run(
        coco,
        sys.executable,
        ROOT / 'tools/occlusion_eval.py',
        truth,
        'work/results.bbox.json',
        '--image-dir',
        'data/coco/val2017',
        '--out-dir',
        'work/occlusion',
    )
    assert '(0, .2)' in log
    assert (coco / 'work/occlusion/report.html').exists()


def test_other_networks_checkpoints_are_refused(coco, trained):
    config, _ = trained
    command = [sys.executable, ROOT / 'tools/test.py', config, 'work/epoch_1.pth', '--cfg-options', *MASK]
    done = start(coco, *command, 'model.backbone.base_width=128')
    assert done.returncode == 2
    assert "not backbone.layer1.0.entry.conv.weight: it is another network's" in done.stderr
    baseline = CONFIGS / 'mask_rcnn/mask-rcnn_r50_fpn_2x_coco.py'
    command = [sys.executable, ROOT / 'tools/train.py', baseline, '--backbone-checkpoint', 'work/epoch_1.pth']
    done = start(coco, *command)
    assert done.returncode == 2
    assert 'is for tied backbones, and this one is ResNet' in done.stderr


def test_mixed_precision_needs_a_gpu(coco, trained):
    config, _ = trained
    command = [sys.executable, ROOT / 'tools/train.py', config, '--work-dir', 'amp', '--amp', '--cfg-options']
    command += ['train_cfg.max_epochs=1', 'train_cfg.val_interval=9', *COCO]
    if torch.cuda.is_available():
        assert 'AmpOptimWrapper' in run(coco, *command)
        return
    done = start(coco, *command)
    assert done.returncode == 2
    assert '--amp: mmengine trains with mixed precision on a GPU only' in done.stderr


def stand_in(folder: Path, config: Path) -> Path:
    """Write a config with the data and metrics of a zoo's, and a detector whose scores are known to be good."""
    path = folder / 'stand_in.py'
    path.write_text(
        f"_base_ = '{config}'\n"
        "custom_imports = dict(imports=['mmtied.models', 'stand_ins'])\n"
        "model = dict(_delete_=True, type='ShiftedTruth')\n"
    )
    torch.save({'state_dict': {'weight': torch.zeros(1)}}, folder / 'stand_in.pth')
    return path


def scores(work_dir: Path) -> dict[str, float]:
    (path,) = work_dir.glob('*/*.json')
    # Of two processes mmengine has both write the file, at once: behind the one content may be the end of the other.
    content, _ = json.JSONDecoder().raw_decode(path.read_text())
    return {key: value for key, value in content.items() if '/' in key and 'time' not in key}


def evaluate(folder: Path, config: Path, *options: str) -> dict[str, float]:
    shutil.rmtree(folder / 'scored', ignore_errors=True)  # of another test
    command = [sys.executable, ROOT / 'tools/test.py', stand_in(folder, config), 'stand_in.pth', '--work-dir', 'scored']
    run(folder, *command, '--cfg-options', *LOADERS, *options, PYTHONPATH=WITH_TESTS)
    return scores(folder / 'scored')


def test_two_processes_evaluate_as_one(coco):
    config = CONFIGS / 'mask_rcnn/mask-rcnn_tiedr50-4s32w_fpn_2x_coco.py'
    size = resized(1, 'test')
    one = evaluate(coco, config, *size)
    assert 0.1 < one['coco/segm_mAP'] < 1 and 0.1 < one['occlusion/bbox_mAP_r0'] < 1
    assert one['occlusion/bbox_mAP'] == pytest.approx(one['coco/bbox_mAP'], abs=0.001)
    run(
        coco,
        ROOT / 'tools/dist_test.sh',
        'stand_in.py',
        'stand_in.pth',
        2,
        '--work-dir',
        'two',
        '--cfg-options',
        *LOADERS,
        *size,
        PORT=free_port(),
        PYTHONPATH=WITH_TESTS,
    )
    assert scores(coco / 'two') == one


def test_augmented_images_score_as_by_mmdets_own_script(coco):
    config = CONFIGS / 'cascade_rcnn/cascade-rcnn_tiedr50-4s32w_fpn_1x_coco.py'
    found = {}
    for name, script in (('ours', ROOT / 'tools/test.py'), ('theirs', MMDET / 'tools/test.py')):
        command = [sys.executable, script, stand_in(coco, config), 'stand_in.pth', '--tta', '--work-dir', name]
        run(coco, *command, '--cfg-options', *LOADERS, *resized(1, 'test'), PYTHONPATH=WITH_TESTS)
        found[name] = scores(coco / name)
    assert found['ours'] == found['theirs']
    assert 0.1 < found['ours']['occlusion/bbox_mAP'] < 1
    # The stand-in is off by other pixels in a mirror image, and finds each object twice.
    assert found['ours'] != evaluate(coco, config, *resized(1, 'test'))


def test_masks_are_not_tested_on_augmented_images(coco, trained):
    command = [sys.executable, ROOT / 'tools/test.py', trained[0], 'work/epoch_1.pth', '--tta', '--work-dir', 'tta']
    done = start(coco, *command, '--cfg-options', *MASK)
    assert done.returncode == 2
    assert 'error: --tta: the detector finds masks' in done.stderr


def test_two_processes_train_one_network(coco):
    (coco / 'sums.py').write_text(
        f"_base_ = '{CONFIGS}/retinanet/retinanet_tiedr50-4s32w_fpn_1x_coco.py'\n"
        "custom_imports = dict(imports=['mmtied.models', 'stand_ins'])\n"
        "custom_hooks = [*_base_.custom_hooks, dict(type='BufferSums', priority='VERY_LOW')]\n"
    )
    log = run(
        coco,
        ROOT / 'tools/dist_train.sh',
        'sums.py',
        2,
        '--work-dir',
        'dist',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        *COCO,
        PORT=free_port(),
        PYTHONPATH=WITH_TESTS,
    )
    assert 'GPU number: 2' in log
    states = torch.load(coco / 'dist/epoch_1.pth', weights_only=True)['state_dict']
    assert all(value.isfinite().all() for value in states.values())
    # Each saw other images, yet they validate, and save, one network.
    sums = [(coco / f'dist/sums_{rank}.txt').read_text() for rank in (0, 1)]
    assert sums[0] == sums[1]
    assert float(sums[0].split()[0]) != 64


def test_slurm_script_hands_on_its_arguments(tmp_path):
    (tmp_path / 'srun').write_text('#!/bin/sh\nfor word; do echo "$word"; done\n')
    (tmp_path / 'srun').chmod(0o755)
    environment = {
        'PATH': f'{tmp_path}:{os.environ["PATH"]}',
        'GPUS': '4',
        'GPUS_PER_NODE': '2',
        'SRUN_ARGS': '--mem 9',
    }
    words = run(
        tmp_path,
        ROOT / 'tools/slurm_train.sh',
        'part',
        'job',
        'config.py',
        'work',
        '--cfg-options',
        'a=(1, 2)',
        **environment,
    ).splitlines()
    assert words[:4] == ['-p', 'part', '--job-name=job', '--gres=gpu:2']
    assert {'--ntasks=4', '--ntasks-per-node=2', '--mem', '9', 'config.py', '--work-dir=work'} <= set(words)
    assert words[-4:] == ['--launcher', 'slurm', '--cfg-options', 'a=(1, 2)']


@pytest.mark.parametrize('script', ['dist_train.sh', 'dist_test.sh', 'slurm_train.sh'])
def test_scripts_say_what_they_want(script):
    done = subprocess.run([ROOT / 'tools' / script, 'config.py'], capture_output=True, text=True)
    assert done.returncode == 2
    assert f'tools/{script} ' in done.stderr


def test_backbone_checkpoint(coco, tmp_path):
    miniature.imagenet(tmp_path)
    config = CONFIGS / 'imagenet/tiedresnet50-4s32w_8xb32_in1k.py'
    small = ['model.backbone.base_channels=16', 'model.backbone.depth=26', 'model.head.in_channels=512']
    log = run(
        tmp_path,
        sys.executable,
        ROOT / 'tools/train.py',
        config,
        '--work-dir',
        'work',
        '--cfg-options',
        *QUICK,
        *small,
        'train_cfg.max_epochs=1',
        'train_dataloader.dataset.pipeline.1.scale=64',
    )
    assert 'accuracy/top1' in log
    log = run(
        tmp_path,
        sys.executable,
        ROOT / 'tools/test.py',
        config,
        'work/epoch_1.pth',
        '--work-dir',
        'shown',
        '--show-dir',
        'pictures',
        '--cfg-options',
        *QUICK,
        *small,
    )
    assert 'accuracy/top5' in log
    assert list((tmp_path / 'shown').rglob('*.png')) or list(tmp_path.rglob('pictures/**/*.png'))
    data = tmp_path / 'data'
    data.rename(tmp_path / 'moved')
    log = run(
        tmp_path,
        sys.executable,
        ROOT / 'tools/test.py',
        config,
        'work/epoch_1.pth',
        '--work-dir',
        'augmented',
        '--tta',
        '--data-root',
        'moved/imagenet',
        '--cfg-options',
        *QUICK,
        *small,
    )
    assert 'accuracy/top5' in log
    (tmp_path / 'moved').rename(data)
    # mmpretrain's own command takes the config as well.
    run(
        tmp_path,
        sys.executable,
        MMPRETRAIN / 'tools/test.py',
        config,
        'work/epoch_1.pth',
        '--work-dir',
        'theirs',
        '--cfg-options',
        *QUICK,
        *small,
    )
    log = run(
        coco,
        sys.executable,
        ROOT / 'tools/train.py',
        CONFIGS / 'retinanet/retinanet_tiedr50-4s32w_fpn_1x_coco.py',
        '--work-dir',
        tmp_path / 'detector',
        '--backbone-checkpoint',
        tmp_path / 'work/epoch_1.pth',
        '--cfg-options',
        'train_cfg.max_epochs=1',
        'train_cfg.val_interval=9',
        *COCO,
    )
    found = [line for line in log.splitlines() if 'tensors of TiedResNet are in' in line]
    assert len(found) == 1
    count = found[0].split(' of ')
    assert count[0].split()[-1] == count[1].split()[0]  # all of them
    trained = torch.load(tmp_path / 'detector/epoch_1.pth', weights_only=True)['state_dict']
    start = torch.load(tmp_path / 'work/epoch_1.pth', weights_only=True)['state_dict']
    assert torch.equal(trained['backbone.stem.0.conv.weight'], start['backbone.stem.0.conv.weight'])  # frozen
    assert not torch.equal(trained['backbone.layer3.0.exit.conv.weight'], start['backbone.layer3.0.exit.conv.weight'])


def test_cityscapes(tmp_path):
    miniature.cityscapes(tmp_path)
    run(
        tmp_path,
        sys.executable,
        MMDET / 'tools/dataset_converters/cityscapes.py',
        'data/cityscapes',
        '--out-dir',
        'data/cityscapes/annotations',
    )
    inner = 'dataset.'
    options = [*QUICK, *SMALL, 'train_cfg.max_epochs=1', 'train_dataloader.dataset.times=1']
    options += ['train_dataloader.dataset.dataset.filter_cfg.min_size=8']
    options += resized(2, 'train', size='[(96,96),(96,104)]', inner=inner) + resized(1, 'val', 'test')
    log = run(
        tmp_path,
        sys.executable,
        ROOT / 'tools/train.py',
        CONFIGS / 'cityscapes/mask-rcnn_tiedr50-4s32w_fpn_1x_cityscapes.py',
        '--work-dir',
        'work',
        '--cfg-options',
        *options,
    )
    for key in ('coco/segm_mAP', 'cityscapes/mAP', 'cityscapes/AP@50', 'occlusion/segm_mAP', 'occlusion/bbox_mAP_r0'):
        assert f'{key}:' in log, key
    found = evaluate(tmp_path, CONFIGS / 'cityscapes/mask-rcnn_r50_fpn_1x_cityscapes.py', *resized(1, 'test'))
    assert 0.1 < found['coco/segm_mAP'] < 1
    assert 0.1 < found['cityscapes/mAP'] < 1
    assert found['occlusion/segm_mAP'] == pytest.approx(found['coco/segm_mAP'], abs=0.001)


def test_pascal_voc(tmp_path):
    miniature.voc(tmp_path)
    options = [*QUICK, *SMALL, 'train_cfg.max_epochs=1', 'train_dataloader.dataset.times=1', *resized(1, 'val', 'test')]
    for i in (0, 1):
        options += resized(2, 'train', inner=f'dataset.datasets.{i}.')
        options += [
            f'train_dataloader.dataset.dataset.datasets.{i}.filter_cfg.{key}=4' for key in ('min_size', 'bbox_min_size')
        ]
    log = run(
        tmp_path,
        sys.executable,
        ROOT / 'tools/train.py',
        CONFIGS / 'pascal_voc/faster-rcnn_tiedr50-4s32w_fpn_1x_voc0712.py',
        '--work-dir',
        'work',
        '--cfg-options',
        *options,
    )
    for key in ('pascal_voc/mAP', 'occlusion/bbox_mAP', 'occlusion/bbox_mAP_75_r0'):
        assert f'{key}:' in log, key
    found = evaluate(tmp_path, CONFIGS / 'pascal_voc/faster-rcnn_r50_fpn_1x_voc0712.py', *resized(1, 'test'))
    assert 0.1 < found['pascal_voc/mAP'] < 1
    assert 0.1 < found['occlusion/bbox_mAP'] < 1
