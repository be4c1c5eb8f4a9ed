#!/usr/bin/env python3
"""Build the pinned environment once, in a cache, and point this checkout's `.venv` to it.

Usage: `make env`, which every other make verb runs first. Only the standard library is needed. With `--any-python`, an
environment of this lock that `.venv` points to already is kept, whatever Python it was built with.

The environment lies in a cache folder named after the hash of the lock, so a second clone starts at once and a
changed lock gets an environment of its own. A stamp is written last: what was interrupted half-way is thrown away
and built anew, never used. The compiled mmcv wheel is kept beside it and survives both.

Environment variables:
    MMTIED_CACHE: the cache folder. Defaults to `$XDG_CACHE_HOME/mmtied`, or `~/.cache/mmtied`.
    TORCH_INDEX: a package index to take torch and torchvision from, for instance PyTorch's index of CPU-only
        wheels, which spares the download of several GB of CUDA libraries. Defaults to pip's own index.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / 'requirements' / 'lock.txt'
TORCH_INDEX = os.environ.get('TORCH_INDEX', '')
SUPPORTED = ((3, 10), (3, 12))
# Installed first and with their dependencies: torch pins the CUDA libraries that match it, and mmcv compiles
# against it with the build tools.
TORCH = ('torch', 'torchvision')
BUILD_TOOLS = ('setuptools', 'wheel', 'ninja', 'psutil', 'numpy')
# Python's default -g -O3 doubles the compile time of mmcv and buys nothing on a CPU.
MMCV_CFLAGS = '-g0 -O2'
CHECK_OPS = (
    'import torch, mmcv.ops as ops, mmdet.models; '
    'kept = ops.nms(torch.tensor([[0., 0, 4, 4], [0, 0, 4, 4]]), torch.tensor([.9, .8]), .5)[1]; '
    'assert kept.tolist() == [0], kept'
)


def cache_folder() -> Path:
    """Return the folder that holds the environments and the compiled mmcv wheels."""
    if 'MMTIED_CACHE' in os.environ:
        return Path(os.environ['MMTIED_CACHE']).expanduser().resolve()
    return Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache').resolve() / 'mmtied'


def lock_hash() -> str:
    """Return the part of the environment's name that changes with the lock."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()[:12]


def environment_name() -> str:
    """Name the environment after the Python and the lock that decide its content."""
    return f'env-py{sys.version_info[0]}.{sys.version_info[1]}-{lock_hash()}'


def pins(*names: str) -> list[str]:
    """Return the lock's lines `name==version` of the named packages."""
    found = {line.split('==')[0]: line for line in LOCK.read_text().splitlines() if '==' in line}
    return [found[name] for name in names]


@contextlib.contextmanager
def only_one(path: Path) -> Iterator[None]:
    """Hold a file lock, so that two commands started together build once."""
    with path.open('w') as handle:
        # The commands of a step inherit the lock: should this one be killed, they hold it until they have ended.
        os.set_inheritable(handle.fileno(), True)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('  another command is building this environment: waiting for it', flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def step(title: str, command: list[str], log: Path, env: dict[str, str] | None = None) -> None:
    """Run one command into the log and say every half minute that it is alive, and how far it is."""
    print(f'  {title}', flush=True)
    start = said = time.monotonic()
    with log.open('a') as out:
        out.write(f'\n$ {" ".join(command)}\n')
        out.flush()
        begun = out.tell()
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, env=env, close_fds=False)
        try:
            while process.poll() is None:
                time.sleep(0.2)
                if time.monotonic() - said > 30:
                    said = time.monotonic()
                    compiled = re.findall(r'\[\d+/\d+\]', log.read_text(errors='replace')[begun:])
                    print(f'    {said - start:4.0f} s {compiled[-1] if compiled else ""}', flush=True)
        except BaseException:
            process.terminate()
            process.wait()
            raise
    if process.returncode:
        tail = '\n'.join(log.read_text(errors='replace').splitlines()[-25:])
        sys.exit(f'{tail}\n\nThat step failed; the whole log is in {log}. Mend the cause and run the command again.')
    print(f'    done in {time.monotonic() - start:.0f} s', flush=True)


def mmcv_wheel(python: Path, cache: Path, log: Path) -> tuple[Path, bool]:
    """Compile mmcv with its operators, or find the wheel compiled before against the same torch and Python.

    Returns:
        The wheel, and whether this machine's GPU must be hidden from it.
    """
    probe = (
        'import torch, torch.utils.cpp_extension as e; '
        'print(torch.__version__, int(torch.cuda.is_available()), int(e.CUDA_HOME is not None))'
    )
    answer = subprocess.run([python, '-c', probe], check=True, capture_output=True, text=True).stdout.split()
    version, gpu, toolkit = answer[0], answer[1] == '1', answer[2] == '1'
    build = 'cuda' if gpu and toolkit else 'cpu'
    folder = cache / f'wheels-py{sys.version_info[0]}.{sys.version_info[1]}-torch-{version}-{build}'
    pin = pins('mmcv')[0]
    pattern = pin.replace('==', '-') + '-*.whl'
    if gpu and not toolkit:
        print('  a GPU but no CUDA toolkit (nvcc): mmcv is compiled for the CPU, the environment uses the CPU alone')
    if not list(folder.glob(pattern)):
        folder.mkdir(parents=True, exist_ok=True)
        minutes = 'about 7 minutes on 2 cores' if build == 'cpu' else 'with CUDA, half an hour or more on 2 cores'
        environment = {'CFLAGS': MMCV_CFLAGS, 'MMCV_WITH_OPS': '1', 'PATH': f'{python.parent}:{os.environ["PATH"]}'}
        if build == 'cpu':
            environment['CUDA_VISIBLE_DEVICES'] = ''
        with tempfile.TemporaryDirectory(dir=folder) as building:
            # pip keys its own wheel cache by the sdist alone and would reuse a wheel built against another torch.
            step(
                f'compiling {pin}, of which PyPI has no built wheel: {minutes}',
                [
                    str(python),
                    '-m',
                    'pip',
                    'wheel',
                    '--verbose',
                    '--no-deps',
                    '--no-build-isolation',
                    '--no-cache-dir',
                    '--no-binary',
                    'mmcv',
                    '--wheel-dir',
                    building,
                    pin,
                ],
                log,
                env=os.environ | environment,
            )
            for wheel in Path(building).glob('*.whl'):
                wheel.replace(folder / wheel.name)
    return next(folder.glob(pattern)), gpu and not toolkit


def build(home: Path, cache: Path) -> None:
    """Build the environment in its final place (a venv cannot be moved) and stamp it as complete."""
    print(f'Building the environment of {LOCK.relative_to(ROOT)} in {home}')
    print('  (once: about 10 minutes on 2 cores, and 8 GB of disk with the CUDA build of torch)', flush=True)
    start = time.monotonic()
    shutil.rmtree(home, ignore_errors=True)
    log = cache / f'{home.name}.log'
    log.write_text('')
    step('creating a virtual environment', [sys.executable, '-m', 'venv', str(home)], log)
    python = home / 'bin' / 'python'
    pip = [str(python), '-m', 'pip', 'install', '--disable-pip-version-check']
    index = ['--index-url', TORCH_INDEX] if TORCH_INDEX else []
    step(f'installing {" ".join(pins(*TORCH))}', [*pip, *index, *pins(*TORCH)], log)
    step('installing the build tools', [*pip, *pins(*BUILD_TOOLS)], log)
    wheel, hide_gpu = mmcv_wheel(python, cache, log)
    rest = home / 'rest.txt'
    apart = tuple(f'{name}==' for name in (*TORCH, 'mmcv'))
    rest.write_text('\n'.join(line for line in LOCK.read_text().splitlines() if not line.startswith(apart)))
    # The lock is the whole closure; resolving again would bring in the opencv build that needs a window system.
    step('installing the rest of the lock', [*pip, '--no-deps', '-r', str(rest), str(wheel)], log)
    # One environment serves every checkout: seen through its `.venv`, the package is the checkout's own.
    site = next((home / 'lib').glob('python*/site-packages'))
    start_up = 'import os, sys; sys.path.append(os.path.dirname(sys.prefix))'
    if hide_gpu:
        start_up += "; os.environ['CUDA_VISIBLE_DEVICES'] = ''"
    (site / 'mmtied_checkout.pth').write_text(f'{start_up}\n')
    step("checking that mmcv's operators run", [str(python), '-c', CHECK_OPS], log)
    (home / 'complete').touch()
    print(f'  environment ready after {(time.monotonic() - start) / 60:.1f} minutes', flush=True)


def point(link: Path, home: Path) -> None:
    """Let `.venv` point to the environment, in one step."""
    if link.is_symlink() and link.resolve() == home:
        return
    if link.exists() and not link.is_symlink():
        sys.exit(f'{link} is a folder of your own, not a link to a pinned environment: move it away and run again.')
    aside = link.with_name(f'.venv.{os.getpid()}')
    aside.symlink_to(home)
    aside.replace(link)


def main(arguments: Sequence[str] = ()) -> None:
    if not SUPPORTED[0] <= sys.version_info[:2] <= SUPPORTED[1]:
        sys.exit(
            f'Python {sys.version.split()[0]} at {sys.executable}: the pinned stack needs Python 3.10 to 3.12. '
            'Name another interpreter, for instance `make demo PYTHON=python3.11`.'
        )
    cache = cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    link = ROOT / '.venv'
    if '--any-python' in arguments and link.resolve().name.endswith(lock_hash()) and (link / 'complete').exists():
        return
    home = cache / environment_name()
    if not (home / 'complete').exists():
        with only_one(cache / f'{home.name}.lock'):
            if not (home / 'complete').exists():
                build(home, cache)
    point(link, home)


if __name__ == '__main__':
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit('\nInterrupted; run the same command again.')
