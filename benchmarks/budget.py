"""Wall time that a benchmark may take: steps that would overrun are skipped, those that fail told, the rest goes on."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable
from typing import TypeVar

from tqdm import tqdm

Result = TypeVar('Result')


class Budget:
    """Runs steps until the time is spent.

    Args:
        seconds: What all steps may take together, from now on.
        expected: For each kind of step, the seconds that one is thought to take before one was run.

    Attributes:
        failed: A sentence for each step that raised an error.
        skipped: The names of skipped steps by their kind.
    """

    def __init__(self, seconds: float, expected: dict[str, float]) -> None:
        self.end = time.monotonic() + seconds
        self.bar = tqdm(total=seconds, bar_format='{desc}{n:.0f} of at most {total:.0f} s')
        self.longest = dict(expected)
        self.measured: set[str] = set()
        self.failed: list[str] = []
        self.skipped: defaultdict[str, list[str]] = defaultdict(list)

    def step(self, kind: str, name: str, work: Callable[[], Result]) -> Result | None:
        """Do some work if the longest of its kind so far would still fit, and return its result, else None.

        Args:
            kind: A key of ``expected``.
            name: For what is said of it.
            work: What is to be done. A RuntimeError, as torch raises where a kernel or memory is missing, is kept.
        """
        start = time.monotonic()
        self.bar.set_description(kind)
        if start + self.longest[kind] > self.end:
            self.skipped[kind].append(name)
            return None
        try:
            return work()
        except RuntimeError as error:
            said = str(error).strip().partition('\n')[0]
            self.failed.append(f'{name}: {type(error).__name__}: {said}')
            return None
        finally:
            took = time.monotonic() - start
            self.longest[kind] = max(self.longest[kind], took) if kind in self.measured else took
            self.measured.add(kind)
            self.bar.update(took)

    def what_was_skipped(self) -> list[str]:
        """Return a sentence for each kind of which steps were skipped."""
        return [
            f'skipped, as the time would not have sufficed: {len(names)} of {kind} ({"; ".join(names)})'
            for kind, names in self.skipped.items()
        ]
