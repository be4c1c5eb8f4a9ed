"""Arguments of commands from the fields of a dataclass."""

import argparse
from dataclasses import dataclass

import pytest

from mmtied.utils.options import add_options, chosen_options, option


@dataclass
class Settings:
    kind: str = option('round', 'its form', choices=('round', 'square'))
    sizes: tuple[float, ...] = option((0.0, 0.25, 1.0), 'shares, up to 100%')
    count: int = option(0, 'how many', metavar='N')
    by_hand: bool = option(False, 'made by hand')
    lid: bool = option(True, 'whether it has a lid', negated='leave the lid off')
    colour: str | None = option(None, 'its colour', otherwise='that of the material')


def parser(*names: str, **defaults) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser()
    add_options(made, Settings, names or [*Settings.__dataclass_fields__], **defaults)
    return made


def test_defaults_are_those_of_the_fields():
    assert Settings(**chosen_options(parser().parse_args([]), Settings)) == Settings()


def test_arguments_have_the_types_of_the_fields():
    line = '--kind square --sizes 0 .5 --count 3 --by-hand --no-lid --colour red'
    args = parser().parse_args(line.split())
    assert chosen_options(args, Settings) == dict(
        kind='square', sizes=[0, 0.5], count=3, by_hand=True, lid=False, colour='red'
    )


def test_a_command_may_take_some_with_a_default_of_its_own():
    args = parser('count', 'kind', count=6).parse_args([])
    assert chosen_options(args, Settings) == dict(count=6, kind='round')


def test_help_ends_with_the_default(monkeypatch):
    monkeypatch.setenv('COLUMNS', '200')
    text = parser().format_help()
    for line in (
        'its form (default: round)',
        'shares, up to 100% (default: 0 .25 1)',
        'how many (default: 0)',
        'its colour (default: that of the material)',
        'made by hand\n',
        'leave the lid off\n',
    ):
        assert line in text


def test_what_is_not_among_the_choices_is_refused(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(['--kind', 'oval'])
    assert "invalid choice: 'oval'" in capsys.readouterr().err
