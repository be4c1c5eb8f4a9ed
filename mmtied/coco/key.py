"""The key that says what is binned: where it stands, and what the ground truth's images or annotations have there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .columns import id_order
from .data import KeyValues, Note
from .key_file import read_key_file
from .key_values import OF_IMAGES, Entry, no_such_key, read_entries, value_at


@dataclass(frozen=True)
class Key:
    """A key of the annotations or of the images, or a column of a csv file.

    Attributes:
        path: The key, with dots between keys of keys: of annotations, or behind 'image.' of images. With a file the
            name of its column; None for the only one.
        file: A csv file with a column ``image_id`` or ``annotation_id``. Defaults to None: the key stands in the ground
            truth.
        visible: Whether a number is the visible share, and occlusion 1 less it. Defaults to False.
        lenient: Whether text may stand for numbers, mixed values for words, and ids be of other types. Defaults to
            False.
    """

    path: str | None
    file: str | None = None
    visible: bool = False
    lenient: bool = False

    def read(
        self,
        annotations: Sequence[dict],
        images: Sequence[dict],
        source: str,
        rows: np.ndarray,
        counted: np.ndarray,
        bbox: np.ndarray,
    ) -> KeyValues:
        """Return what the images, in the order of their ids, or the annotations have under the key.

        Args:
            annotations: Entries of the ground truth, those of listed images.
            images: All of its entries, in the order of the file.
            source: The ground truth's name, for messages.
            rows: Index of each annotation in the file, (n,).
            counted: Which annotations are instances; what the others have is not looked at, (n,) bool.
            bbox: x, y, width, height of each annotation, (n, 4).

        Raises:
            InputError: If there is no such key or column, or its values make no sense.
        """
        order = sorted(range(len(images)), key=lambda i: id_order(images[i]))
        notes: list[Note] = []
        if self.file is not None:
            file = read_key_file(self.file, self.path)
            name, of_images, source = file.column, file.of_images, file.path
            known = [images[i] for i in order] if of_images else annotations
            entries, notes = file.entries(known, lenient=self.lenient)
        else:
            name, of_images = self.path or '', (self.path or '').startswith(OF_IMAGES)
            path = name.removeprefix(OF_IMAGES) if of_images else name
            what = 'images' if of_images else 'annotations'
            listed = [(i, images[i]) for i in order] if of_images else list(zip(rows.tolist(), annotations))
            entries = [Entry(f'{source}: {what}[{i}]', value=value_at(entry, path)) for i, entry in listed]
            if all(entry.value is None for entry in entries) and (of_images or counted.any()):
                raise no_such_key(name, annotations, images, source)
        if not of_images:
            entries = [
                entry if counts else Entry(entry.where, value=None) for entry, counts in zip(entries, counted.tolist())
            ]
        found = read_entries(
            entries,
            name,
            source=source,
            of_images=of_images,
            boxes=None if of_images else bbox,
            visible=self.visible,
            lenient=self.lenient,
            needed=of_images or bool(counted.any()),
        )
        return replace(found, notes=(*notes, *found.notes))
