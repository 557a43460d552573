"""Groups of hashes in which every two are close: complete linkage, so that chains of small steps do not join strangers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from dltool.scan.gather.hamming import Hashes, Indices, Pairs, nearest_outside

MOST_COMPARISONS = 1e9
"""Distances taken in all to see whether groups stand apart; beyond, each is compared with every k-th hash alone."""


def linked(hashes: Hashes, pairs: Pairs, radius: int) -> list[Indices]:
    """Every hash in one group, none wider than ``radius`` bits: closest pairs join first, ties by value of the hash.

    Args:
        hashes: [n], ascending and without repeats.
        pairs: all that are at most ``radius`` bits apart, closest first.
        radius: bits.

    Returns:
        The groups of two and more, by their smallest member; indices ascending.
    """
    group_of: dict[int, list[int]] = {}
    for first, second in zip(pairs.first.tolist(), pairs.second.tolist(), strict=True):
        one, other = group_of.setdefault(first, [first]), group_of.setdefault(second, [second])
        if one is other or not _all_close(hashes, one, other, radius):
            continue
        large, small = (one, other) if len(one) >= len(other) else (other, one)
        large.extend(small)
        for member in small:
            group_of[member] = large
    distinct = {id(group): group for group in group_of.values() if len(group) > 1}
    groups = (np.array(sorted(group), dtype=np.int64) for group in distinct.values())
    return sorted(groups, key=lambda group: int(group[0]))


def width(hashes: Hashes, group: Indices) -> int:
    """The largest distance between two members, in bits."""
    return int(_apart(hashes, group).max())


def middle(hashes: Hashes, group: Indices) -> int:
    """The member nearest to all others."""
    return int(group[int(_apart(hashes, group).sum(axis=1).argmin())])


def gaps(hashes: Hashes, pairs: Pairs, radius: int, groups: list[Indices], needed: list[int]) -> list[bool]:
    """Whether each group is ``needed`` bits away from every hash outside, as seen from its middle.

    What lies within ``radius`` of any member is known from ``pairs``; only where more is needed are distances taken.
    """
    group_of = np.full(len(hashes), -1, dtype=np.int64)
    for number, group in enumerate(groups):
        group_of[group] = number
    nearest = np.full(len(groups) + 1, radius + 1, dtype=np.int64)
    crossing = group_of[pairs.first] != group_of[pairs.second]
    for side in (pairs.first, pairs.second):
        np.minimum.at(nearest, group_of[side[crossing]], pairs.bits[crossing].astype(np.int64))
    known = [int(bits) for bits in nearest[: len(groups)]]
    open_ones = [number for number, bits in enumerate(known) if bits > radius and needed[number] > radius + 1]
    step = max(1, int(len(open_ones) * len(hashes) / MOST_COMPARISONS))
    for number in open_ones:
        known[number] = nearest_outside(hashes, middle(hashes, groups[number]), groups[number], step)
    return [bits >= need for bits, need in zip(known, needed, strict=True)]


def _all_close(hashes: Hashes, one: list[int], other: list[int], radius: int) -> bool:
    if len(one) == len(other) == 1:
        return True
    return bool((np.bitwise_count(hashes[one][:, None] ^ hashes[other][None, :]) <= radius).all())


def _apart(hashes: Hashes, group: Indices) -> NDArray[np.uint8]:
    members = hashes[group]
    bits: NDArray[np.uint8] = np.bitwise_count(members[:, None] ^ members[None, :])
    return bits
