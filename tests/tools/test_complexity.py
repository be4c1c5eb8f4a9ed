"""The command that prints the published sizes beside ours."""

import subprocess
from pathlib import Path

from warm_python import run_script

ROOT = Path(__file__).parents[2]


def run(*arguments) -> subprocess.CompletedProcess:
    return run_script(ROOT / 'tools/complexity.py', *arguments)


def test_prints_and_writes_the_tables_asked_for(tmp_path):
    done = run('--tables', '6', '--out-dir', tmp_path / 'new')
    assert done.returncode == 0, done.stderr
    assert '| mixer: element-sum | 22.0 | 22.03 | +0.1 |' in done.stdout
    assert 'Table 1' not in done.stdout.replace('in Table 1', '')
    assert (tmp_path / 'new/complexity.md').read_text().strip() == done.stdout.strip()
    assert len((tmp_path / 'new/complexity.csv').read_text().splitlines()) == 3
    assert sorted(path.name for path in (tmp_path / 'new').iterdir()) == ['complexity.csv', 'complexity.md']


def test_an_unknown_table_is_named():
    done = run('--tables', '7')
    assert done.returncode == 2
    assert "'7'" in done.stderr
