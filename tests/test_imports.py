"""What imports what: the evaluation works without torch, the backbones without compiled operators."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from warm_python import TORCH, run_script

ROOT = Path(__file__).parents[1]


def run(code: str) -> str:
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_evaluation_loads_no_torch():
    code = (
        'import sys, mmtied.evaluation; '
        'print([name for name in ("torch", "mmengine", "mmcv", "mmdet", "matplotlib") if name in sys.modules])'
    )
    assert run(code) == '[]'


@pytest.mark.parametrize('modules', [
    'mmtied.coco.sets',
    'mmtied.evaluation.report.folder, mmtied.evaluation.report.samples',
    'mmtied.commands.occlusion_eval, mmtied.commands.samples, mmtied.commands.occluded_scenes',
])  # fmt: skip
def test_files_report_and_commands_of_the_evaluation_load_no_torch(modules):
    code = f'import sys, {modules}; print([name for name in ("torch", "mmengine", "mmdet") if name in sys.modules])'
    assert run(code) == '[]'


def test_backbones_need_no_compiled_operators():
    code = (
        'import sys; sys.modules["mmcv._ext"] = sys.modules["mmcv.ops"] = None\n'
        'from mmengine.registry import MODELS\n'
        'import mmtied.models, torch\n'
        'print(MODELS.build(dict(type="TiedResNet", depth=26)).eval()(torch.zeros(1, 3, 32, 32))[-1].shape[1])\n'
        'print("mmdet" in sys.modules)'
    )
    assert run(code).split() == ['2048', 'False']


@pytest.fixture
def run_warm(tmp_path):
    """Return the same where torch and mmengine are imported already, and no registry of mmdet or mmpretrain."""

    def run_warm(code: str) -> str:
        (tmp_path / 'code.py').write_text(code)
        done = run_script(tmp_path / 'code.py', env=os.environ | {'PYTHONPATH': str(ROOT)}, libraries=TORCH)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    return run_warm


@pytest.mark.slow
@pytest.mark.parametrize('registry', ['mmdet.registry', 'mmpretrain.registry', 'mmengine.registry'])
def test_bare_name_after_import_in_any_order(registry, run_warm):
    lines = ['import mmtied.evaluation, mmtied.models', f'from {registry} import MODELS']
    for order in (lines, lines[::-1]):
        assert run_warm('\n'.join([*order, 'print(MODELS.get("TiedResNet").__name__)'])) == 'TiedResNet'


@pytest.mark.slow
def test_scoped_names_without_import(run_warm):
    names = ['TiedResNet', 'TiedResNeXt', 'TiedSENet', 'TiedResNeSt', 'TiedBackbone', 'TiedSE', 'TiedGCB', 'TiedLinear']
    code = f'from mmdet.registry import MODELS\nprint(*(MODELS.get("mmtied." + name).__name__ for name in {names}))'
    assert run_warm(code).split() == names


@pytest.mark.slow
def test_scoped_metric_without_import(run_warm):
    code = 'from mmdet.registry import METRICS\nprint(METRICS.get("mmtied.OcclusionMetric").__name__)'
    assert run_warm(code) == 'OcclusionMetric'
