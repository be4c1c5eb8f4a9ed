"""Tables, figures and verdicts of the study, from the stored runs alone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..utils.figures import save_figure
from ..utils.files import written_aside
from .estimate import LESS, MEASURES, Estimate, difference, score
from .figures import draw_curves, draw_similarity
from .plan import ARMS, FIVE, FRESH, FURTHER, MAIN, TUNED, TUNING_SEED, Question

Runs = dict[str, dict[int, dict]]
# A verdict needs this many seeds.
FEWEST_SEEDS = 3
# Points of AP: a gain that is not worth having, in the protocol's words.
MARGIN = 0.5
NETWORKS = ['arm', 'network', 'parameters, M', 'MMACs', 'steps', 'seeds', 'AP', 'AP75', 'minutes a run']
HEADER = """# What the study found so far

Made by `tools/study.py` from the runs in `docs/study`; [study.md](../study.md) says what was asked and how. Differences
are the first network's less the second's, in points, with 95% intervals over seeds and test images; runs of the same
seed and the same resamples of the images are paired. All networks are trained from scratch on small generated scenes
unless a row says otherwise.
"""


def read_runs(folder: Path) -> Runs:
    """Return the stored runs by arm and seed; the calibration, whose seed is not one of the study, too."""
    runs: Runs = {arm: {} for arm in ARMS}
    for path in sorted(folder.glob('*-*.json')):
        run = json.loads(path.read_text(encoding='utf-8'))
        runs[run['arm']][run['seed']] = run
    return runs


def save_report(folder: Path, questions: Sequence[Question]) -> list[Path]:
    """Write `results.md` and the figures into the folder of the runs, and return their paths."""
    stored = read_runs(folder)
    if not any(stored.values()):
        return []
    written = []
    runs = {arm: {seed: run for seed, run in of_arm.items() if seed in FIVE} for arm, of_arm in stored.items()}
    if runs['tied'] and runs['untied']:
        written.append(save_figure(draw_curves(runs, MAIN[0]), folder / 'curves.png'))
        if any('similarity' in run for run in runs['tied'].values()):
            written.append(save_figure(draw_similarity(runs, MAIN[0]), folder / 'similarity.png'))
    path = folder / 'results.md'
    with written_aside(path) as part:
        part.write_text('\n'.join(page(stored, runs, questions)), encoding='utf-8')
    return [*written, path]


def page(stored: Runs, runs: Runs, questions: Sequence[Question]) -> Iterator[str]:
    """Yield the paragraphs of the page.

    Args:
        stored: All runs.
        runs: Those with the seeds of the study: without the calibration, fresh seeds, and the round of tuning.
        questions: Of the study.
    """
    fresh = [
        question for question in questions if question.number == 9 and any(FRESH[-1] in of for of in stored.values())
    ]
    again = [replace(question, claim='Again, with fresh seeds alone', seeds=FRESH) for question in fresh]
    yield HEADER
    yield '## Verdicts\n'
    yield from table(
        ['hypothesis', 'measure', 'networks', 'seeds', 'difference (95%)', 'AP75 (95%)', 'verdict'],
        [row for question in (*questions, *FURTHER, *again) for row in question_rows(stored, question)],
    )
    yield '\n## By occlusion\n'
    yield from table(*bin_table(runs, MAIN[0]))
    if runs['tied'] and runs['untied']:
        yield '\n![AP and AP75 by occlusion, and the difference](curves.png)'
    if any('similarity' in run for run in runs['tied'].values()):
        yield '\n![Similarity of the filters, at the start and trained](similarity.png)'
    yield '\n## Networks\n'
    yield 'Backbones at 128x128 (nuclei: 256x256); AP and AP75 of boxes, mean of the seeds ± standard deviation.\n'
    yield from table(
        NETWORKS,
        [arm_row(name, of_arm) for name, of_arm in runs.items() if of_arm],
    )
    tuned = [arm_row(name, {TUNING_SEED: stored[name][TUNING_SEED]}) for name in TUNED if TUNING_SEED in stored[name]]
    if tuned:
        yield '\n## Tuning, one seed\n'
        yield from table(NETWORKS, tuned)
    for run in stored['calibration'].values():
        yield '\n## Calibration\n'
        seen = ', '.join(f'{100 * value:.1f} at {step}' for step, value in run['validated'])
        yield f'The untied network, seed {run["seed"]}, box AP by step: {seen}.'


def question_rows(runs: Runs, question: Question) -> Iterator[list[str]]:
    """Yield a row for each pair of a question."""
    for one, other in question.pairs:
        found = difference(runs[one], runs[other], MEASURES[question.measure], among=question.seeds)
        if not found.seeds:
            yield [f'{question.number}. {question.claim}', question.measure, f'{one}, {other}', '0', '', '', 'not run']
            continue
        at_75 = (
            str(difference(runs[one], runs[other], score('AP75'), among=question.seeds))
            if question.measure == 'AP'
            else ''
        )
        yield [
            f'{question.number}. {question.claim}',
            question.measure,
            f'{one}, {other}',
            f'{found.seeds} of {len(question.seeds)}',
            str(found),
            at_75,
            verdict(found, question),
        ]


def verdict(found: Estimate, question: Question) -> str:
    """Return 'supported', 'not supported' or 'undecided', by the rule of the protocol."""
    if found.seeds < FEWEST_SEEDS:
        return f'undecided, fewer than {FEWEST_SEEDS} seeds'
    if question.two_sided:
        if found.low > 0 or found.high < 0:
            return 'supported'
        return 'not supported' if max(-found.low, found.high) < 2 * MARGIN else 'undecided'
    low, high = (-found.high, -found.low) if question.measure in LESS else (found.low, found.high)
    if low > 0:
        return 'supported'
    return 'not supported' if high < (MARGIN if question.measure == 'AP' else 0) else 'undecided'


def bin_table(runs: Runs, pair: tuple[str, str]) -> tuple[list[str], list[list[str]]]:
    """Return the header and rows of the scores of two arms by bin."""
    one, other = pair
    rows = []
    first = next(iter(runs[other].values()), None) or next(iter(runs[one].values()), None)
    for i, row in enumerate(first['rows'] if first else ()):
        cells = [row['label'], str(row['images'])]
        for name in ('AP', 'AP75'):
            cells += [mean_of(runs[arm], name, i) for arm in (other, one)]
            cells.append(str(difference(runs[one], runs[other], score(name, i))))
        rows.append(cells)
    columns = [f'{name} {column}' for name in ('AP', 'AP75') for column in (other, one, 'difference (95%)')]
    return ['occlusion', 'images', *columns], rows


def mean_of(of_arm: dict[int, dict], name: str, row: int) -> str:
    """Return the mean of a score over the seeds."""
    values = [score(name, row)(run)[0] for run in of_arm.values()]
    return f'{np.mean(values):.1f}' if values else ''


def arm_row(name: str, of_arm: dict[int, dict]) -> list[str]:
    """Return an arm's size, and its scores over the seeds."""
    run = next(iter(of_arm.values()))
    cells = [name, run['title'], f'{run["parameters"] / 1e6:.2f}', f'{run["macs"] / 1e6:.0f}', str(run['steps'])]
    cells.append(str(len(of_arm)))
    for key in ('AP', 'AP75'):
        values = [score(key)(one)[0] for one in of_arm.values()]
        spread = f' ± {np.std(values, ddof=1):.1f}' if len(values) > 1 else ''
        cells.append(f'{np.mean(values):.1f}{spread}')
    return [*cells, f'{np.mean([one["minutes"] for one in of_arm.values()]):.0f}']


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    yield f'| {" | ".join(header)} |'
    yield '|' + '---|' * len(header)
    for row in rows:
        yield f'| {" | ".join(row)} |'
