"""A divisor of 0: 0 / 0 is NaN, anything else over 0 is Inf."""

from __future__ import annotations

import math

from dltool.core.measured.non_finite import TensorFacts
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.divisor import EPS, described
from dltool.rules.nonfinite.why.dtypes import lost_eps
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.words import counted, number

QUOTIENTS = frozenset({"div", "floor_divide", "fmod", "remainder"})


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
    dividend, what = sides[0], described(case)
    note = what.said + _lost(case)
    if case.kernel in {"fmod", "remainder"}:
        return Explanation("divisor-of-zero", f"{case.kernel} by 0 is NaN{note}", (EPS,))
    where = (
        f"in the backward of {case.function}, " if case.in_backward else "in a hook on a gradient, " if case.hooked else ""
    )
    if dividend != 0:
        said = f"{where}a division by 0: {number(dividend)} / 0 is {'Inf' if dividend > 0 else '-Inf'}"
        return Explanation("divisor-of-zero", said + note, what.cures)
    return Explanation("divisor-of-zero", f"{where}0 / 0 is NaN{note}", what.cures)


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


def _lost(case: Case) -> str:
    divisor = _divisor(case) or (case.inputs[0] if case.inputs else None)
    return "" if divisor is None else lost_eps(divisor.dtype)
