"""The earliest repairs that heal a step, of many in the order in which they could have begun the damage."""

from __future__ import annotations

from collections.abc import Callable

Heals = Callable[[frozenset[int]], bool]
"""Whether the step is good with these repaired."""


def earliest_needed(count: int, heals: Heals) -> tuple[int, ...]:
    """Which of ``count`` repairs heal together, none of them dispensable, earlier ones preferred; in order. () if all fail.

    The shortest run of repairs from the first on that heals ends in one that is needed; with it in place the next is looked
    for before it, until those found heal by themselves (Junker 2004, QuickXplain). More repairs are taken to heal no less,
    so that each search halves: about 2·log2(count) tries for each repair that is needed.
    """
    needed: frozenset[int] = frozenset()
    end = count
    while not needed or not heals(needed):
        length = _shortest(end, needed, heals)
        if length is None:
            return ()
        needed |= {length - 1}
        end = length - 1
    return tuple(sorted(needed))


def _shortest(end: int, needed: frozenset[int], heals: Heals) -> int | None:
    """The least k, at least 1, so that the first k and ``needed`` heal; None where not even all ``end`` do."""
    too_short, long_enough = 0, 1
    while not heals(needed.union(range(long_enough))):
        if long_enough >= end:
            return None
        too_short, long_enough = long_enough, min(2 * long_enough, end)
    while long_enough - too_short > 1:
        middle = (too_short + long_enough) // 2
        if heals(needed.union(range(middle))):
            long_enough = middle
        else:
            too_short = middle
    return long_enough
