"""Pictures that look the same, as far as that means anything among the pictures of the set.

A fixed radius cannot serve both holiday photos and frames of a video: only groups that stand apart are told
(``scan.gather.linkage``), and pictures in a crowd of look-alikes are only counted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dltool.core.measured.scan_likeness import LikeGroup, NearDuplicates
from dltool.scanning.gather.hamming import Hashes, Indices, Pairs, pairs_within
from dltool.scanning.gather.linkage import GAP_BITS, GAP_RATIO, standing_apart
from dltool.scanning.gather.roster import Roster

RADIUS_BITS, CROWD_BITS = 10, 6
"""Widest group, of 64 bits, and how near others are in a crowd: benchmarks/near_duplicates.py, copies of the first seeds
that are re-encoded, resized, or made lighter, are nearly all within 6, and of those cropped by 3 % most are within 10."""

LARGE = 6
"""Different pictures from which a group is rather a scene of a video than a handful of copies."""

SOME_ALIKE_RATIO, MOST_ALIKE_RATIO = 0.1, 0.33
"""Share of pictures in a crowd of look-alikes from which on large groups are counted among them, and from which on all are:
there some stand apart by chance (products on white, frames of videos; benchmarks/near_duplicates.py)."""

Group = tuple[Indices, int]
"""Distinct hashes, by index, and the largest distance between two in bits."""


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Distinct hashes, ascending; positions of pictures ordered by hash, and where those of each hash begin.

    ``contents`` is how many different pictures have a hash.
    """

    values: Hashes
    positions: Indices
    starts: Indices
    contents: Indices

    def count(self, group: Indices) -> int:
        """How many pictures have these hashes."""
        return int((self.starts[group + 1] - self.starts[group]).sum())

    def of(self, group: Indices) -> Indices:
        """Positions of the pictures with these hashes, in the order of the scan."""
        return np.sort(np.concatenate([self.positions[self.starts[i] : self.starts[i + 1]] for i in group.tolist()]))


def near_duplicates(roster: Roster) -> NearDuplicates:
    """Groups of look-alikes with at least two different contents, in the order of their first members."""
    pictures = np.flatnonzero(roster.column("hashed"))
    looks = _looks(roster, pictures)
    radius, pairs = _neighbours(looks.values)
    crowded = _surely_crowded(looks, pairs) >= MOST_ALIKE_RATIO * len(pictures)
    groups = [] if crowded else standing_apart(looks.values, pairs, radius, looks.contents > 1)
    told = _worth_telling(looks, pairs, groups, len(pictures))
    alike = _near_others(looks, pairs, told)
    found = [_group(roster, looks.of(group), bits) for group, bits in told]
    return NearDuplicates(
        samples=len(pictures),
        left_out=int(np.count_nonzero(roster.column("mode") >= 0)) - len(pictures),
        radius_bits=radius,
        groups=tuple(group for _, group in sorted(found, key=lambda each: each[0])),
        alike=looks.count(alike),
        alike_across_splits=_across(roster, looks, pairs, alike),
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


def _surely_crowded(looks: Looks, pairs: Pairs) -> int:
    """Pictures that can be in no small group, and so are in a crowd, told without looking for groups.

    One of so many neighbours is outside of a small group, and nearer than the gap around any group of several hashes.
    """
    close = pairs.bits < GAP_RATIO + GAP_BITS
    ends = np.concatenate([pairs.first[close], pairs.second[close]])
    return int(np.count_nonzero((np.bincount(ends, minlength=len(looks.values)) >= LARGE) & (looks.contents == 1)))


def _worth_telling(looks: Looks, pairs: Pairs, groups: list[Group], pictures: int) -> list[Group]:
    """No large groups where some of the set is alike, none at all where much of it is."""
    small = [(group, bits) for group, bits in groups if looks.contents[group].sum() < LARGE]
    crowd = looks.count(_near_others(looks, pairs, small))
    if crowd >= MOST_ALIKE_RATIO * pictures:
        return []
    return small if crowd >= SOME_ALIKE_RATIO * pictures else groups


def _near_others(looks: Looks, pairs: Pairs, told: list[Group]) -> Indices:
    """Hashes with a neighbour, or of several pictures, that are in no group of ``told``."""
    near = looks.contents > 1
    crowded = pairs.bits <= CROWD_BITS
    near[pairs.first[crowded]] = near[pairs.second[crowded]] = True
    for group, _ in told:
        near[group] = False
    return np.flatnonzero(near)


def _across(roster: Roster, looks: Looks, pairs: Pairs, alike: Indices) -> int:
    """Pictures among ``alike`` with a neighbour in another split, or with their own hash there."""
    split = roster.column("split")[looks.positions]
    if not len(alike):
        return 0
    lowest, highest = np.minimum.reduceat(split, looks.starts[:-1]), np.maximum.reduceat(split, looks.starts[:-1])
    mixed = lowest != highest
    first, second = pairs.first[pairs.bits <= CROWD_BITS], pairs.second[pairs.bits <= CROWD_BITS]
    for one, other in ((first, second), (second, first)):
        mixed[one[(lowest[one] != lowest[other]) | (highest[one] != highest[other])]] = True
    return looks.count(alike[mixed[alike]])


def _group(roster: Roster, positions: NDArray[np.int64], bits: int) -> tuple[int, LikeGroup]:
    members = positions.tolist()
    samples = tuple(roster.sample(position) for position in members)
    return members[0], LikeGroup(kind="similar", samples=samples, file=roster.file(members[0]), bits=bits)
