"""Fixtures of the commands' tests."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def images(tmp_path) -> Path:
    """A folder of three images of grey noise."""
    rng = np.random.default_rng(0)
    folder = tmp_path / 'images'
    folder.mkdir()
    for i in range(3):
        Image.fromarray(rng.integers(0, 256, (90, 120), dtype=np.uint8)).save(folder / f'{i}.png')
    return folder


@pytest.fixture
def folders(images, monkeypatch) -> Path:
    """The working folder, in which are the good ``images``, and two bad ones: ``empty`` and ``broken``."""
    root = images.parent
    monkeypatch.chdir(root)
    (root / 'empty').mkdir()
    (root / 'broken').mkdir()
    (root / 'broken/a.jpg').write_text('no image')
    return root
