"""Files with the same content: one sort of 64-bit hashes."""

from __future__ import annotations

import numpy as np

from dltool.core.measured.scan_likeness import Duplicates, LikeGroup
from dltool.scanning.gather.roster import Roster


def duplicates(roster: Roster) -> Duplicates:
    """Groups of files with equal content, in the order of their first members; blank pictures left out."""
    candidates = np.flatnonzero(roster.column("comparable"))
    groups = [
        group for members in _runs(roster.column("content"), candidates) if (group := _group(roster, members)) is not None
    ]
    return Duplicates(samples=len(candidates), groups=tuple(groups))


def _runs(values: np.ndarray, candidates: np.ndarray) -> list[np.ndarray]:
    """Positions that share a value with another, ascending within a run and by first member among runs."""
    order = candidates[np.argsort(values[candidates], kind="stable")]
    ordered = values[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(order) else np.empty(0, dtype=np.int64)
    ends = np.r_[starts[1:], len(order)]
    several = ends - starts > 1
    runs = [order[start:end] for start, end in zip(starts[several], ends[several], strict=True)]
    return sorted(runs, key=lambda run: int(run[0]))


def _group(roster: Roster, members: np.ndarray) -> LikeGroup | None:
    """None where it is one file, listed again: with another label, say, or once for each object in it."""
    listed = {
        (roster.file(position), roster.name(position), roster.split[position]): position
        for position in reversed(members.tolist())
    }
    kept = sorted(listed.values())
    if len(kept) < 2:
        return None
    same_bytes = len({roster.digest[position] for position in kept}) == 1
    return LikeGroup(
        kind="same-bytes" if same_bytes else "same-content",
        samples=tuple(map(roster.sample, kept)),
        file=roster.file(kept[0]),
    )
