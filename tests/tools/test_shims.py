"""The scripts in tools: each starts the command of its name, from any folder, installed or not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

TOOLS = Path(__file__).parents[2] / 'tools'
COMMANDS = sorted(path.name for path in TOOLS.glob('*.py') if path.name != 'setup_env.py')


@pytest.mark.parametrize('name', COMMANDS)
def test_each_starts_the_command_of_its_name(run_tool, name):
    status, output, errors = run_tool(name, '--help')
    assert (status, errors) == (0, '')
    assert output.startswith(f'usage: {name} [-h]')
    assert (TOOLS.parent / 'mmtied/commands' / name).is_file()


def test_a_checkout_that_is_not_installed_will_do(tmp_path):
    # Without site there are the libraries of the environment, and nothing of what it says of this package.
    environment = os.environ | {'PYTHONPATH': str(Path(np.__file__).parents[1])}
    command = [sys.executable, '-S', TOOLS / 'occlusion_eval.py', '--help']
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith('usage: occlusion_eval.py [-h]')
