"""Report the versions of the stack, whether mmcv's operators load, and the command that mends what is missing."""

from __future__ import annotations

import argparse
import importlib
import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, packages_distributions, version

COMPILE_MMCV = (
    'pip install "setuptools<80.9" wheel ninja psutil && pip uninstall -y mmcv mmcv-lite && '
    'MMCV_WITH_OPS=1 CFLAGS="-g0 -O2" pip install --no-build-isolation --no-cache-dir --no-binary mmcv mmcv==2.1.0'
)
COMPILE_ONEDL = COMPILE_MMCV.replace('mmcv-lite', 'onedl-mmcv').replace(
    'binary mmcv mmcv==2.1.0', 'binary onedl-mmcv onedl-mmcv==2.3.6'
)
# What needs a package, and how to install it.
STACK = {
    'torch': ('everything but the evaluation of json files', 'pip install "torch<2.13" torchvision'),
    'mmengine': ('layers and backbones', 'pip install mmengine'),
    'mmcv': ('layers and backbones', COMPILE_MMCV),
    'mmdet': ('detectors and the metric', 'pip install mmdet'),
    'mmpretrain': ('classifiers', 'pip install mmpretrain'),
    'pycocotools': ('evaluation', 'pip install pycocotools'),
    'hotcoco': ('evaluation', 'pip install hotcoco'),
    'matplotlib': ('curves', 'pip install matplotlib'),
    'cv2': ('occluded scenes', 'pip install opencv-python-headless'),
}


def distribution_of(module: str) -> str:
    """Return name and version of the installed distribution that holds a module: mmcv or onedl-mmcv, for instance."""
    names = sorted(set(packages_distributions().get(module, [])))
    if not names:
        raise PackageNotFoundError(module)
    return ', '.join(f'{name} {version(name)}' for name in names)


def check(module: str) -> str | None:
    """Import a module; return what is wrong with it, or None."""
    try:
        importlib.import_module(module)
    except Exception as error:  # A broken package may raise anything; the report is what it said.
        return f'{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ""}'
    return None


def check_stack() -> list[str]:
    """Print the state of the stack and return the commands that mend it."""
    print(f'{"python":<12} {platform.python_version()} at {sys.executable}')
    mend = []
    for module, (needed_by, command) in STACK.items():
        try:
            found = distribution_of(module)
        except PackageNotFoundError:
            print(f'{module:<12} missing, needed by {needed_by}')
            mend.append(command)
            continue
        wrong = check(module)
        print(f'{module:<12} {found}{f", does not import: {wrong}" if wrong else ""}')
        if wrong:
            mend.append(command)
    wrong = check('mmcv.ops')
    print(f'{"mmcv.ops":<12} {f"not compiled or not loadable: {wrong}" if wrong else "compiled operators load"}')
    if wrong:
        mend.append(COMPILE_ONEDL if 'onedl-mmcv' in packages_distributions().get('mmcv', []) else COMPILE_MMCV)
    if check('torch') is None:
        import torch

        device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'none, running on the CPU'
        print(f'{"CUDA":<12} {device}')
    # This process has the checkout's package in any case; what others import is asked from elsewhere.
    asked = [sys.executable, '-c', 'import mmtied; print(mmtied.__version__)']
    done = subprocess.run(asked, cwd=sys.prefix, capture_output=True, text=True)
    print(f'{"mmtied":<12} {done.stderr.strip().rpartition(chr(10))[2] or done.stdout.strip()}')
    if done.returncode:
        mend.append('pip install -e .')
    return mend


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes none."""


def main(args: argparse.Namespace) -> None:
    mend = check_stack()
    if mend:
        print('\nTo fix it:')
        print('\n'.join(f'  {command}' for command in dict.fromkeys(mend)))
        sys.exit(1)
    print('\nEverything is there.')
