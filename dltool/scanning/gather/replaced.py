"""Pictures unlike all others of their folder: one file that something else wrote, where everything else is of one make."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dltool.core.file_names import printable
from dltool.core.measured.scan_likeness import Stranger, Strangers, Trait
from dltool.scanning.gather.roster import Roster

UNIFORM = 50
"""Neighbours that agree, at least: by the rule of succession the next then differs with odds of 1 in 52 at most."""

MOST_STRANGERS = 3
"""Files of one folder that may differ: more are a habit of whoever collected it, and no accident."""

TRAITS: tuple[Literal["format", "encoder", "mode", "size"], ...] = ("format", "encoder", "mode", "size")

NUMBERED = re.compile(r"[^\W_]*\d[^\W_]*")
"""A part of a name with a digit in it: a number, a date, a hash."""

Positions = NDArray[np.int64]


def strangers(roster: Roster) -> Strangers:
    """Files that differ from all neighbours in format, encoder, mode or size, in the order of the scan.

    Neighbours are the pictures of the same folder; those of folders with ``UNIFORM`` or fewer are compared with each other,
    over all such folders. A trait in which neighbours vary tells nothing.
    """
    folder = roster.column("folder")
    pictures = np.flatnonzero(folder >= 0)
    found: list[tuple[int, Stranger]] = []
    for name, members in _neighbourhoods(roster, pictures, folder[pictures]):
        found.extend(_strangers_among(roster, name, members))
    return Strangers(samples=len(pictures), files=tuple(stranger for _, stranger in sorted(found, key=lambda each: each[0])))


def _neighbourhoods(roster: Roster, pictures: Positions, folder: NDArray[np.int32]) -> Iterator[tuple[str, Positions]]:
    order = np.argsort(folder, kind="stable")
    starts = np.flatnonzero(np.r_[True, folder[order][1:] != folder[order][:-1]]) if len(order) else order
    small: list[Positions] = []
    for start, end in zip(starts.tolist(), [*starts[1:].tolist(), len(order)], strict=False):
        members = pictures[order[start:end]]
        if len(members) > UNIFORM:
            yield roster.folders[roster.folder[int(members[0])]], members
        else:
            small.append(members)
    if sum(map(len, small)) > UNIFORM:
        yield "", np.sort(np.concatenate(small))


def _strangers_among(roster: Roster, folder: str, members: Positions) -> Iterator[tuple[int, Stranger]]:
    differing: dict[int, list[Trait]] = {}
    for trait in TRAITS:
        values, which, counts = np.unique(roster.column(trait)[members], return_inverse=True, return_counts=True)
        usual = int(counts.argmax())
        others = members[which != usual]
        if not 0 < len(others) <= MOST_STRANGERS or counts[usual] < UNIFORM:
            continue
        for position in others.tolist():
            own = int(roster.column(trait)[position])
            told = Trait(name=trait, own=_told(roster, trait, own), usual=_told(roster, trait, int(values[usual])))
            differing.setdefault(position, []).append(told)
    series = Counter(_series(roster, position) for position in members.tolist()) if differing else Counter()
    for position, traits in differing.items():
        if not roster.suspected[position]:
            yield (
                position,
                Stranger(
                    path=printable(roster.name(position)),
                    file=roster.file(position),
                    folder=folder,
                    neighbours=len(members) - len(differing),
                    strangers=len(differing),
                    traits=tuple(traits),
                    in_series=series[_series(roster, position)] > UNIFORM,
                ),
            )


def _series(roster: Roster, position: int) -> str:
    """What names of one series have in common: all but numbers and the suffix, which tells how a file was saved."""
    file = roster.name(position).rpartition("/")[2]
    return NUMBERED.sub("#", file.rpartition(".")[0] or file)


def _told(roster: Roster, trait: str, code: int) -> str:
    if trait == "size":
        return f"{code >> 32}x{code & 0xFFFFFFFF}"
    if trait == "encoder":
        return roster.encoder_text(code)
    return {"format": roster.formats, "mode": roster.modes}[trait][code]
