"""Options that are declared once, as fields of a dataclass: default, help and choices; commands are made from them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import Field, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar('T', bound='DataclassInstance')


def option(default: Any, help: str, **details: Any) -> Any:
    """Return a field of a dataclass that can be an argument of a command.

    Args:
        default: A value, or None where none is given and something else decides.
        help: What it is, without the default.
        details: ``choices`` and ``metavar`` as argparse has them; ``least``, the least value; ``type``, that of
            a value where the default is None and it is no text; ``otherwise``, what
            stands in the help as the default; ``negated``, the help of the argument that turns it off; ``several``,
            that it takes several values though its default is None; ``repeatable``, that it takes one value, but can
            be given several times.
    """
    return field(default=default, metadata={'help': help, **details})


def explained(settings: type[T]) -> type[T]:
    """Put the fields' help, choices and defaults into the docstring of a dataclass, before what it raises."""
    lines = ['Args:']
    for one in fields(settings):
        help = one.metadata['help']
        choices = ', '.join(map(repr, one.metadata.get('choices', ())))
        choices = f' One of {choices}.' if choices else ''
        lines.append(f'    {one.name}: {help[0].upper()}{help[1:]}.{choices} Defaults to {_stated(one)}.')
    before, raises, after = (settings.__doc__ or '').partition('Raises:')
    settings.__doc__ = '\n    '.join([before + lines[0], *lines[1:]]) + f'\n\n    {raises}{after}'
    return settings


def add_options(parser: argparse._ActionsContainer, settings: type, names: Sequence[str], **defaults: Any) -> None:
    """Add some fields of a dataclass to a command as arguments.

    ``same_class`` becomes ``--same-class``, and what is True by default, such as ``zero_bin``, ``--no-zero-bin``.

    Args:
        parser: The parser, or a group of it.
        settings: The dataclass, whose fields are made by :func:`option`.
        names: Which fields.
        defaults: Defaults of this command that differ.
    """
    known = {one.name: one for one in fields(settings)}
    for name in names:
        _add_option(parser, known[name], defaults.get(name, known[name].default))


def chosen_options(args: argparse.Namespace, settings: type) -> dict[str, Any]:
    """Return the values of the fields that are arguments of the command, by their names."""
    return {one.name: getattr(args, one.name) for one in fields(settings) if hasattr(args, one.name)}


def _add_option(parser: argparse._ActionsContainer, one: Field, default: Any) -> None:
    details, flag = one.metadata, one.name.replace('_', '-')
    if isinstance(default, bool):
        flag, action = (f'no-{flag}', 'store_false') if default else (flag, 'store_true')
        help = details['negated' if default else 'help']
        parser.add_argument(f'--{flag}', dest=one.name, action=action, help=help)
        return
    help = details['help'].replace('%', '%%')  # argparse formats it
    parser.add_argument(
        f'--{flag}',
        action='append' if 'repeatable' in details else 'store',
        default=default,
        type=details.get('type', _type_of(default)),
        nargs='+' if isinstance(default, tuple) or 'several' in details else None,
        choices=details.get('choices'),
        metavar=details.get('metavar'),
        help=f'{help} (default: {details.get("otherwise", _shown(default))})',
    )


def _type_of(default: Any) -> type:
    """Return the type of an option's values, text if there is no default."""
    value = default[0] if isinstance(default, tuple) else default
    return str if value is None else type(value)


def _stated(one: Field) -> str:
    """Return what the docstring says of a default."""
    if 'otherwise' in one.metadata:
        return one.metadata['otherwise']
    return repr(one.default)


def _shown(default: Any) -> str:
    if isinstance(default, tuple):
        return ' '.join(map(_shown, default))
    text = f'{default:g}' if isinstance(default, float) else str(default)
    return text.removeprefix('0') or '0'
