"""The gate fails where an interval ends below the margin, and nowhere else."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_up import made_up

from mmtied.evaluation import InputError, OcclusionBins, OcclusionSettings, compare_occlusion, evaluate_occlusion
from mmtied.evaluation.gate import Margin, judge, read_margins
from mmtied.evaluation.scores import PEDESTRIAN_SCORES, SCORES, Difference, Differences, Scores

NAN = float('nan')
GATED = (*SCORES, *PEDESTRIAN_SCORES)
ENDS = st.floats(-1, 1)
INTERVALS = st.one_of(st.none(), st.just((NAN, NAN)), st.tuples(ENDS, ENDS).map(lambda ends: tuple(sorted(ends))))


def differences(name: str, rows: list[dict]) -> Differences:
    made = [
        Difference(f'row {i}', None, None, scores=Scores(*[NAN] * 4), interval=interval)
        for i, interval in enumerate(rows)
    ]
    return Differences(name, 'first', all=made[0], bins=made[1:])


@given(
    st.lists(st.fixed_dictionaries(dict.fromkeys(GATED, INTERVALS)), min_size=2, max_size=5),
    st.dictionaries(st.sampled_from(GATED), st.floats(0, 1, exclude_max=True), min_size=1),
)
def test_what_fails_is_what_ends_below_the_margin(rows, wanted):
    """Straight from the definition: of a loss, even the small end is beyond the margin; no interval, no failure."""
    rows = [{score: ends for score, ends in row.items() if ends} for row in rows]
    gate = judge([Margin(*item) for item in wanted.items()], [differences('second', rows)])
    fails, without = set(), set()
    for i, row in enumerate(rows):
        for score, margin in wanted.items():
            if score not in row or np.isnan(row[score][1]):
                without.add(f'row {i}')
                continue
            low, high = row[score]
            least = low if score == 'MR2' else -high  # a miss rate that rises is a loss
            if least > margin:
                fails.add((f'row {i}', score, row[score]))
    assert {(loss.bin, loss.score, loss.interval) for loss in gate.losses} == fails
    assert set(gate.without_interval) == without
    assert gate.passed == (not fails)
    assert ('gate failed: with 95% confidence, second is worse than first' in str(gate)) == bool(fails)


def test_each_detector_that_fails_is_named():
    worse, equal = {'AP': (-0.3, -0.02), 'AP75': (-0.1, 0.1)}, {'AP': (-0.1, 0.1), 'AP75': (-0.1, 0.1)}
    several = [
        differences('b', [equal, worse, worse]),
        differences('c', [equal, equal, equal]),
        differences('d', [worse, equal, {}]),
    ]
    gate = judge(read_margins(['AP:.01', 'AP75:0.025']), several)
    assert str(gate) == (
        'gate failed: with 95% confidence, b is worse than first by more than 1 point of AP in row 1 (-30.0 to -2.0) '
        'and row 2 (-30.0 to -2.0); d is worse than first by more than 1 point of AP in row 0 (-30.0 to -2.0)'
    )
    assert gate.without_interval == ['row 2']
    gate = judge(read_margins(['AP:.02', 'AP75:0.025']), several)  # at the margin is not beyond it
    assert gate.passed
    assert str(gate) == (
        'gate passed: in no bin is b, c or d worse than first by more than 2 points of AP or 2.5 points of AP75, with '
        '95% confidence'
    )
    nothing = judge(read_margins(['AP:0']), [differences('b', [{}, {}])])
    assert nothing.passed and str(nothing) == 'gate passed: no bin has an interval, so none can fail'


@pytest.mark.parametrize(
    'texts, sentence',
    [
        (['AP75'], "gate='AP75' must be SCORE:MARGIN, such as AP75:.01"),
        (['AP75=.01'], 'must be SCORE:MARGIN'),
        ([''], 'must be SCORE:MARGIN'),
        (['ap75:.01'], "gate='ap75:.01': the score must be one of AP, AP50, AP75, AR, MR2, JI"),
        (['AP90:.01'], 'the score must be one of'),
        ([':.01'], 'the score must be one of'),
        (['AP:'], 'the margin must be a share from 0 to below 1, such as .01'),
        (['AP:1'], 'the margin must be a share'),
        (['AP:-.01'], 'the margin must be a share'),
        (['AP:nan'], 'the margin must be a share'),
        (['AP:1%'], 'the margin must be a share'),
        (['AP:.01:.02'], 'the margin must be a share'),
        (['AP:.01', 'AR:0', 'AP:.02'], "gate='AP:.02': AP is given twice"),
        (['MR2:.01'], 'is of a score that miss_rate'),
    ],
)
def test_bad_spelling(texts, sentence):
    with pytest.raises(ValueError, match=sentence):
        OcclusionSettings(bootstrap=5, gate=texts)


def test_one_margin_is_as_good_as_a_list_of_one():
    assert OcclusionSettings(bootstrap=5, gate='AP:.01').gate == ('AP:.01',)
    assert read_margins(['AP:.01', 'AP75:0', 'AR:1e-2']) == [Margin('AP', 0.01), Margin('AP75', 0), Margin('AR', 0.01)]


def test_a_gate_needs_intervals_and_two_detectors():
    truth, found = made_up()
    with pytest.raises(ValueError, match=r'gate AP:\.01 goes by intervals, and bootstrap=0 gives none: bootstrap=1000'):
        compare_occlusion(truth, found, found, gate=['AP:.01'])
    with pytest.raises(InputError, match=r'gate AP:\.01 AR:0: give the results of two detectors or more, found one'):
        evaluate_occlusion(truth, found, bootstrap=5, gate=['AP:.01', 'AR:0'])


def test_a_worse_detector_fails_and_the_same_does_not():
    truth, found = made_up()
    bins = OcclusionBins((0, 0.01, 1))
    options = dict(bins=bins, bootstrap=50, gate=['AP:0', 'AR:.05'])
    same = compare_occlusion(truth, found, found, **options)
    assert same.gate.passed and same.to_dict()['gate']['losses'] == []
    assert same.gate.without_interval == ['(0, .01)']
    assert same.remarks()[-1] == 'The gate lets pass what has no interval: (0, .01).'
    worse = compare_occlusion(truth, found, found[::3], names=['a', 'b'], **options)
    verdict = json.loads(json.dumps(worse.to_dict(), allow_nan=False))['gate']
    assert not verdict['passed']
    for loss in verdict['losses']:
        row = next(row for row in (worse.all, *worse.bins) if row.label == loss['bin'])
        assert loss == {
            'name': 'b',
            'score': loss['score'],
            'margin': {'AP': 0, 'AR': 0.05}[loss['score']],
            'bin': row.label,
            'interval': [*row.interval[loss['score']]],
        }
        assert loss['interval'][1] < -loss['margin']
    assert {'all', '[.01, 1]'} <= {loss['bin'] for loss in verdict['losses']}
    assert compare_occlusion(truth, found, found).gate is None
    assert 'gate' not in compare_occlusion(truth, found, found).to_dict()
