"""Arguments outside of a function's domain, or at its edge: log of 0, sqrt of a negative number, acos above 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.dtypes import lost_eps
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.logarithm import LOGARITHMS, around_clamp, of_zero
from dltool.rules.nonfinite.why.words import number

INF = math.inf
ROUNDING = 1e-3
"""So close to the edge an argument was meant to be inside, and went over by rounding."""


@dataclass(frozen=True, slots=True)
class Domain:
    """Where a function of one argument is defined (closed), and where on that edge it is infinite."""

    low: float
    high: float = INF
    poles: tuple[float, ...] = ()


DOMAINS = {
    "sqrt": Domain(0.0),
    "rsqrt": Domain(0.0, poles=(0.0,)),
    "log": Domain(0.0, poles=(0.0,)),
    "log2": Domain(0.0, poles=(0.0,)),
    "log10": Domain(0.0, poles=(0.0,)),
    "log1p": Domain(-1.0, poles=(-1.0,)),
    "acos": Domain(-1.0, 1.0),
    "asin": Domain(-1.0, 1.0),
    "acosh": Domain(1.0),
    "atanh": Domain(-1.0, 1.0, poles=(-1.0, 1.0)),
    "erfinv": Domain(-1.0, 1.0, poles=(-1.0, 1.0)),
    "logit": Domain(0.0, 1.0, poles=(0.0, 1.0)),
    "ndtri": Domain(0.0, 1.0, poles=(0.0, 1.0)),
    "entr": Domain(0.0),
}
"""A new function is a row here. entr is -Inf below 0, the others NaN."""

GAMMAS = frozenset({"lgamma", "gammaln", "digamma", "psi", "polygamma"})


def outside_domain(case: Case) -> Explanation | None:
    """A function of one argument that is not defined there, or infinite."""
    domain = DOMAINS.get(case.kernel)
    at = None if domain is None else _argument(case, domain)
    if domain is None or at is None or math.isnan(at):
        return None
    if at in domain.poles:
        sign = "-Inf" if case.event.output is not None and case.event.output.negative_inf else "Inf"
        cause = f"{case.kernel} of {number(at)} is {sign}{_why_at_edge(case, at)}"
        return Explanation("edge-of-domain", cause, _at_edge(case, domain))
    if domain.low <= at <= domain.high:
        return None
    edge = domain.low if at < domain.low else domain.high
    slip = f", {abs(at - edge):.1g} over the edge, as rounding leaves it" if abs(at - edge) <= ROUNDING else ""
    span = f"from {number(domain.low)} on" if domain.high == INF else f"from {number(domain.low)} to {number(domain.high)}"
    cause = f"{case.kernel} of {number(at)} is {_bad(case)}: it is defined {span}{slip}"
    return Explanation("outside-domain", cause, _outside(case, domain, slipped=bool(slip)))


def gamma_pole(case: Case) -> Explanation | None:
    """Gamma functions are infinite at 0 and the negative whole numbers."""
    at = case.operands[0] if case.operands else None
    if case.kernel not in GAMMAS or at is None or not (at <= 0 and at == math.floor(at)):
        return None
    cause = f"{case.kernel} of {number(at)} is infinite: it has poles at 0 and at the negative whole numbers"
    return Explanation("edge-of-domain", cause, ("keep the argument above 0: F.softplus(x) + 1e-6, or x.clamp_min(1e-6)",))


def product_with_log(case: Case) -> Explanation | None:
    """xlogy(x, y) for a y that has no logarithm; it forgives a y of 0 only where x is 0."""
    pair = case.pair
    if case.kernel not in {"xlogy", "xlog1py"} or pair is None:
        return None
    edge = -1.0 if case.kernel == "xlog1py" else 0.0
    x, y = pair
    if y < edge:
        cause = (
            f"{case.kernel} takes the logarithm of {number(y)}, which is NaN: {case.function} needs targets and "
            "weights from 0 on"
        )
    elif y == edge and x != 0:
        cause = f"{case.kernel} of {number(x)} and {number(y)} is infinite: the logarithm of 0"
    else:
        return None
    return Explanation("outside-domain", cause, ("keep the second argument above 0: y.clamp_min(1e-12)",))


def power(case: Case) -> Explanation | None:
    """A negative base with a fractional exponent, or 0 to a negative power."""
    if case.kernel != "pow" or case.pair is None or case.in_backward:
        return None
    base, exponent = case.pair
    if base < 0 and math.isfinite(exponent) and exponent != math.floor(exponent):
        cause = f"{number(base)} ** {number(exponent)} is NaN: a negative number has no fractional power"
        fix = "take the power of a number from 0 on: x.clamp_min(eps) ** e, or x.sign() * x.abs() ** e"
        return Explanation("outside-domain", cause, (fix,))
    if base == 0 and exponent < 0:
        cause = f"0 ** {number(exponent)} is a division by 0{_underflow(case, base)}"
        return Explanation(
            "divisor-of-zero", cause, ("keep the base away from 0: x.clamp_min(1e-6) ** e, or (x + eps) ** e",)
        )
    return None


def _argument(case: Case, domain: Domain) -> float | None:
    """The argument at the bad place; where only the range of the input is known, an end of it that is not allowed."""
    if case.operands:
        return case.operands[0]
    ends = (case.inputs[0].minimum, case.inputs[0].maximum) if case.inputs else ()
    return next((end for end in ends if end is not None and not domain.low <= end <= domain.high), None)


def _bad(case: Case) -> str:
    return "-Inf" if case.kernel == "entr" else "NaN"


def _underflow(case: Case, at: float) -> str:
    return lost_eps(case.inputs[0].dtype) if at == 0 and case.inputs else ""


def _why_at_edge(case: Case, at: float) -> str:
    return (of_zero(case, case.maker(0)) if case.kernel in LOGARITHMS else "") + _underflow(case, at)


def _clamp(case: Case, domain: Domain) -> str:
    low, high, name = domain.low, domain.high, case.kernel
    if high != INF:
        return f"keep the argument off the edge: torch.{name}(x.clamp({low:g} + 1e-6, {high:g} - 1e-6))"
    floor = "1e-6" if low == 0 else f"{low:g} + 1e-6"
    return f"keep the argument in the domain: torch.{name}(x.clamp_min({floor}))"


def _at_edge(case: Case, domain: Domain) -> tuple[str, ...]:
    clamp = _clamp(case, domain)
    if case.kernel in LOGARITHMS:
        return around_clamp(case, case.kernel, case.maker(0), clamp)
    if case.kernel == "rsqrt":
        return "add an eps inside: torch.rsqrt(x + 1e-6), as layer_norm and rms_norm do", clamp
    return (clamp,)


def _outside(case: Case, domain: Domain, *, slipped: bool) -> tuple[str, ...]:
    clamp = _clamp(case, domain)
    if case.kernel in {"sqrt", "rsqrt"} and (slipped or case.maker(0) in {"sub", None}):
        return clamp, "or take squares and variances in a form that cannot go negative: (x - x.mean()).square().mean()"
    if slipped or not case.event.makers:
        return (clamp,)
    made = case.maker(0)
    if made is None:
        return clamp, "it was there before the step: check the batch; keep a weight that must be positive as F.softplus(raw)"
    return clamp, f"a clamp hides such values and stops their gradient: look why {made} gives such an argument"
