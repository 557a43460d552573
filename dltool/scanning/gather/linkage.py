"""Groups of hashes that stand apart: close to each other, every two of them, and far from all others.

Complete linkage, so that chains of small steps do not join strangers: closest pairs join first, and a pair joins its groups
only where no two members are farther apart than it is. A group is complete once the nearest hash outside is more than twice
as far from its middle as its members are from each other (the ratio test of Lowe 2004, Distinctive image features from
scale-invariant keypoints, section 7.1). In a crowd nothing is, whatever the distance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from dltool.scanning.gather.hamming import Hashes, Indices, Pairs, nearest_outside

GAP_RATIO, GAP_BITS = 2, 3
"""Nearest hash outside, at least: ratio x width of the group + bits. benchmarks/near_duplicates.py: no lower ones keep the
clean sets of the first seeds clean."""

MOST_COMPARISONS = 1e9
"""Distances taken in all to see whether groups stand apart; beyond, each is compared with every k-th hash alone."""

FEW_COMPARISONS = 256
"""Up to so many distances are taken one by one, which mostly ends at the first: numpy takes as long to begin."""


def standing_apart(hashes: Hashes, pairs: Pairs, radius: int, several: NDArray[np.bool_]) -> list[tuple[Indices, int]]:
    """Groups and their widths in bits, by their smallest members; no hash is in two.

    Args:
        hashes: [n], ascending and without repeats.
        pairs: all that are at most ``radius`` bits apart, closest first.
        radius: bits.
        several: [n], hashes that are a group by themselves, because several pictures have them.
    """
    found = _complete(hashes, pairs, radius, {i: [i] for i in np.flatnonzero(several).tolist()}, 0)
    taken = {member for group, _ in found for member in group.tolist()}
    groups: dict[int, list[int]] = {}
    for bits in range(1, radius + 1):
        joined: dict[int, list[int]] = {}
        for first, second in _of_width(pairs, bits):
            if first in taken or second in taken:
                continue
            one, other = groups.setdefault(first, [first]), groups.setdefault(second, [second])
            if one is other or not _all_within(hashes, one, other, bits):
                continue
            large, small = (one, other) if len(one) >= len(other) else (other, one)
            large.extend(small)
            groups.update(dict.fromkeys(small, large))
            joined.pop(id(small), None)
            joined[id(large)] = large
        complete = _complete(hashes, pairs, radius, joined, bits)
        found.extend(complete)
        taken.update(member for group, _ in complete for member in group.tolist())
    return sorted(found, key=lambda group: int(group[0][0]))


def _complete(
    hashes: Hashes, pairs: Pairs, radius: int, joined: dict[int, list[int]], width: int
) -> list[tuple[Indices, int]]:
    """Those of the groups, none wider than ``width`` and some as wide, that are far from every hash outside.

    What lies within ``radius`` of any member is known from ``pairs``; only where more is needed are distances taken.
    """
    groups = [np.array(sorted(group), dtype=np.int64) for group in joined.values()]
    needed = GAP_RATIO * width + GAP_BITS
    group_of = np.full(len(hashes), -1, dtype=np.int64)
    for number, group in enumerate(groups):
        group_of[group] = number
    nearest = np.full(len(groups) + 1, radius + 1, dtype=np.int64)
    crossing = group_of[pairs.first] != group_of[pairs.second]
    for side in (pairs.first, pairs.second):
        np.minimum.at(nearest, group_of[side[crossing]], pairs.bits[crossing].astype(np.int64))
    candidates = np.flatnonzero(nearest[: len(groups)] >= min(needed, radius + 1)).tolist()
    if needed > radius + 1:
        step = max(1, int(len(candidates) * len(hashes) / MOST_COMPARISONS))
        candidates = [
            i for i in candidates if nearest_outside(hashes, _middle(hashes, groups[i]), groups[i], step) >= needed
        ]
    return [(groups[i], width) for i in candidates]


def _of_width(pairs: Pairs, bits: int) -> Iterable[tuple[int, int]]:
    start, end = np.searchsorted(pairs.bits, [bits, bits + 1]).tolist()
    first: Iterator[int] = iter(pairs.first[start:end].tolist())
    return zip(first, pairs.second[start:end].tolist(), strict=True)


def _middle(hashes: Hashes, group: Indices) -> int:
    members = hashes[group]
    return int(group[int(np.bitwise_count(members[:, None] ^ members[None, :]).sum(axis=1).argmin())])


def _all_within(hashes: Hashes, one: list[int], other: list[int], bits: int) -> bool:
    if len(one) == len(other) == 1:
        return True
    if len(one) * len(other) <= FEW_COMPARISONS:
        item = hashes.item
        few = [item(i) for i in other]
        return all((item(i) ^ each).bit_count() <= bits for i in one for each in few)
    return bool((np.bitwise_count(hashes[one][:, None] ^ hashes[other][None, :]) <= bits).all())
