"""What the other commands answer: gradcheck's errors, lr-find's rate, a hunt's step."""

from __future__ import annotations

import math
from collections.abc import Iterator

from dltool.core.measured.compare import Change
from dltool.core.measured.gradcheck import FINE, CheckedInputs, CheckedParameters, GradientRecord
from dltool.core.measured.hunt import FirstBadStep
from dltool.core.measured.lr_find import LrRange, SuggestedLr
from dltool.core.measurements import Measurements
from dltool.diagnostics.compare.change import Quantity, change_of

RATE_FACTOR = 4.0
"""Suggestions for one net over seeds lay within a factor of 2.8 of each other (benchmarks/results/lr_find.txt)."""
SAME_WAIT, OTHER_WAIT = 2.0, 20.0


def gradcheck_changes(before: Measurements, after: Measurements) -> Iterator[Change]:
    """Relative errors of parameters and inputs. Below ``FINE`` an error is rounding, and may be any number."""
    first, second = _checked(before), _checked(after)
    for name in (name for name in first if name in second):
        one, two = first[name], second[name]
        rounding = max(FINE, one.resolution, two.resolution)
        what = Quantity(group="gradcheck", name="relative_error", key="parameters.relative_error", place=name)
        change = change_of(
            what, one.relative_error, two.relative_error, noise=rounding, basis="what rounding may cause, at least 1e-5"
        )
        if change is not None:
            yield change


def rate_changes(before: Measurements, after: Measurements) -> Iterator[Change]:
    """The suggested rate. No rate that works is no number, and worse than any."""
    first, second = before.get(SuggestedLr), after.get(SuggestedLr)
    if first is None or second is None:
        return
    one, two = (math.nan if each.lr is None else each.lr for each in (first, second))
    what = Quantity(group="rate", name="suggested_lr", key="suggested_lr", scale="ratio", better="neither")
    factor = max(RATE_FACTOR, *(_width(measured) for measured in (before, after)))
    basis = "the range of good rates, at least a factor of 4"
    change = change_of(what, one, two, noise=factor, basis=basis)
    if change is not None:
        yield change


def hunt_changes(before: Measurements, after: Measurements, *, same_seed: bool) -> Iterator[Change]:
    """The first bad step of two hunts that found one.

    The wait for a rare sample is geometric: another seed makes it r times shorter with a probability of 1 / (1 + r).
    """
    first, second = before.get(FirstBadStep), after.get(FirstBadStep)
    if first is None or second is None or second.step is None or first.step is None:
        return
    what = Quantity(group="hunt", name="first_bad_step", key="first_bad_step", scale="ratio", better="higher")
    noise, basis = (SAME_WAIT, "a factor of 2") if same_seed else (OTHER_WAIT, "a factor of 20: another seed moves it")
    change = change_of(what, first.step + 1.0, second.step + 1.0, noise=noise, basis=f"{basis}; counted from 1")
    if change is not None:
        yield change


def _checked(measured: Measurements) -> dict[str, GradientRecord]:
    parameters, inputs = measured.get(CheckedParameters), measured.get(CheckedInputs)
    return {
        **({} if parameters is None else parameters.parameters),
        **({} if inputs is None else {f"input {name}": record for name, record in inputs.inputs.items()}),
    }


def _width(measured: Measurements) -> float:
    """The factor from one end of the good rates to the other."""
    span = measured.get(LrRange)
    if span is None or span.ends is None or len(span.ends) < 2 or not span.ends[0] > 0:
        return 1.0
    return span.ends[-1] / span.ends[0]
