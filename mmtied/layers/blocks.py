"""The one rule that every tied layer obeys: the blocks are equal."""

from __future__ import annotations

from numbers import Integral


def is_whole(value: object) -> bool:
    """Return whether a value is a whole number of at least 1, Python's or numpy's."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def check_divisible(layer: str, divisor: int, meaning: str, **channels: int) -> None:
    """Raise an error that names the layer, its channels and its blocks unless every channel count divides.

    Args:
        layer: The layer's class name.
        divisor: The number of equal parts that the channels are cut into.
        meaning: The arguments that make up the divisor, as they were given, such as ``'blocks=4'``.
        **channels: The channel counts by argument name.

    Raises:
        ValueError: If the divisor is not a positive whole number or does not divide one of the counts.
    """
    if not is_whole(divisor):
        raise ValueError(f'{layer}: {meaning} must be a whole number of at least 1')
    for name, count in channels.items():
        if count % divisor:
            raise ValueError(f'{layer}: {name}={count} cannot be cut into {divisor} equal parts ({meaning})')
