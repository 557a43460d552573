"""A divisor of 0: 0 / 0 is NaN, anything else over 0 is Inf."""

from __future__ import annotations

import math

from dltool.core.measurements import TensorFacts
from dltool.rules.nonfinite.why.case import Case, numel
from dltool.rules.nonfinite.why.dtypes import lost_eps, range_of
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.nothing import NOTHING
from dltool.rules.nonfinite.why.words import counted, number

QUOTIENTS = frozenset({"div", "floor_divide", "fmod", "remainder"})
EPS = "keep the divisor away from 0: x / (y + eps), or y.clamp_min(1e-6) where y is never negative"


def divided(case: Case) -> tuple[float, float] | None:
    """Dividend and divisor at the bad place, for every kernel that divides."""
    if case.kernel == "reciprocal" and case.operands:
        return 1.0, case.operands[0]
    if case.kernel == "addcdiv" and len(case.operands) == 3:
        return case.operands[1], case.operands[2]
    return case.pair if case.kernel in QUOTIENTS else None


def divisor_of_zero(case: Case) -> Explanation | None:
    """Anything over 0, and 0 / 0."""
    sides = divided(case)
    if sides is None:
        return _zeros_in_divisor(case)
    if sides[1] != 0 or math.isnan(sides[0]):
        return None
    dividend, note = sides[0], _few(case) + _lost(case)
    if case.kernel in {"fmod", "remainder"}:
        return Explanation("divisor-of-zero", f"{case.kernel} by 0 is NaN{note}", (EPS,))
    if dividend != 0:
        said = f"a division by 0: {number(dividend)} / 0 is {'Inf' if dividend > 0 else '-Inf'}"
        return Explanation("divisor-of-zero", said + note, (EPS, *_of_nothing(case)))
    return Explanation("divisor-of-zero", f"0 / 0 is NaN{note}", (*_of_nothing(case), EPS))


def _zeros_in_divisor(case: Case) -> Explanation | None:
    """For complex numbers, of which no operands are told."""
    divisor, output = _divisor(case), case.event.output
    if case.kernel != "div" or divisor is None or output is None or not divisor.zeros:
        return None
    if not case.from_finite:
        return None
    said = "0 / 0 is NaN" if output.nan else "a division by 0"
    return Explanation("divisor-of-zero", f"{said}: the divisor holds {counted(divisor.zeros, 'zero')}", (EPS,))


def infinite_quotient(case: Case) -> Explanation | None:
    """Inf / Inf: a normalisation of what had overflowed."""
    sides = divided(case)
    if sides is None or not all(map(math.isinf, sides)):
        return None
    stable = (
        "normalise in the exponent: torch.softmax or x - torch.logsumexp(x, -1, keepdim=True) instead of exp(x) / "
        "exp(x).sum()"
    )
    return Explanation(
        "inf-over-inf", "Inf / Inf is NaN: dividend and divisor had both overflowed", (stable,), too_large=True
    )


def _divisor(case: Case) -> TensorFacts | None:
    return case.event.inputs[-1] if len(case.event.inputs) > 1 else None


def _few(case: Case) -> str:
    """What a divisor is that serves several values: a sum, a count or a norm."""
    divisor, dividend = _divisor(case), case.event.inputs[0] if case.event.inputs else None
    if divisor is None or dividend is None or case.in_backward or case.kernel == "addcdiv":
        return ""
    if range_of(divisor.dtype) is None:
        return ": the divisor is a count, and nothing was counted"
    if divisor.shape == ():
        return (
            ": the divisor is one number for all (a sum, a count of a mask, a norm) that came out 0, as over an "
            "empty selection"
        )
    if numel(divisor) < numel(dividend):
        return ": each divisor serves a whole row (a sum, a count of a mask, a norm), and this one is 0, as for an empty row"
    return ""


def _of_nothing(case: Case) -> tuple[str, ...]:
    return (NOTHING,) if _few(case) else ()


def _lost(case: Case) -> str:
    divisor = _divisor(case) or (case.inputs[0] if case.inputs else None)
    return "" if divisor is None else lost_eps(divisor.dtype)
