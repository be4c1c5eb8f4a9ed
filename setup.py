"""What pyproject.toml cannot say: configs, tools and model index go into the wheel, where mim looks for them."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent


class BuildWithConfigs(build_py):
    """Put configs, tools and model index into mmtied/.mim of an installed wheel."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:  # There mim looks beside the package's link, where nothing can be put.
            return
        folder = Path(self.build_lib) / 'mmtied' / '.mim'
        shutil.rmtree(folder, ignore_errors=True)
        leave = shutil.ignore_patterns('__pycache__', 'setup_env.py')  # The latter builds a checkout's environment.
        for name in ('configs', 'tools'):
            shutil.copytree(ROOT / name, folder / name, ignore=leave)
        shutil.copy(ROOT / 'model-index.yml', folder)


setup(cmdclass={'build_py': BuildWithConfigs})
