"""Scripts in processes of their own that need not import the large libraries first, which takes longer than most tests.

A process that has imported them, and nothing of ours, forks for each script. The script finds arguments, folder,
environment and module search path as in a new process of Python, and ends as one.
"""

from __future__ import annotations

import atexit
import json
import os
import runpy
import subprocess
import sys
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path

TORCH = ('torch', 'torchvision', 'mmengine.runner', 'scipy.optimize', 'matplotlib.pyplot')
MMDET = (*TORCH, 'mmcv.ops', 'mmdet.models', 'mmdet.datasets', 'mmdet.evaluation')


def run_script(
    script: Path | str,
    *arguments,
    cwd: Path | str | None = None,
    env: dict[str, str] | None = None,
    libraries: tuple[str, ...] = MMDET,
) -> subprocess.CompletedProcess:
    """Run a script of Python, as ``subprocess.run`` with captured text does.

    Args:
        script: Its file.
        *arguments: Of the script; made to text.
        cwd, env: The folder that it runs in and its environment. Default to those of this process.
        libraries: What is imported before. Defaults to mmdet and what it needs.
    """
    with tempfile.TemporaryDirectory() as folder:
        argv = [str(script), *map(str, arguments)]
        request = {'argv': argv, 'cwd': str(cwd or Path.cwd()), 'env': env or dict(os.environ), 'folder': folder}
        server = warm_process(libraries)
        server.stdin.write(json.dumps(request) + '\n')
        server.stdin.flush()
        code = int(server.stdout.readline())
        out, err = ((Path(folder) / name).read_text() for name in ('out', 'err'))
    return subprocess.CompletedProcess(argv, code, out, err)


@cache
def warm_process(libraries: tuple[str, ...]) -> subprocess.Popen:
    """Start the process that has imported the libraries and forks, once."""
    command = [sys.executable, __file__, *libraries]
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=quiet, text=True)
    atexit.register(process.communicate)
    return process


def next_script() -> dict:
    """Fork for each request; return it in the fork, and end where there are no more."""
    for line in sys.stdin:
        child = os.fork()
        if not child:
            return json.loads(line)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)
    sys.exit()


def become(request: dict) -> None:
    """Be the process that the request asks for."""
    folder = Path(request['folder'])
    for number, path, mode in ((0, os.devnull, 'r'), (1, folder / 'out', 'w'), (2, folder / 'err', 'w')):
        with open(path, mode) as file:
            os.dup2(file.fileno(), number)
    os.chdir(request['cwd'])
    os.environ.clear()
    os.environ.update(request['env'])
    sys.argv = request['argv']
    paths = request['env'].get('PYTHONPATH', '').split(os.pathsep)
    sys.path[:1] = [str(Path(sys.argv[0]).parent), *filter(None, paths)]


if __name__ == '__main__':
    for name in sys.argv[1:]:
        import_module(name)
    become(next_script())
    runpy.run_path(sys.argv[0], run_name='__main__')
