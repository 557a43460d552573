"""Which of many are to blame, found by leaving some in place and exchanging the others, in as few tries as it takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

MOST_SINGLES = 8
"""Candidates up to which each is tried by itself; of more, a few that lie apart are."""
PROBES = 6
"""As many must agree to speak for all: of a fault that takes two to five samples at once, at least one probe is none."""
GOLDEN_RATIO = 0.6180339887498949

Rows = tuple[int, ...]
OTHER_SHIFTS = (1, 2, 3)
"""Further ways to hand out the good rows: what hangs on who stands in for whom is nobody's fault."""


class IsBad(Protocol):
    """Whether the step is bad with these rows in place and all others exchanged for good ones."""

    def __call__(self, kept: Sequence[int], shift: int = 0) -> bool:
        """Another ``shift`` puts other good rows in their places. The same answer to the same question."""


class OutOfTriesError(Exception):
    """No further try is allowed."""


def to_blame(everyone: Rows, suspected: Rows, is_bad: IsBad) -> Rows:
    """The rows without which the step is good, in order.

    A row is to blame when it alone spoils the step. Where none does, it is the few that spoil it together, or everyone when
    exchanging any one of them heals (labels that are all ignored, a constant batch). () where it cannot be told apart.

    Args:
        everyone: all rows; with them in place the step is bad.
        suspected: rows that looked bad; they are tried first.
        is_bad: keep its answers, they are asked for again; good for no rows at all. May raise OutOfTriesError, and then it
            is the suspected rows, if the step is good without them.
    """
    proven = False
    try:
        proven = bool(suspected) and not is_bad(_without(everyone, suspected))
        found = _among(suspected, is_bad) if proven else _peeled(everyone, is_bad)
        rest = _without(everyone, found)
        if found and is_bad(rest):
            found += _peeled(rest, is_bad)
    except OutOfTriesError:
        return tuple(sorted(suspected)) if proven else ()
    return tuple(sorted(found))


def _among(suspected: Rows, is_bad: IsBad) -> Rows:
    """Of rows without which the step is good, those that spoil it."""
    if len(suspected) <= MOST_SINGLES:
        alone = tuple(row for row in suspected if is_bad((row,)))
        return alone or _peeled(suspected, is_bad)
    return suspected if all(is_bad((row,)) for row in _spread(suspected)) else _peeled(suspected, is_bad)


def _peeled(rows: Rows, is_bad: IsBad) -> Rows:
    """One culprit (or few that act together) after another, until the rest is good."""
    if len(rows) > MOST_SINGLES and all(is_bad((row,)) for row in _spread(rows)):
        return rows
    found: Rows = ()
    while (rest := _without(rows, found)) and is_bad(rest):
        group = _smallest(rest, is_bad)
        if not all(is_bad(group, shift) for shift in OTHER_SHIFTS):
            group = ()  # it hung on who stood in for the others
        if not group:
            return rows if not found and _is_everyones(rows, is_bad) else ()
        found += group
    return found


def _smallest(rows: Rows, is_bad: IsBad) -> Rows:
    """A smallest set that spoils the step, by halving; all that are left where each is needed; () where it stays large."""
    while len(rows) > 1:
        left, right = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        if is_bad(left):
            rows = left
        elif is_bad(right):
            rows = right
        else:
            return rows if _is_everyones(rows, is_bad) else _together(rows, is_bad)
    return rows


def _is_everyones(rows: Rows, is_bad: IsBad) -> bool:
    """Whether exchanging any one of them heals, for some good row in its place."""
    return all(any(not is_bad(_without(rows, (row,)), shift) for shift in (0, *OTHER_SHIFTS)) for row in _spread(rows))


def _together(rows: Rows, is_bad: IsBad) -> Rows:
    """Rows that spoil the step only together: neither half does (Zeller & Hildebrandt 2002, ddmin)."""
    whole, parts = len(rows), 4
    while len(rows) > 2:
        size = -(-len(rows) // min(parts, len(rows)))
        for start in range(0, len(rows), size):
            smaller = rows[:start] + rows[start + size :]
            if smaller and is_bad(smaller):
                rows = smaller
                break
        else:
            if size == 1:
                break
            parts *= 2
    return rows if len(rows) <= max(2, whole // 4) else ()


def _spread(rows: Rows) -> Rows:
    """A few that lie apart, in no regular order (multiples of the golden ratio)."""
    if len(rows) <= PROBES:
        return rows
    places = (int(len(rows) * (i * GOLDEN_RATIO % 1)) for i in range(1, PROBES + 1))
    return tuple(rows[place] for place in dict.fromkeys(places))


def _without(rows: Sequence[int], left_out: Sequence[int]) -> Rows:
    gone = set(left_out)
    return tuple(row for row in rows if row not in gone)
