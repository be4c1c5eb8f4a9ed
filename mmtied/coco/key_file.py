"""Values of images or of annotations in a csv file, found by their ids."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..utils.errors import InputError
from .columns import LENIENT, in_words, shown
from .data import Note
from .key_values import NUMBER, Entry
from .lenient import IMAGE_KEYS

FEW = 8  # columns that a message lists
IDS = ('annotation_id', 'image_id')  # of which the first that is there says whose values they are


@dataclass(frozen=True)
class KeyFile:
    """One column of a csv file.

    Attributes:
        path: The file.
        column: Its name.
        of_images: Whether the ids are of images; else of annotations.
        rows: Line, id and value of each row, as text.
    """

    path: str
    column: str
    of_images: bool
    rows: list[tuple[int, str, str]]

    @property
    def id_column(self) -> str:
        """The name of the column of the ids."""
        return IDS[self.of_images]

    def entries(self, known: Sequence[dict], lenient: bool) -> tuple[list[Entry], list[Note]]:
        """Return the value of each image or annotation, in their order, and what was left out.

        Args:
            known: Entries of the ground truth.
            lenient: Whether ids may be of another type, and images known by the names of their files.

        Raises:
            InputError: If none is known, or one has two rows.
        """
        index = _ids(known)
        if not index:
            raise InputError(f"{self.path}: the annotations have no 'id', by which {self.id_column} could find them")
        found = [_look_up(index, text) for _, text, _ in self.rows]
        notes = []
        if lenient and None in found:
            better, how = self._by_other_ways(known)
            count = sum(i is not None for i in better)
            if count > sum(i is not None for i in found):
                found = better
                text = f'{self.path}: rows know their {self.what} by {how}: {count:,}.'
                notes.append(Note('row_by_name', count, text))
        unknown = [row for row, i in zip(self.rows, found) if i is None]
        if len(unknown) == len(self.rows):
            raise self._none_known(known)
        if unknown:
            line, text, _ = unknown[0]
            example = f'such as {self.id_column} {shown(text)} in line {line}'
            text = (
                f'{self.path}: rows of no {self.what} of the ground truth ({example}) are left out: {len(unknown):,}.'
            )
            notes.append(Note('unknown_row', len(unknown), text))
        lines: dict[int, int] = {}
        entries = [Entry(where=self.path, value=None)] * len(known)
        for (line, text, value), i in zip(self.rows, found):
            if i is None:
                continue
            if i in lines:
                raise InputError(
                    f'{self.path}: {self.id_column} {shown(text)} is given twice, in lines {lines[i]} and {line}'
                )
            lines[i] = line
            entries[i] = Entry(where=f'{self.path}: line {line}', value=from_text(value))
        return entries, notes

    @property
    def what(self) -> str:
        """Whose values they are."""
        return 'image' if self.of_images else 'annotation'

    def _by_other_ways(self, known: Sequence[dict]) -> tuple[list[int | None], str]:
        """Return what each row finds by the way that finds most, and its name."""
        ways: dict[str, Callable] = {'its id as text or as a number': _texts}
        if self.of_images:
            ways |= IMAGE_KEYS
        best: list[int | None] = []
        name = ''
        for how, way in ways.items():
            index: dict[str, int | None] = {}
            for i, entry in enumerate(known):
                for key in set(way(entry)):
                    index[key] = None if key in index else i  # a key that two share is none
            found = [index.get(text) if text in index else index.get(_short(text)) for _, text, _ in self.rows]
            if sum(i is not None for i in found) > sum(i is not None for i in best):
                best, name = found, how
        return best, name

    def _none_known(self, known: Sequence[dict]) -> InputError:
        line, text, _ = self.rows[0]
        example = next(entry['id'] for entry in known if entry.get('id') is not None)
        ways = 'other spellings of an id' + (' and names of files' if self.of_images else '')
        return InputError(
            f'{self.path}: no {self.id_column} is among those of the ground truth, for instance {shown(text)} in line '
            f'{line}, where the ground truth has the {in_words(example)}; {LENIENT} also looks for {ways}'
        )


def read_key_file(path: str, column: str | None = None) -> KeyFile:
    """Read a csv file with a column ``image_id`` or ``annotation_id``, and another one of values.

    Args:
        path: The file, in UTF-8, its first line the names of the columns, commas between them.
        column: Of the values. Defaults to None: the only one beside the ids.

    Raises:
        InputError: If the file cannot be read, or has not these columns.
    """
    try:
        with Path(path).open(newline='', encoding='utf-8-sig') as file:
            reader = csv.reader(file, strict=True)
            lines = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except OSError as error:
        raise InputError(f'{path}: cannot be read: {error.strerror}') from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f'{path}: not a csv file in UTF-8: {error}') from error
    lines = [(line, row) for line, row in lines if any(row)]
    if not lines:
        raise InputError(f'{path}: is empty; its first line must be the names of the columns')
    (_, header), *lines = lines
    listed = ', '.join(shown(name) or '""' for name in header[:FEW]) + ', …' * (len(header) > FEW)
    ids = next((name for name in IDS if name in header), None)
    if ids is None:
        raise InputError(f'{path}: has no column image_id or annotation_id, found {listed}')
    others = [name for name in header if name not in IDS]
    if column is None:
        if not others:
            raise InputError(f'{path}: has no column of values beside {listed}')
        if len(others) > 1:
            raise InputError(f'{path}: has several columns of values ({listed}); --by COLUMN (by=...) says which')
        column = others[0]
    if column not in others:
        raise InputError(f'{path}: has no column of values {shown(column)}, found {listed}')
    for name in (ids, column):
        if header.count(name) > 1:
            raise InputError(f'{path}: the column {shown(name)} is there twice')
    if not lines:
        raise InputError(f'{path}: has no rows below the names of the columns')
    at_id, at_value = header.index(ids), header.index(column)
    rows = []
    for line, row in lines:
        if len(row) != len(header):
            raise InputError(f'{path}: line {line} has {len(row)} cells, but the first line has {len(header)}')
        if not row[at_id]:
            raise InputError(f'{path}: line {line} has no {ids}')
        rows.append((line, row[at_id], row[at_value]))
    return KeyFile(path, column, of_images=ids == 'image_id', rows=rows)


def from_text(text: str) -> bool | int | float | str | None:
    """Return what a cell of a csv file stands for: a truth value, a number, a word, or None for nothing.

    Example:
        >>> from mmtied.coco.key_file import from_text
        >>> [from_text(cell) for cell in ('True', '3', '.5', 'low', 'nan', '')]
        [True, 3, 0.5, 'low', None, None]
    """
    if text.lower() in ('', 'nan'):
        return None
    if text.lower() in ('true', 'false'):
        return text.lower() == 'true'
    if not NUMBER.fullmatch(text):
        return text
    return int(text) if text.lstrip('+-').isdigit() else float(text)


def _ids(known: Sequence[dict]) -> dict[Any, int]:
    """Return the index of each id."""
    return {entry['id']: i for i, entry in enumerate(known) if entry.get('id') is not None}


def _look_up(index: dict[Any, int], text: str) -> int | None:
    """Return the index of an id that is written as text: of a number 7 also as 007 or 7.0."""
    if text in index:
        return index[text]
    value = from_text(text)
    return index.get(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _texts(entry: dict) -> list[str]:
    return [_short(str(entry['id']))] if entry.get('id') is not None else []


def _short(text: str) -> str:
    """Return a number without zeros before it, and any other text as it is."""
    return str(int(text)) if text.isascii() and text.isdigit() else text
