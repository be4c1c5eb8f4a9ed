"""The console command `mmtied`: the project's commands as its verbs, in any folder.

A verb's module is imported when it is asked for, so that help answers at once and `mmtied occlusion` needs no torch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from .. import __version__
from ..utils.errors import InputError
from .command import ended_well, run

# Verb: its module in this folder, and what it does.
VERBS: dict[str, tuple[str, str]] = {
    'occlusion': ('occlusion_eval', "evaluate any detector's results by the occlusion of the images"),
    'samples': ('samples', 'draw detections on the most occluded images'),
    'scenes': ('occluded_scenes', 'make a data set of occluded scenes'),
    'train': ('train', "train a detector or classifier, as mmdet's tools/train.py"),
    'test': ('test', "test a detector or classifier, as mmdet's tools/test.py"),
    'export': ('export', 'write a network as an ONNX file, in the form that costs least to run'),
    'convert': ('convert_weights', 'make a warm start for a tied backbone from an ordinary checkpoint'),
    'complexity': ('complexity', 'print the published sizes of the networks beside ours'),
    'similarity': ('filter_similarity', 'compare the filters of networks'),
    'grad-cam': ('grad_cam', 'draw where networks look'),
    'operator-cost': ('operator_cost', 'time standard, group and tied convolution'),
    'probe': ('probe_similarity', 'train a small pair of networks on digits and compare their filters'),
    'zoo': ('zoo', 'list the configs with their published results'),
    'study': ('study', 'run the study of tying and occlusion'),
    'check': ('check_env', 'report what is installed, and what is missing'),
}


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command without a verb."""
    width = max(map(len, VERBS)) + 2
    verbs = '\n'.join(f'  {verb:{width}}{what}' for verb, (_, what) in VERBS.items())
    parser = argparse.ArgumentParser(
        prog='mmtied',
        usage='mmtied VERB [arguments]; mmtied VERB --help',
        description='Tied block convolution for OpenMMLab, and evaluation by occlusion.',
        epilog=f'verbs:\n{verbs}',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'mmtied {__version__}')
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb that the first argument names.

    Args:
        arguments: Defaults to None: those of the command line.
    """
    verb, *rest = (sys.argv[1:] if arguments is None else arguments) or ['--help']
    with ended_well():
        if verb in VERBS:
            run(module_of(verb), rest, program=f'mmtied {verb}')
        elif verb.startswith('-'):
            parser().parse_args([verb, *rest])
        else:
            meant = ' or '.join(get_close_matches(verb, VERBS, n=2))
            parser().error(f'no verb is named {verb!r}{f"; did you mean {meant}?" if meant else ""}')


def module_of(verb: str) -> ModuleType:
    """Import the module of a verb; what it needs and is not installed is the user's to mend."""
    try:
        return import_module(f'.{VERBS[verb][0]}', __package__)
    except ModuleNotFoundError as error:
        raise InputError(
            f"mmtied {verb} needs {error.name}, which is not installed; pip install '.[analysis]' brings what the "
            'analyses and the study need, and mmtied check says what else is missing'
        ) from error
