"""How fast the steps were, where both sides ran on the same machine."""

from __future__ import annotations

import statistics
from collections.abc import Iterator

from dltool.core.measured.compare import Change, Doubt
from dltool.core.measured.speed import Speed
from dltool.core.measured.training import Optimisation
from dltool.diagnostics.compare.change import Quantity, change_of
from dltool.diagnostics.compare.read import Opened

FACTOR = 1.6
"""Equal runs on a busy machine differed by less (benchmarks/compare.py)."""
FEWEST = 5
"""Stretches of a run that were timed."""


def speed_changes(before: Opened, after: Opened) -> Iterator[Change | Doubt]:
    """Time of a step. On the CPU it is processor time in units of the reference work beside it, the median of the run.

    With an accelerator it is the least wall-clock time: what delays a program only ever adds to it (Chen & Revels 2016,
    "Robust benchmarking in noisy environments").
    """
    if Optimisation not in before.measured or Optimisation not in after.measured:
        return
    reason = _incomparable(before, after)
    if reason is not None:
        yield Doubt(what="speed", reason=reason)
        return
    first, second = before.measured[Speed], after.measured[Speed]
    if before.report is not None and before.report.run.device == "cpu":
        name, unit, values = "step_cpu_ms", "step, in units of reference work", (_in_reference(first), _in_reference(second))
    else:
        name, unit, values = "step_ms", "step, ms", (min(first.step_ms), min(second.step_ms))
    what = Quantity(group="speed", name=unit, key=f"speed.{name}", scale="ratio")
    change = change_of(what, *values, noise=FACTOR, basis="more than equal runs differed by on a busy machine")
    if change is not None:
        yield change


def _incomparable(before: Opened, after: Opened) -> str | None:
    first, second = before.measured.get(Speed), after.measured.get(Speed)
    if first is None or second is None:
        return "a side does not tell how long its steps took"
    if first.machine != second.machine:
        return f"different machines: {first.machine} before, {second.machine} after"
    runs = [side.report.run for side in (before, after) if side.report is not None]
    if len({(run.torch, run.device) for run in runs}) > 1:
        return "another torch or device"
    if first.batch_samples != second.batch_samples:
        return f"{first.batch_samples} samples a step before, {second.batch_samples} after"
    if min(len(first.step_ms), len(second.step_ms)) < FEWEST:
        return f"too short: fewer than {FEWEST} stretches of steps were timed"
    return None


def _in_reference(speed: Speed) -> float | None:
    ratios = [
        step / reference for step, reference in zip(speed.step_cpu_ms, speed.reference_ms, strict=False) if reference > 0
    ]
    return statistics.median(ratios) if ratios else None
