"""Which samples train and which validate: seeded, and for classes in equal shares on both sides."""

from __future__ import annotations

from math import floor

import numpy as np
from numpy.typing import NDArray

from dltool.data.checks import held_out
from dltool.data.randomness import Stream, numpy_generator

Index = NDArray[np.int64]


def split_samples(n: int, val: float, seed: int, labels: Index | None = None) -> tuple[Index, Index]:
    """Positions of the training and of the validation samples, each in ascending order; together they are all ``n``.

    Args:
        n: number of samples.
        val: a share when it is a float, a number of samples when it is an int.
        seed: decides who goes where.
        labels: class of every sample (n,), to stratify by; the validation split then gets each class in its share of the
            whole (largest remainder), and a class of two or more is on both sides where the sizes allow it.

    Raises:
        DataError: one side would be empty.
    """
    wanted = held_out(n, val)
    draw = numpy_generator(seed, Stream.SPLIT)
    order = draw.permutation(n)
    if labels is None:
        chosen = order[:wanted]
    else:
        groups = [order[labels[order] == label] for label in np.unique(labels)]
        shares = allot([len(group) for group in groups], wanted)
        chosen = np.concatenate([group[:share] for group, share in zip(groups, shares, strict=True)])
    is_val = np.zeros(n, dtype=bool)
    is_val[chosen] = True
    return np.flatnonzero(~is_val), np.flatnonzero(is_val)


def allot(sizes: list[int], wanted: int) -> list[int]:
    """How many of each group to take, ``wanted`` in all: in proportion, rounded by largest remainder.

    A group of two or more gives at least one and keeps at least one, unless ``wanted`` is too small or too large for that.
    """
    total = sum(sizes)
    quotas = [size * wanted / total for size in sizes]
    lowest = [min(1, size - 1) for size in sizes]
    highest = [max(size - 1, 0) for size in sizes]
    if sum(lowest) > wanted:
        lowest = [0] * len(sizes)
    if sum(highest) < wanted:
        highest = list(sizes)
    shares = [min(max(floor(quota), low), high) for quota, low, high in zip(quotas, lowest, highest, strict=True)]
    while (missing := wanted - sum(shares)) != 0:
        step = 1 if missing > 0 else -1
        movable = [i for i in range(len(sizes)) if lowest[i] <= shares[i] + step <= highest[i]]
        furthest = max(movable, key=lambda i: (step * (quotas[i] - shares[i]), sizes[i], -i))
        shares[furthest] += step
    return shares
