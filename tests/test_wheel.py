"""The wheel in an environment of its own: mim trains and tests by name, inferencers find configs."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import miniature
import pytest
import torch

ROOT = Path(__file__).parents[1]
CONFIG = 'retinanet_tiedr50-4s32w_fpn_1x_coco'
MIM = ['-c', 'from mim.cli import cli; cli()']
OPTIONS = [
    *(f'{split}_dataloader.{setting}' for split in ('train', 'val', 'test') for setting in ('num_workers=0',)),
    *(f'{split}_dataloader.persistent_workers=False' for split in ('train', 'val', 'test')),
    'model.backbone.base_channels=16',
    'model.backbone.depth=26',
    'model.neck.in_channels=[64,128,256,512]',
    'train_cfg.max_epochs=1',
    'train_dataloader.dataset.pipeline.2.scale="(96,96)"',
    *(f'{split}_dataloader.dataset.pipeline.1.scale="(96,96)"' for split in ('val', 'test')),
]
pytestmark = pytest.mark.slow


@pytest.fixture(scope='module')
def installed(tmp_path_factory):
    """A new environment with the OpenMMLab stack of this one and mmtied from its wheel, without the checkout."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    files = subprocess.run(['git', 'ls-files', '-co', '--exclude-standard'], cwd=ROOT, capture_output=True, text=True)
    if files.returncode:
        pytest.skip('needs a git checkout, to copy its files')
    for name in files.stdout.split('\n'):
        if name and (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    pip = [sys.executable, '-m', 'pip', '--disable-pip-version-check']
    build = ['wheel', source, '--no-deps', '--no-build-isolation', '--no-index', '-w', folder]
    subprocess.run([*pip, *map(str, build)], check=True, capture_output=True)
    (wheel,) = folder.glob('mmtied-*.whl')
    venv.create(folder / 'env', with_pip=False)
    python = folder / 'env/bin/python'
    (site,) = (folder / 'env/lib').glob('python*/site-packages')
    (site / 'stack.pth').write_text(str(Path(torch.__file__).parents[1]))
    subprocess.run([*pip, '--python', str(python), 'install', '--no-deps', '--no-index', str(wheel)], check=True)
    return python, folder


def run(installed, *arguments, cwd: Path) -> str:
    python, _ = installed
    env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
    done = subprocess.run([str(python), *map(str, arguments)], cwd=cwd, env=env, capture_output=True, text=True)
    assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    return done.stdout


@pytest.fixture(scope='module')
def trained(installed):
    folder = installed[1] / 'run'
    folder.mkdir()
    miniature.coco(folder)
    arguments = [f'{CONFIG}.py', '--work-dir', 'work', '--cfg-options', *OPTIONS]
    return folder, run(installed, *MIM, 'train', 'mmtied', *arguments, cwd=folder)


def test_the_package_is_the_wheels(installed, tmp_path):
    code = 'import mmtied, mmtied.zoo; print(mmtied.__file__, mmtied.zoo.config_file("retinanet_r50_fpn_1x_coco"))'
    package, config = run(installed, '-c', code, cwd=tmp_path).split()
    assert str(installed[1]) in package
    assert config == str(Path(package).parent / '.mim/configs/retinanet/retinanet_r50_fpn_1x_coco.py')


def test_mim_trains_and_tests_by_name(installed, trained):
    folder, log = trained
    assert 'occlusion/bbox_mAP:' in log
    arguments = [f'{CONFIG}.py', '--checkpoint', 'work/epoch_1.pth', '--cfg-options', *OPTIONS]
    log = run(installed, *MIM, 'test', 'mmtied', *arguments, cwd=folder)
    assert 'occlusion/bbox_mAP_r0:' in log


def test_inferencer_by_name(installed, trained):
    folder, _ = trained
    code = f"""
from mmdet.apis import DetInferencer
from mmengine.config import Config
import mmtied.inferencer
from mmtied.zoo import config_file
config = Config.fromfile(config_file('{CONFIG}'))
config.merge_from_dict({{'model.backbone.base_channels': 16, 'model.backbone.depth': 26,
                         'model.neck.in_channels': [64, 128, 256, 512]}})
config.dump('small.py')
inferencer = DetInferencer('small.py', 'work/epoch_1.pth', device='cpu')
print(len(inferencer('data/coco/val2017/000000000001.jpg', no_save_vis=True)['predictions']), 'prediction')
for model in (config_file('{CONFIG}'), '{CONFIG}'):
    by_name = mmtied.inferencer.DetInferencer(model, device='cpu')
    print(type(by_name.model.backbone).__name__)
try:
    mmtied.inferencer.DetInferencer('retinanet_tied', device='cpu')
except ValueError as error:
    print('no config is named' in str(error))
"""
    found = run(installed, '-c', code, cwd=folder).split()[-5:]
    assert found == ['1', 'prediction', 'TiedResNet', 'TiedResNet', 'True']


def test_get_model_by_name(installed, tmp_path):
    code = """
import mmpretrain
from mmtied.zoo import register_in_mmpretrain
register_in_mmpretrain()
register_in_mmpretrain()
model = mmpretrain.get_model('tiedresnet50-4s18w_8xb32_in1k')
print(type(model.backbone).__name__, 'seresnet50-tiedse8_8xb32_in1k' in mmpretrain.list_models())
"""
    assert run(installed, '-c', code, cwd=tmp_path).split()[-2:] == ['TiedResNet', 'True']


def test_templates_of_pages_are_in_the_wheel(installed):
    code = 'import mmtied, pathlib; print(*sorted(f.name for f in pathlib.Path(mmtied.__file__).parent.rglob("*.j2")))'
    names = sorted(path.name for path in (ROOT / 'mmtied').rglob('*.j2'))
    assert run(installed, '-c', code, cwd=installed[1]).split() == names
