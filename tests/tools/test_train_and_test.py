"""Training, testing, resuming and inference from the command line, on a handful of scenes."""

import json
import os
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from warm_python import run_script

import mmtied.models  # noqa: F401
from mmtied.datasets import write_scenes
from mmtied.evaluation import evaluate_occlusion

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/occluded_shapes/mask-rcnn_tiedr26-mini_fpn_8e_shapes.py'
MMDET_TOOLS = Path(find_spec('mmdet').origin).parent / '.mim' / 'tools'
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp('run')
    write_scenes(folder / 'data', 'train', 16, size=96)
    write_scenes(folder / 'data', 'val', 6, size=96)
    return folder


def run(folder: Path, script: Path, *arguments) -> str:
    environment = os.environ | {'MMTIED_SHAPES': str(folder / 'data'), 'PYTHONPATH': str(ROOT)}
    done = run_script(script, *arguments, cwd=folder, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.fixture(scope='module')
def trained(folder):
    options = ['train_cfg.max_epochs=1', 'train_cfg.val_interval=1', 'default_hooks.checkpoint.save_best=auto']
    log = run(folder, ROOT / 'tools/train.py', CONFIG, '--work-dir', folder / 'train', '--cfg-options', *options)
    return folder / 'train' / 'epoch_1.pth', log


def test_training_validates_by_occlusion(trained):
    checkpoint, log = trained
    assert checkpoint.exists()
    assert 'occlusion/bbox_mAP_r0.8-1' in log
    assert list(checkpoint.parent.glob('best_occlusion_bbox_mAP_epoch_1.pth'))


def test_checkpoint_is_tested_and_its_results_evaluated(folder, trained):
    results, test_dir = folder / 'results', folder / 'test'
    log = run(
        folder,
        ROOT / 'tools/test.py',
        CONFIG,
        trained[0],
        '--work-dir',
        test_dir,
        '--out',
        folder / 'out.pkl',
        '--show-dir',
        'pictures',
        '--cfg-options',
        f'test_evaluator.outfile_prefix={results}',
    )
    assert 'occlusion/segm_mAP' in log
    assert len(list(test_dir.rglob('pictures/*.jpg'))) == 6
    (scores,) = test_dir.rglob('*/*.json')
    logged = json.loads(scores.read_text())
    result = evaluate_occlusion(folder / 'data/instances_val.json', f'{results}.segm.json', 'segm')
    assert logged['occlusion/segm_mAP'] == result.all.AP
    from_pickle = evaluate_occlusion(folder / 'data/instances_val.json', folder / 'out.pkl', 'segm')
    assert from_pickle.all.to_dict() == result.all.to_dict()
    log = run(
        folder,
        ROOT / 'tools/occlusion_eval.py',
        'data/instances_val.json',
        f'{results}.segm.json',
        '--iou-type',
        'segm',
        '--out-dir',
        folder / 'report',
        '--image-dir',
        folder / 'data/val',
    )
    assert str(result) in log
    assert {'gallery.png', 'report.html', 'occlusion.json'} <= {path.name for path in (folder / 'report').iterdir()}


def test_the_deployed_form_scores_alike(folder, trained):
    results = [folder / f'{form}_results' for form in ('trained', 'deployed')]
    for path, options in zip(results, ([], ['--deploy'])):
        prefix = f'test_evaluator.outfile_prefix={path}'
        command = [ROOT / 'tools/test.py', CONFIG, trained[0], '--work-dir', folder / 'forms', *options]
        log = run(folder, *command, '--cfg-options', prefix)
        assert ('MaskRCNN is tested in its deployed form' in log) == bool(options)
    scores = [evaluate_occlusion(folder / 'data/instances_val.json', f'{path}.segm.json', 'segm') for path in results]
    assert pytest.approx(scores[0].all.AP, abs=1e-3) == scores[1].all.AP


def test_training_resumes_with_a_bar_in_the_place_of_its_log(folder, trained):
    options = ['train_cfg.max_epochs=2', 'train_cfg.val_interval=9']
    train = [ROOT / 'tools/train.py', CONFIG, '--work-dir', folder / 'train', '--resume', '--progress']
    shown = run(folder, *train, '--cfg-options', *options)
    assert (folder / 'train' / 'epoch_2.pth').exists()
    log = max((folder / 'train').glob('*/*.log')).read_text()
    assert 'resumed epoch: 1' in log
    assert 'training: 100%' in shown
    assert not [line for line in log.splitlines() if ' - mmengine - ' in line and line in shown]


def test_mmdets_own_script_takes_the_config_and_the_checkpoint(folder, trained):
    log = run(folder, MMDET_TOOLS / 'test.py', CONFIG, trained[0], '--work-dir', folder / 'mmdet')
    assert 'occlusion/bbox_mAP' in log


def test_inferencer(folder, trained):
    from mmdet.apis import DetInferencer

    inferencer = DetInferencer(str(CONFIG), str(trained[0]), device='cpu')
    image = str(folder / 'data' / 'val' / '000000.jpg')
    (found,) = inferencer(image, out_dir=str(folder / 'inferred'))['predictions']
    assert len(found['labels']) == len(found['scores']) == len(found['bboxes']) == len(found['masks'])
    assert (folder / 'inferred' / 'vis' / '000000.jpg').exists()


def test_loading_stays_safe(trained, tmp_path):
    """What a runner writes loads; a pickle that runs code does not."""

    class Harmful:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / 'harm'),))

    assert 'message_hub' in torch.load(trained[0], weights_only=True)
    torch.save({'state_dict': {}, 'meta': Harmful()}, tmp_path / 'harmful.pth')
    with pytest.raises(Exception, match='Weights only load failed'):
        torch.load(tmp_path / 'harmful.pth')
    assert not (tmp_path / 'harm').exists()
