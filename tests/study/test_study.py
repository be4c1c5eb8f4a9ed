"""The study as a command: what is done is skipped, what was killed goes on, the report follows from the runs."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import MessageHub
from mmengine.runner import Runner

from mmtied.evaluation import evaluate_occlusion
from mmtied.study.arms import Arm
from mmtied.study.estimate import estimate
from mmtied.study.plan import ARMS, TUNING_SEED, Question, Schedule
from mmtied.study.report import read_runs, save_report, verdict
from mmtied.study.runner import Folders, check_level, make_scenes, run_all
from mmtied.study.score import RESAMPLES, score_run
from mmtied.study.train import project_backbone, run_config, train

MAIN = Question(1, 'one beats the other', (('tied', 'untied'),))


@pytest.mark.slow
def test_tiny_study(run_tool, tmp_path):
    folders = ['--results', tmp_path / 'results', '--work-dir', tmp_path / 'work']
    killed = tmp_path / 'work' / 'untied-0' / '20200101' / 'vis_data'
    killed.mkdir(parents=True)
    (killed / 'scalars.json').write_text('not a whole line')
    status, out, err = run_tool('study.py', '--tiny', *folders, '--arms', 'untied', 'tied', '--runs', 2)
    assert status == 0, err
    runs = read_runs(tmp_path / 'results')
    assert {(arm, seed) for arm, of_arm in runs.items() for seed in of_arm} == {('untied', 0), ('tied', 0)}
    kept = runs['tied'][0]
    truth = tmp_path / 'work' / 'scenes' / 'instances_val.json'
    found = evaluate_occlusion(truth, tmp_path / 'work' / 'tied-0' / 'results.bbox.json', 'bbox')
    assert [row['AP'] for row in kept['rows']] == [round(1e4 * row.AP) for row in (found.all, *found.bins)]
    assert {layer['state'] for layer in kept['similarity']} == {'start', 'trained'}
    assert len(kept['partial']) == 24
    page = (tmp_path / 'results' / 'results.md').read_text()
    assert '| tied, untied | 1 of 5 |' in page
    assert (tmp_path / 'results' / 'curves.png').stat().st_size > 10_000
    status, out, err = run_tool('study.py', '--tiny', *folders, '--arms', 'untied', 'tied', '--runs', 0)
    assert status == 0, err
    assert '2 of 12 runs are done' in out
    assert 'making' not in out
    assert (tmp_path / 'results' / 'results.md').read_text() == page


@pytest.mark.slow
def test_a_run_that_fails_is_named(run_tool, tmp_path):
    scenes = tmp_path / 'work' / 'scenes'
    scenes.mkdir(parents=True)
    for split, images, textures in (('train', 12, 'even'), ('val', 24, 'odd')):
        info = {'images': images, 'seed': 7, 'textures': textures}
        (scenes / f'instances_{split}.json').write_text(json.dumps({'info': info}))  # and no images
    folders = ['--results', tmp_path / 'results', '--work-dir', tmp_path / 'work']
    status, _, err = run_tool('study.py', '--tiny', *folders, '--arms', 'tied', '--runs', 1)
    assert status == 2
    assert re.search(r'error: tied-0: failed with exit status 1, see .*output\.log', err)
    assert not list((tmp_path / 'results').glob('*.json'))


def test_nuclei_are_left_out_without_their_folder(run_tool, tmp_path):
    folders = ['--results', tmp_path / 'results', '--work-dir', tmp_path / 'work']
    status, out, _ = run_tool('study.py', '--tiny', *folders, '--arms', 'tied-nuclei')
    assert status == 0
    assert 'tied-nuclei is left out: its data is not given' in out


def boxes(rng: np.random.Generator, images: int) -> tuple[dict, list[dict]]:
    """A set of overlapping boxes, and detections near them."""
    truth, found = [], []
    for image in range(1, images + 1):
        for _ in range(4):
            box = [*rng.uniform(0, 40, 2), *rng.uniform(20, 40, 2)]
            entry = {'image_id': image, 'category_id': 1, 'bbox': box}
            truth.append(entry | {'id': len(truth) + 1, 'area': box[2] * box[3], 'iscrowd': 0})
            found.append(entry | {'bbox': (box + rng.normal(0, 3, 4)).tolist(), 'score': rng.uniform(0.2, 1)})
    images = [{'id': i, 'width': 100, 'height': 100} for i in range(1, images + 1)]
    return {'images': images, 'annotations': truth, 'categories': [{'id': 1, 'name': 'one'}]}, found


def test_what_is_kept_can_be_paired(tmp_path):
    """The same images are in the same resample of every run, so equal detections have equal samples."""
    rng = np.random.default_rng(3)
    truth, found = boxes(rng, 40)
    shifted = [entry | {'bbox': [entry['bbox'][0] + 1, *entry['bbox'][1:]]} for entry in found]
    kept = []
    for name, content in (('truth', truth), ('a', found), ('again', found[::-1]), ('b', shifted)):
        (tmp_path / f'{name}.json').write_text(json.dumps(content))
    for name in ('a', 'again', 'b'):
        kept.append(score_run(tmp_path / 'truth.json', tmp_path / f'{name}.json'))
    assert kept[0] == kept[1]
    samples = np.array([run['rows'][0]['AP_samples'] for run in kept], dtype=float)
    assert samples.shape == (3, RESAMPLES)
    assert np.var(samples[0] - samples[2]) < 0.5 * (np.var(samples[0]) + np.var(samples[2]))


@pytest.mark.parametrize('last, levelled', [(0.431, True), (0.4399, True), (0.4402, False)])
def test_a_calibration_that_still_rises_is_refused(tmp_path, last, levelled):
    path = tmp_path / 'calibration-100.json'
    path.write_text(json.dumps({'validated': [[2000, 0.38], [4000, 0.43], [6000, last]]}))
    if levelled:
        check_level(path)
    else:
        with pytest.raises(ValueError, match=r'AP rose by 1\.0 over the last third of the steps'):
            check_level(path)


def kept(arm: str, seed: int, ap: int, steps: int = Schedule().steps['scenes']) -> dict:
    """A stored run whose scores are all the same."""
    row = {'label': 'all', 'images': 10, 'instances': 20, 'ratio': 0.3, 'AP': ap, 'AP75': ap}
    row |= {'AP_samples': [ap, ap], 'AP75_samples': [ap, ap]}
    rows = [row, *(row | {'label': str(i), 'ratio': 0.1 * i} for i in range(6))]
    sizes = {'title': arm, 'parameters': 1, 'macs': 1, 'minutes': 1}
    return sizes | {'arm': arm, 'seed': seed, 'steps': steps, 'rows': rows, 'partial': [0, 1]}


def store(folder: Path, *stored: dict) -> None:
    folder.mkdir(exist_ok=True)
    for run in stored:
        (folder / f'{run["arm"]}-{run["seed"]}.json').write_text(json.dumps(run))


def test_other_seeds_do_not_enter_a_verdict(tmp_path):
    store(tmp_path, *(kept('untied', seed, ap=4000) for seed in (0, 1, 2, TUNING_SEED)))
    store(tmp_path, *(kept('tied', seed, ap=4200) for seed in (0, 1, 2)), kept('tied', TUNING_SEED, ap=9900))
    save_report(tmp_path, [MAIN])
    page = (tmp_path / 'results.md').read_text()
    assert '| AP | tied, untied | 3 of 3 | +2.0 (+2.0 to +2.0) | +2.0 (+2.0 to +2.0) | supported |' in page
    assert page.index('99.0') > page.index('## Tuning')


class Instant:
    """In the place of a process: it writes what a run leaves, and is counted."""

    started: list[str] = []

    def __init__(self, command, **_):
        arm, seed, _, folder, out = command[3:8]
        self.started.append(f'{arm}-{seed}')
        (Path(folder) / 'iter_4.pth').touch()
        (Path(folder) / 'results.bbox.json').touch()
        Path(out).parent.mkdir(exist_ok=True)
        Path(out).write_text(json.dumps({'arm': arm, 'seed': int(seed), 'steps': 4}))

    def wait(self):
        return 0


def test_a_source_is_trained_once_and_its_result_stays(tmp_path, monkeypatch):
    monkeypatch.setattr('mmtied.study.runner.subprocess.Popen', Instant)
    monkeypatch.setattr('mmtied.study.runner.make_scenes', lambda *_: None)
    monkeypatch.setattr(Instant, 'started', [])
    folders = Folders(tmp_path / 'results', tmp_path / 'work')
    both = [('wiring', 0), ('warm', 0)]
    assert run_all(both, folders, schedule=Schedule.tiny(), workers=2) == []
    assert Instant.started == ['wiring-0', 'warm-0']
    # On another machine the weights are gone and the results are there.
    shutil.rmtree(tmp_path / 'work')
    folders.result('warm', 0).unlink()
    before = folders.result('wiring', 0).stat().st_mtime_ns
    assert run_all(both, folders, schedule=Schedule.tiny(), workers=2) == []
    assert Instant.started[2:] == ['wiring-0', 'warm-0']
    assert folders.result('wiring', 0).stat().st_mtime_ns == before


@pytest.mark.slow
def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    schedule, folder, data = Schedule.tiny(), tmp_path / 'run', tmp_path / 'scenes'
    make_scenes(data, schedule)
    monkeypatch.setenv('MMTIED_SHAPES', str(data))

    def interrupted(runner):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Runner, 'test', interrupted)
        with pytest.raises(KeyboardInterrupt):
            train('untied', 0, data=data, folder=folder, schedule=schedule, source=None)
    start, first = (folder / 'start.pth').read_bytes(), [*folder.glob('*/vis_data/scalars.json')]
    MessageHub._instance_dict.clear()
    content = train('untied', 0, data=data, folder=folder, schedule=schedule, source=None)
    assert (folder / 'start.pth').read_bytes() == start
    assert [step for step, _ in content['loss']] == [1, 2, 3, 4]
    # All steps were made the first time.
    assert 'loss' in first[0].read_text()
    assert len([*folder.glob('iter_*.pth')]) == 1


@pytest.mark.parametrize('steps, kept', [('4', True), ('9', False), (None, False)])
def test_what_a_killed_run_of_this_schedule_left_is_kept(steps, kept, tmp_path, monkeypatch):
    monkeypatch.setattr('mmtied.study.runner.subprocess.Popen', Instant)
    monkeypatch.setattr('mmtied.study.runner.make_scenes', lambda *_: None)
    folders = Folders(tmp_path / 'results', tmp_path / 'work')
    left = folders.run('untied', 0) / 'left'
    left.parent.mkdir(parents=True)
    left.touch()
    if steps is not None:
        (left.parent / 'last_checkpoint').touch()
        (left.parent / 'steps.txt').write_text(steps)
    assert run_all([('untied', 0)], folders, schedule=Schedule.tiny(), workers=1) == []
    assert left.exists() == kept


def test_runs_and_scenes_of_another_schedule_are_refused(tmp_path):
    folders = Folders(tmp_path / 'results', tmp_path / 'work')
    store(folders.results, kept('tied', 0, ap=4000, steps=4000))
    with pytest.raises(ValueError, match='a run of 4000 steps, where the schedule has 9000'):
        run_all([('tied', 0)], folders, schedule=Schedule(), workers=1)
    scenes = tmp_path / 'work' / 'scenes'
    scenes.mkdir(parents=True)
    (scenes / 'instances_train.json').write_text(json.dumps({'info': {'images': 12, 'seed': 7, 'textures': 'even'}}))
    with pytest.raises(ValueError, match='not the 4000 scenes of this schedule'):
        run_all([('untied', 0)], folders, schedule=Schedule(), workers=1)


def test_config_of_a_run(tmp_path, monkeypatch):
    monkeypatch.setenv('MMTIED_SHAPES', str(tmp_path))
    arm = Arm('half', {'mixer': 'none'}, base_channels=16, images=400, length=0.5, rate=2e-3)
    config = run_config(arm, seed=3, folder=tmp_path, schedule=Schedule(), start=None)
    assert config.train_cfg.max_iters == 4500
    assert config.param_scheduler[1].milestones == [1800, 2700]
    assert config.optim_wrapper.optimizer.lr == 2e-3
    assert config.train_dataloader.dataset.indices == 400
    assert config.randomness.seed == 3
    assert config.model.neck.in_channels == [64, 128, 256, 512]
    assert 'mask_head' not in config.model.roi_head


def test_warm_start_is_the_projection(tmp_path):
    from mmengine.registry import MODELS

    from mmtied.tying import untie

    wiring, tied = (MODELS.build(ARMS[arm].model()) for arm in ('wiring', 'tied'))
    state = {f'backbone.{name}': value for name, value in wiring.state_dict().items()} | {'head': torch.ones(1)}
    torch.save({'state_dict': state}, tmp_path / 'trained.pth')
    out = project_backbone(tmp_path / 'trained.pth', ARMS['tied'].model(), tmp_path / 'start.pth')
    start = torch.load(out, weights_only=True)['state_dict']
    tied.load_state_dict({name.removeprefix('backbone.'): value for name, value in start.items()})
    # Nearest in least squares: the mean of the diagonal blocks.
    for name in ('layer1.0.splits.2.conv', 'layer4.1.entry.conv'):
        layer, full = tied.get_submodule(name), wiring.get_submodule(name).weight
        out_width, in_width = layer.weight.shape[:2]
        diagonal = [
            full[b * out_width : (b + 1) * out_width, b * in_width : (b + 1) * in_width] for b in range(layer.blocks)
        ]
        torch.testing.assert_close(layer.weight, torch.stack(diagonal).mean(0))
    untie(tied)  # It is a whole network.


@pytest.mark.parametrize(
    'values, measure, said',
    [
        ([1.0, 1.1, 0.9], 'AP', 'supported'),
        ([-1.0, -1.1, -0.9], 'AP', 'not supported'),
        ([0.1, -0.1, 0.05], 'AP', 'not supported'),
        ([2.0, -2.0, 3.0], 'AP', 'undecided'),
        ([1.0, 1.1], 'AP', 'undecided, fewer than 3 seeds'),
        ([-1.0, -1.1, -0.9], 'partial', 'supported'),
        ([1.0, 1.1, 0.9], 'partial', 'not supported'),
    ],
)
def test_verdicts(values, measure, said):
    question = Question(1, 'a claim', (), measure=measure)
    assert verdict(estimate(values, [np.array([])] * len(values)), question) == said


def test_two_sided_verdicts():
    question = Question(10, 'they differ', (), two_sided=True)
    for values, said in (([-1, -1.1, -0.9], 'supported'), ([0.1, -0.1, 0], 'not supported'), ([3, -3, 1], 'undecided')):
        assert verdict(estimate(values, [np.array([])] * 3), question) == said


def test_no_runs_no_report(tmp_path):
    assert save_report(tmp_path, [MAIN]) == []
