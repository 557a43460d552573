"""A quantity on both sides, as a ``Change``: how far it moved, in units of its noise, and whether that is worse."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dltool.core.measured.compare import Better, Change, Group, Scale, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """What is compared; see ``Change`` for the fields."""

    group: Group
    name: str
    key: str
    place: str | None = None
    scale: Scale = "difference"
    better: Better = "lower"


def change_of(what: Quantity, before: float | None, after: float | None, *, noise: float, basis: str) -> Change | None:
    """The change, or None where a side does not have the quantity.

    On a ratio scale both values are sizes, 0 or above, and ``noise`` is a factor. A value that is not finite is worse than
    any that is. A noise of 0 (a factor of 1) makes every difference count.
    """
    if before is None or after is None:
        return None
    noises = _noises(what.scale, before, after, noise)
    return Change(
        group=what.group,
        name=what.name,
        key=what.key,
        place=what.place,
        before=before,
        after=after,
        scale=what.scale,
        better=what.better,
        change=_moved(what.scale, before, after),
        noise=noise,
        noises=noises,
        verdict=_verdict(what.better, before, after, noises),
        basis=basis,
    )


def _moved(scale: Scale, before: float, after: float) -> float | None:
    if not (math.isfinite(before) and math.isfinite(after)):
        return None
    if scale == "difference":
        return after - before
    if before == after:
        return 1.0
    return math.inf if before == 0 else after / before


def _noises(scale: Scale, before: float, after: float, noise: float) -> float:
    if before == after or (not math.isfinite(before) and not math.isfinite(after)):
        return 0.0
    if not (math.isfinite(before) and math.isfinite(after)):
        return math.inf
    if scale == "difference":
        return abs(after - before) / noise if noise > 0 else math.inf
    if min(before, after) <= 0:
        return math.inf
    return abs(math.log(after) - math.log(before)) / math.log(noise) if noise > 1 else math.inf


def _verdict(better: Better, before: float, after: float, noises: float) -> Verdict:
    if noises == 0:
        return "equal"
    if noises <= 1:
        return "within-noise"
    if not math.isfinite(after):
        return "worse"
    if not math.isfinite(before):
        return "better"
    if better == "neither":
        return "changed"
    return "better" if (after < before) == (better == "lower") else "worse"
