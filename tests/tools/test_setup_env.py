"""The builder of the environment: keyed by the lock, stamped last, never half-built, never over a user's folder."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / 'tools' / 'setup_env.py'


@pytest.fixture
def tool(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location('setup_env', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    checkout = tmp_path / 'checkout'
    (checkout / 'requirements').mkdir(parents=True)
    (checkout / 'requirements' / 'lock.txt').write_text('torch==1\nmmcv==2\n')
    monkeypatch.setattr(module, 'ROOT', checkout)
    monkeypatch.setattr(module, 'LOCK', checkout / 'requirements' / 'lock.txt')
    monkeypatch.setenv('MMTIED_CACHE', str(tmp_path / 'cache'))
    return module


@pytest.fixture
def builds(tool, monkeypatch):
    """Count the builds, and make them do no more than their stamp."""
    done = []

    def build(home, cache):
        done.append(home)
        home.mkdir()
        (home / 'complete').touch()

    monkeypatch.setattr(tool, 'build', build)
    return done


def test_built_once_and_anew_for_another_lock(tool, builds):
    tool.main()
    tool.main()
    assert len(builds) == 1
    assert (tool.ROOT / '.venv').resolve() == builds[0]
    tool.LOCK.write_text('torch==1\nmmcv==3\n')
    tool.main()
    assert len(builds) == 2
    assert builds[0] != builds[1]
    assert (tool.ROOT / '.venv').resolve() == builds[1]


def test_environment_of_another_python_is_kept_unless_one_is_asked_for(tool, builds, monkeypatch):
    tool.main()
    monkeypatch.setattr(tool, 'environment_name', lambda: f'env-other-{tool.lock_hash()}')
    tool.main(['--any-python'])
    assert len(builds) == 1
    tool.main()
    assert len(builds) == 2


def test_another_torch_index_builds_nothing_anew(tool, builds, monkeypatch):
    tool.main()
    monkeypatch.setattr(tool, 'TORCH_INDEX', 'somewhere')
    tool.main()
    assert len(builds) == 1


def test_the_lock_is_held_as_long_as_a_step_runs(tool, tmp_path):
    """A command that was killed leaves its step running; the next command must wait for that."""
    path, log = tmp_path / 'lock', tmp_path / 'log'
    log.touch()
    probe = (
        'import fcntl, sys\n'
        'try: fcntl.flock(open(sys.argv[1]), fcntl.LOCK_EX | fcntl.LOCK_NB)\n'
        'except BlockingIOError: print("held")\n'
        'else: print("free")'
    )
    with tool.only_one(path):
        waiting = subprocess.Popen(['cat'], stdin=subprocess.PIPE, close_fds=False)
    try:
        assert subprocess.run([sys.executable, '-c', probe, path], capture_output=True, text=True).stdout == 'held\n'
    finally:
        waiting.communicate()
    assert subprocess.run([sys.executable, '-c', probe, path], capture_output=True, text=True).stdout == 'free\n'


def test_half_built_is_not_used(tool, builds):
    home = tool.cache_folder() / tool.environment_name()
    home.mkdir(parents=True)
    home.joinpath('rubble').touch()
    with pytest.raises(FileExistsError):  # the stand-in for a build does not clear; that it is called is the point
        tool.main()
    assert builds == [home]


def test_build_clears_the_rubble_and_stamps_last(tool, monkeypatch):
    seen = []

    def step(title, command, log, env=None):
        seen.append((title, (home / 'rubble').exists(), (home / 'complete').exists()))
        (home / 'lib' / 'python3' / 'site-packages').mkdir(parents=True, exist_ok=True)

    monkeypatch.setattr(tool, 'step', step)
    monkeypatch.setattr(tool, 'mmcv_wheel', lambda python, cache, log: (cache / 'mmcv.whl', False))
    monkeypatch.setattr(tool, 'TORCH', ('torch',))
    monkeypatch.setattr(tool, 'BUILD_TOOLS', ())
    home = tool.cache_folder() / 'env'
    home.mkdir(parents=True)
    (home / 'rubble').touch()
    tool.build(home, tool.cache_folder())
    assert not any(rubble or stamped for _, rubble, stamped in seen)
    assert 'operators' in seen[-1][0]
    assert (home / 'complete').exists()


def test_a_failed_step_says_where_the_log_is_and_leaves_no_stamp(tool, tmp_path):
    log = tmp_path / 'log'
    log.touch()
    with pytest.raises(SystemExit, match=r'no such thing(.|\n)*whole log'):
        tool.step('fails', ['sh', '-c', 'echo no such thing; exit 3'], log)


def test_a_folder_of_the_users_is_left_alone(tool, builds):
    (tool.ROOT / '.venv').mkdir()
    with pytest.raises(SystemExit, match='is a folder of your own'):
        tool.main()


@pytest.mark.parametrize('version', [(3, 9), (3, 13)])
def test_wrong_python_is_named(tool, builds, monkeypatch, version):
    monkeypatch.setattr(tool, 'SUPPORTED', ((version[0], version[1]),) * 2)
    with pytest.raises(SystemExit, match=r'needs Python 3\.10 to 3\.12.*PYTHON='):
        tool.main()
    assert builds == []
