"""Packaging of mmtied. The pinned stack that the project is verified on is in requirements/lock.txt."""

import re
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '(.+)'", (ROOT / 'mmtied' / '__init__.py').read_text())[1]

# A hard requirement of mmengine, mmcv, mmdet or mmpretrain would overwrite what a user has: the OneDL forks have the
# same import names under other distribution names. So the two stacks are extras, and an installed one is left alone.
OPENMMLAB = [
    'mmengine>=0.10.7',
    'mmcv>=2.1.0,<2.2.0',
    'mmdet>=3.3.0',
    'mmpretrain>=1.2.0',
]
ONEDL = [
    'onedl-mmengine>=0.10.12',
    'onedl-mmcv>=2.3.6',
    'onedl-mmdetection>=3.5.1',
    'onedl-mmpretrain>=1.3.6',
    'imaug',
]
BUILD_TOOLS = ['setuptools<82']


class BuildWithConfigs(build_py):
    """Put configs, tools and model index where mim looks for them: mmtied/.mim of an installed wheel."""

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


setup(
    name='mmtied',
    version=VERSION,
    description='Tied block convolution for OpenMMLab: backbones, attention, and evaluation by occlusion',
    long_description=(ROOT / 'README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    license='Apache-2.0',
    python_requires='>=3.10',
    packages=find_packages(include=['mmtied', 'mmtied.*']),
    cmdclass={'build_py': BuildWithConfigs},
    package_data={'mmtied.evaluation.report': ['*.j2'], 'mmtied.analysis.grad_cam': ['*.j2']},
    install_requires=['numpy', 'pycocotools', 'hotcoco>=1.3', 'msgspec', 'matplotlib', 'plotly>=6', 'jinja2', 'tqdm'],
    extras_require={
        'openmmlab': [*OPENMMLAB, *BUILD_TOOLS],
        'onedl': [*ONEDL, *BUILD_TOOLS],
        'analysis': ['torchvision', 'grad-cam', 'scikit-learn'],
        'dev': ['pytest', 'hypothesis', 'pandas', 'playwright', 'timm', 'ruff', 'pre-commit'],
    },
    classifiers=[
        'Programming Language :: Python :: 3',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
)
