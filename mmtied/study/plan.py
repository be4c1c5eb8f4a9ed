"""What the study runs, in this order: its arms, the questions that compare them, its seeds and its schedule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .arms import Arm, staged, untied

ARMS: dict[str, Arm] = {
    'calibration': Arm('untied, watched', untied(), validations=3),
    'untied': Arm('untied', untied(), similarity=True),
    'tied': Arm('tied', similarity=True),
    # 9: tie where redundancy is.
    'late': Arm('tied late: stages 3 and 4', staged('34', 26)),
    'last': Arm('tied last: stage 4', staged('4', 24)),
    'late-splits': Arm('tied late, splits alone', staged('34', 22, only_splits=True)),
    'early': Arm('tied early: stages 1 and 2', staged('12', 24)),
    'wiring': Arm('the same wiring, every B = 1', staged('', 32)),
    # 8: width, and data at the same number of steps.
    'untied-16': Arm('untied, 16 base channels', untied(), base_channels=16),
    'tied-16': Arm('tied, 16 base channels', base_channels=16),
    'untied-64': Arm('untied, 64 base channels', untied(), base_channels=64),
    'tied-64': Arm('tied, 64 base channels', base_channels=64),
    'untied-400': Arm('untied, 400 scenes', untied(), images=400),
    'tied-400': Arm('tied, 400 scenes', images=400),
    'untied-1500': Arm('untied, 1,500 scenes', untied(), images=1500),
    'tied-1500': Arm('tied, 1,500 scenes', images=1500),
    # 6: equal cost.
    'tied-s': Arm(
        'tied -S',
        {
            'base_width': 18,
            # 9 channels of the first stage have no 6 blocks.
            'blocks': ((1, 1, 3, 3), (1, 1, 3, 6), (1, 1, 3, 6), (1, 1, 3, 6)),
            'mixer_blocks': 1,
        },
    ),
    'untied-thin': Arm('untied, as thin as tied -S', untied(40)),
    'grouped': Arm(
        'grouped (ResNeXt)',
        {'type': 'TiedResNeXt', 'groups': 4} | untied(96),
    ),
    # 7: a warm start.
    'warm': Arm('tied, warm start', start='wiring'),
    'warm-half': Arm('tied, warm start, half the steps', start='wiring', length=0.5),
    'tied-half': Arm('tied, half the steps', length=0.5),
    # 4: the mixer.
    'concat': Arm('tied, mixer of the concatenation', {'mixer': 'concat'}),
    'nomixer': Arm('tied, no mixer', {'mixer': 'none'}),
    # 10: the other reading.
    'rival': Arm('tied, every branch sees the whole entry', {'type': 'WholeEntryTiedResNet', 'mixer_blocks': 4}),
    # Real images.
    'untied-nuclei': Arm('untied, nuclei', untied(), data='nuclei'),
    'tied-nuclei': Arm('tied, nuclei', data='nuclei'),
    # One round of tuning, the same for both sides.
    'untied-slow': Arm('untied, rate 5e-4', untied(), rate=5e-4),
    'tied-slow': Arm('tied, rate 5e-4', rate=5e-4),
    'untied-fast': Arm('untied, rate 2e-3', untied(), rate=2e-3),
    'tied-fast': Arm('tied, rate 2e-3', rate=2e-3),
}
TUNED = ('untied', 'untied-slow', 'untied-fast', 'tied', 'tied-slow', 'tied-fast')
TUNING_SEED = 10
# With a seed that is none of the study's.
CALIBRATION = ('calibration', 100)


@dataclass(frozen=True)
class Question:
    """A hypothesis, and the pairs of arms that decide it.

    Attributes:
        number: As in docs/study.md.
        claim: In words.
        pairs: Arms (one, against another): the claim is that the one is better, or of ``measure``.
        seeds: Which.
        measure: 'AP' of all images, 'slope' of AP over the bins' ratio, 'partial' boxes of 100 images
            (fewer is better), or 'similarity' of the filters above their start (less is better). Defaults to 'AP'.
        two_sided: Whether the claim is a difference, whichever is better. Defaults to False.
    """

    number: int
    claim: str
    pairs: tuple[tuple[str, str], ...]
    seeds: Sequence[int] = (0, 1, 2)
    measure: str = 'AP'
    two_sided: bool = False


MAIN = (('tied', 'untied'),)
FIVE = (0, 1, 2, 3, 4)
QUESTIONS = (
    Question(1, 'Tied beats untied at the same schedule', pairs=MAIN, seeds=FIVE),
    Question(2, 'The gain of tied over untied grows with occlusion', pairs=MAIN, seeds=FIVE, measure='slope'),
    Question(3, 'Tied leaves fewer redundant partial boxes than untied', pairs=MAIN, seeds=FIVE, measure='partial'),
    Question(
        5,
        "Training leaves tied filters less alike than untied ones, each above its start's",
        pairs=MAIN,
        seeds=FIVE,
        measure='similarity',
    ),
    Question(
        9,
        'Tying a part of the network alone beats both the untied and the tied network at equal cost',
        tuple((arm, against) for arm in ('late', 'last', 'late-splits', 'early') for against in ('untied', 'tied')),
    ),
    Question(
        8,
        'Tied beats untied at another width, or with less data',
        tuple((f'tied-{kind}', f'untied-{kind}') for kind in ('16', '400', '1500', '64')),
    ),
    Question(6, 'At equal multiply-adds tied wins', (('tied-s', 'untied-thin'), ('tied', 'grouped'))),
    Question(7, 'A warm start by projection beats a random start', (('warm', 'tied'), ('warm-half', 'tied-half'))),
    Question(4, 'The mixer helps', (('tied', 'nomixer'), ('tied', 'concat'))),
    Question(10, 'The two readings of the bottleneck differ', (('rival', 'tied'),), two_sided=True),
)
# Seeds with which an arm of hypothesis 9 that is to become a variant has to show itself again.
FRESH = (3, 4, 5)
# Beside the questions: what the wiring alone does, and whether real images say the same.
FURTHER = (
    Question(1, 'The wiring alone, every B = 1, beats untied', (('wiring', 'untied'),)),
    Question(1, 'Tied beats untied on real images of nuclei', (('tied-nuclei', 'untied-nuclei'),)),
)


@dataclass(frozen=True)
class Schedule:
    """How long every arm trains, and on what: fixed on the untied network alone.

    Attributes:
        steps: Of 4 images, by data set.
        milestones: Where the learning rate falls to a tenth, as shares of the steps.
        scenes: To train on and to test on.
        seed: Of the scenes.
        small: Whether it is a run of the machinery alone, which shows nothing about networks.
    """

    steps: dict[str, int] = field(default_factory=lambda: {'scenes': 9000, 'nuclei': 2250})
    milestones: tuple[float, float] = (0.4, 0.6)
    scenes: tuple[int, int] = (4000, 1000)
    seed: int = 7
    small: bool = False

    def steps_of(self, arm: Arm) -> int:
        """Return how many steps an arm trains."""
        return round(self.steps[arm.data] * arm.length)

    @classmethod
    def tiny(cls) -> Schedule:
        """Return the schedule of a minute, for tests of the machinery."""
        return cls(steps={'scenes': 4, 'nuclei': 4}, scenes=(12, 24), small=True)


def runs(questions: tuple[Question, ...] = (*QUESTIONS, *FURTHER)) -> Iterator[tuple[str, int]]:
    """Yield the arm and the seed of every run once, in the order in which they are worth having.

    The calibration comes first, an arm that another starts from before it, and the round of tuning last.
    """
    yield CALIBRATION
    seen = set()
    for question in questions:
        for seed in question.seeds:
            for pair in question.pairs:
                for arm in reversed(pair):
                    for name in filter(None, (ARMS[arm].start, arm)):
                        if (name, seed) not in seen:
                            seen.add((name, seed))
                            yield name, seed
    yield from ((name, TUNING_SEED) for name in TUNED)
