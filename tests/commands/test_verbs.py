"""The console command: verbs, help at once, one ending for all of them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mmtied.commands.verbs import VERBS, main

ROOT = Path(__file__).parents[2]
COMMANDS = ROOT / 'mmtied' / 'commands'
HELPERS = {'__init__', 'command', 'command_line', 'progress', 'verbs'}
MMTIED = [sys.executable, '-c', 'from mmtied.commands.verbs import main; main()']


def mmtied(*arguments, **environment) -> subprocess.CompletedProcess:
    """Run the command in a process of its own."""
    env = os.environ | {'PYTHONPATH': str(ROOT)} | environment
    encoding = env.get('PYTHONIOENCODING', 'utf-8')
    return subprocess.run([*MMTIED, *map(str, arguments)], capture_output=True, env=env, encoding=encoding)


def ended(*arguments) -> int:
    """Run the command in this process and return its exit status."""
    with pytest.raises(SystemExit) as exit:
        main([*map(str, arguments)])
    return exit.value.code or 0


@pytest.fixture
def files(tmp_path):
    """Ground truth and results of one box that overlaps another."""
    box = {'image_id': 1, 'category_id': 1, 'bbox': [0, 0, 8, 8]}
    truth = {
        'images': [{'id': 1}],
        'categories': [{'id': 1, 'name': 'größe ≥ 漢'}],
        'annotations': [box | {'id': 1}, box | {'id': 2, 'bbox': [4, 0, 8, 8]}],
    }
    for name, content in (('gt', truth), ('dt', [box | {'score': 0.9}])):
        (tmp_path / f'{name}.json').write_text(json.dumps(content), encoding='utf-8')
    return tmp_path


def test_every_command_is_a_verb_and_a_script():
    modules = {path.stem for path in COMMANDS.glob('*.py')} - HELPERS
    assert {module for module, _ in VERBS.values()} == modules
    assert {path.stem for path in (ROOT / 'tools').glob('*.py')} == modules | {'setup_env'}


def test_help_lists_the_verbs(capsys):
    for arguments in ([], ['--help']):
        assert ended(*arguments) == 0
        out = capsys.readouterr().out
        assert all(f'  {verb} ' in out for verb in VERBS)


def test_version(capsys):
    assert ended('--version') == 0
    assert capsys.readouterr().out.startswith('mmtied 0.')


def test_unknown_verb(capsys):
    assert ended('oclusion') == 2
    assert "no verb is named 'oclusion'; did you mean occlusion?" in capsys.readouterr().err


@pytest.mark.parametrize('arguments, heavy', [('--help', 'numpy'), ('occlusion --help', 'torch')])
def test_imports_no_more_than_it_needs(arguments, heavy):
    ask = 'import atexit, sys; atexit.register(lambda: print("has", [m for m in sys.modules if m == sys.argv[1]]))'
    program = f'{ask}\nfrom mmtied.commands.verbs import main\nmain({arguments.split()})'
    done = subprocess.run([sys.executable, '-c', program, heavy], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.endswith('has []\n')


def test_what_is_not_installed_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch', None)
    monkeypatch.delitem(sys.modules, 'mmtied.commands.train', raising=False)
    assert ended('train', 'config.py') == 2
    assert capsys.readouterr().err.startswith('error: mmtied train needs torch, which is not installed; ')


@pytest.mark.parametrize('encoding', ['ascii', 'cp1252'])
def test_any_terminal_shows_the_table_and_keeps_the_files(files, encoding):
    out_dir = files / 'out'
    done = mmtied(
        'occlusion',
        files / 'gt.json',
        files / 'dt.json',
        '--cumulative',
        '--per-class',
        '--out-dir',
        out_dir,
        PYTHONIOENCODING=encoding,
    )
    assert done.returncode == 0, done.stderr
    assert '\\u2265' in done.stdout
    assert (out_dir / 'report.html').is_file()
    assert '≥' in (out_dir / 'occlusion.csv').read_text(encoding='utf-8')


def test_closed_pipe_is_silent(files):
    with subprocess.Popen(
        [*MMTIED, 'occlusion', files / 'gt.json', files / 'dt.json'],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {'PYTHONPATH': str(ROOT)},
    ) as process:
        process.stdout.close()
        assert process.stderr.read() == b''
    assert process.returncode == 141  # 1 would be a gate that failed


@pytest.mark.parametrize(
    'arguments, said',
    [
        ('train nothing.py', 'error: nothing.py: FileNotFoundError'),
        ('train nothing.py --cfg-options a', 'error: argument --cfg-options: a must be KEY=VALUE'),
        ('test nothing.py nothing.pth', 'error: nothing.py: FileNotFoundError'),
        ('scenes {} --size 10', 'error: argument --size: 10 must be a whole number of at least 64'),
        ('scenes {} --train -1', 'error: argument --train: -1 must be a whole number of at least 1'),
        ('occlusion nothing.json nothing.json', 'error: nothing.json'),
        ('convert tiedresnet50 nothing.pth out.pth', 'error: nothing.pth'),
        ('similarity tiedresnet50 --checkpoints nothing.pth --out-dir {}', 'error: nothing.pth'),
    ],
)
def test_wrong_input_is_one_sentence(arguments, said, tmp_path, capsys):
    assert ended(*(word.format(tmp_path / 'out') for word in arguments.split())) == 2
    err = capsys.readouterr().err
    assert err.rpartition('error: ')[0].count('Traceback') == 0
    assert said in err


def test_interrupt_ends_with_130(monkeypatch, capsys, files):
    from mmtied.commands import occlusion_eval

    def interrupted(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(occlusion_eval, 'main', interrupted)
    assert ended('occlusion', files / 'gt.json', files / 'dt.json') == 130
    assert capsys.readouterr().err == 'interrupted\n'
