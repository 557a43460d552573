"""Pictures that look the same: groups of perceptual hashes that are close to each other and far from all others.

A fixed radius cannot serve both holiday photos and frames of a video. So a group counts only where it stands apart: the
nearest picture outside is more than twice as far from its middle as its members are from each other (the ratio test of Lowe
2004, Distinctive image features from scale-invariant keypoints, section 7.1). In a crowd of look-alikes nothing does.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dltool.core.measured.scan_likeness import LikeGroup, NearDuplicates
from dltool.scan.gather.hamming import Hashes, Indices, Pairs, pairs_within
from dltool.scan.gather.linkage import gaps, linked, width
from dltool.scan.gather.roster import Roster

RADIUS_BITS = 6
"""Widest group, of 64 bits: benchmarks/near_duplicates.py, re-encoded and resized copies on seeds 0 to 4."""

GAP_RATIO, GAP_BITS = 2, 3
"""Nearest picture outside, at least: ratio x the width of the group + bits (same benchmark)."""

LARGE = 6
"""Different pictures from which a group is rather a scene of a video than a handful of copies."""

ALIKE_RATIO = 0.1
"""Share of pictures that are alike from which on large groups are counted among them."""


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Distinct hashes, ascending; positions of pictures ordered by hash, and where those of each hash begin.

    ``contents`` is how many different pictures have a hash.
    """

    values: Hashes
    positions: Indices
    starts: Indices
    contents: Indices

    def of(self, group: Indices) -> Indices:
        """Positions of the pictures with these hashes, in the order of the scan."""
        return np.sort(np.concatenate([self.positions[self.starts[i] : self.starts[i + 1]] for i in group.tolist()]))


def near_duplicates(roster: Roster) -> NearDuplicates:
    """Groups of look-alikes with at least two different contents, in the order of their first members."""
    pictures = np.flatnonzero(roster.column("hashed"))
    looks = _looks(roster, pictures)
    radius, pairs = _neighbours(looks.values)
    groups = linked(looks.values, pairs, radius)
    linked_ones = np.zeros(len(looks.values), dtype=bool)
    for group in groups:
        linked_ones[group] = True
    groups += [np.array([i]) for i in np.flatnonzero((looks.contents > 1) & ~linked_ones).tolist()]
    widths = [width(looks.values, group) for group in groups]
    apart = gaps(looks.values, pairs, radius, groups, [GAP_RATIO * bits + GAP_BITS for bits in widths])
    told = _without_scenes(
        looks, pairs, [number for number, is_apart in enumerate(apart) if is_apart], groups, len(pictures)
    )
    alike = _near_others(looks, pairs, [groups[number] for number in told])
    found = [_group(roster, looks.of(groups[number]), widths[number]) for number in told]
    return NearDuplicates(
        samples=len(pictures),
        left_out=int(np.count_nonzero(roster.column("mode") >= 0)) - len(pictures),
        radius_bits=radius,
        groups=tuple(group for _, group in sorted(found, key=lambda each: each[0])),
        alike=int(looks.of(alike).size) if len(alike) else 0,
        alike_across_splits=_across(roster, looks, groups, told),
    )


def _looks(roster: Roster, pictures: Indices) -> Looks:
    similarity, content = roster.column("similarity")[pictures], roster.column("content")[pictures]
    order = np.lexsort((pictures, content, similarity))
    similarity, content = similarity[order], content[order]
    new_hash = np.r_[True, similarity[1:] != similarity[:-1]] if len(order) else np.empty(0, dtype=bool)
    new_content = new_hash | np.r_[True, content[1:] != content[:-1]] if len(order) else new_hash
    starts = np.flatnonzero(new_hash)
    return Looks(
        values=similarity[starts],
        positions=pictures[order],
        starts=np.r_[starts, len(order)],
        contents=np.add.reduceat(new_content.astype(np.int64), starts) if len(starts) else starts,
    )


def _neighbours(values: Hashes) -> tuple[int, Pairs]:
    """The widest search that is affordable: hashes that are all alike give too many pairs, and a shorter one serves them."""
    for radius in range(RADIUS_BITS, 0, -1):
        pairs = pairs_within(values, radius)
        if pairs is not None:
            return radius, pairs
    none = np.empty(0, dtype=np.int64)
    return 0, Pairs(none, none, none.astype(np.uint8))


def _without_scenes(looks: Looks, pairs: Pairs, apart: list[int], groups: list[Indices], pictures: int) -> list[int]:
    """Groups to tell one by one: all that stand apart, but no large ones where a good part of the set is alike."""
    large = [number for number in apart if looks.contents[groups[number]].sum() >= LARGE]
    small = [number for number in apart if number not in set(large)]
    alike = _near_others(looks, pairs, [groups[number] for number in small])
    crowd = int(looks.of(alike).size) if len(alike) else 0
    return sorted(small) if crowd >= ALIKE_RATIO * pictures else apart


def _near_others(looks: Looks, pairs: Pairs, told: list[Indices]) -> Indices:
    """Hashes with a neighbour, or of several pictures, that are in no group of ``told``."""
    near = looks.contents > 1
    near[pairs.first] = near[pairs.second] = True
    for group in told:
        near[group] = False
    return np.flatnonzero(near)


def _across(roster: Roster, looks: Looks, groups: list[Indices], told: list[int]) -> int:
    """Pictures of groups that are not told which have a look-alike in another split."""
    split, kept = np.asarray(roster.column("split")), set(told)
    members = (looks.of(group) for number, group in enumerate(groups) if number not in kept)
    return sum(len(positions) for positions in members if len(set(split[positions].tolist()) - {-1}) > 1)


def _group(roster: Roster, positions: NDArray[np.int64], bits: int) -> tuple[int, LikeGroup]:
    members = positions.tolist()
    samples = tuple(roster.sample(position) for position in members)
    return members[0], LikeGroup(kind="similar", samples=samples, file=roster.file(members[0]), bits=bits)
