"""Fixtures of all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[1]
REAL_DATA = Path(os.environ.get('MMTIED_TEST_DATA', ROOT.parent / 'shared' / 'data'))


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


@pytest.fixture
def real_data():
    """Return a function that gives the path of a real data file, and skips the test where it is absent."""

    def path(name: str) -> Path:
        if not (REAL_DATA / name).exists():
            pytest.skip(f'needs the real data {name} in {REAL_DATA} (set MMTIED_TEST_DATA)')
        return REAL_DATA / name

    return path
