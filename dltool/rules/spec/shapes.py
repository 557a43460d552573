"""Whether two shapes would be broadcast to a third that neither has."""

from __future__ import annotations

from itertools import zip_longest

OTHER_BATCH = -2
"""Stands for the number of samples, which is like no other size and not 1."""


def broadcasts(output: tuple[int, ...], target: tuple[int, ...]) -> bool:
    """Whether torch would repeat one of two batches of such samples to the shape of the other, or both to a third.

    (N, 1) and (N, 5) become (N, 5), (N, 1) and (N,) become (N, N). Equal shapes do not.
    """
    one, other = (OTHER_BATCH, *output), (OTHER_BATCH, *target)
    if one == other:
        return False
    return all(1 in {a, b} or a == b for a, b in zip_longest(reversed(one), reversed(other), fillvalue=1))
