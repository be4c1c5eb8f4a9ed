"""One list of options: the command, mmdet's metric and Python know the same ones, with the same defaults."""

import argparse
import inspect
from dataclasses import MISSING, fields
from typing import get_type_hints

import pytest

from mmtied.commands import occlusion_eval, samples
from mmtied.commands.command import make_parser
from mmtied.evaluation import OcclusionBins, OcclusionSettings, compare_occlusion, evaluate_occlusion
from mmtied.evaluation.metric import INSTEAD, OcclusionMetric
from mmtied.evaluation.settings import OcclusionOptions

# The command has the fields of the bins in place of these.
NO_ARGUMENT = {'bins'}
OPTIONS = [one for settings in (OcclusionSettings, OcclusionBins) for one in fields(settings)]
ARGUMENTS = [one for one in OPTIONS if one.name not in NO_ARGUMENT]
# What the command takes beside them: the files, and `centres`, another way to say the edges.
BESIDE = {'help', 'ground_truth', 'files', 'results', 'names', 'centres', 'out_dir', 'per_object', 'quiet'}


def arguments(command) -> dict[str, argparse.Action]:
    return {action.dest: action for action in make_parser(command)._actions}


@pytest.mark.parametrize('one', ARGUMENTS, ids=lambda one: one.name)
def test_every_option_is_an_argument_of_the_command(one):
    argument = arguments(occlusion_eval)[one.name]
    assert argument.default == one.default
    assert argument.choices == one.metadata.get('choices')
    flag = 'no_' + one.name if one.default is True else one.name
    assert argument.option_strings == ['--' + flag.replace('_', '-')]


def test_the_command_takes_nothing_else():
    assert set(arguments(occlusion_eval)) == {one.name for one in ARGUMENTS} | BESIDE


def test_without_arguments_the_command_has_the_default_settings():
    args = make_parser(occlusion_eval).parse_args(['gt.json', 'results.json'])
    assert OcclusionSettings(**occlusion_eval.checked(args)) == OcclusionSettings()


def test_the_command_of_samples_has_some_of_them_and_a_lower_score():
    own = arguments(samples)
    for one in fields(OcclusionSettings):
        if one.name in own:
            assert own[one.name].choices == one.metadata.get('choices')
            assert own[one.name].default == (0.05 if one.name == 'score_thr' else one.default)
    assert {'iou_type', 'definition', 'score_thr'} <= set(own)


@pytest.mark.parametrize('function', [evaluate_occlusion, compare_occlusion])
def test_editors_see_every_option_of_the_functions(function):
    hints = get_type_hints(OcclusionSettings)
    by_position = {'iou_type', 'bins'}
    assert by_position <= set(inspect.signature(function).parameters)
    assert get_type_hints(OcclusionOptions) == {name: hints[name] for name in hints if name not in by_position}


def test_the_metric_has_the_same_defaults():
    parameters = inspect.signature(OcclusionMetric).parameters
    for one in fields(OcclusionBins):
        assert parameters[one.name].default == one.default
    assert parameters['classwise'].default == OcclusionSettings.per_class
    assert set(INSTEAD) <= {one.name for one in fields(OcclusionSettings)}
    assert OcclusionSettings(**OcclusionMetric().options) == OcclusionSettings()


def test_the_metric_takes_every_option_or_names_another():
    for one in fields(OcclusionSettings):
        if one.name in INSTEAD:
            with pytest.raises(TypeError, match=f'use {INSTEAD[one.name]}'):
                OcclusionMetric(**{one.name: None})
        else:
            assert OcclusionMetric(**{one.name: one.default}).options[one.name] == one.default


def test_every_option_has_a_help():
    assert all(one.metadata['help'] and one.default is not MISSING for one in ARGUMENTS)
