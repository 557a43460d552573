"""What to do about values that outgrew their type: by the operator, by who made them, and by which way they went."""

from __future__ import annotations

import math
import re

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.cures import DROP_ROWS, SCALE_DATA, WIDER, calmer
from dltool.rules.nonfinite.why.divisor import EPS
from dltool.rules.nonfinite.why.dtypes import RANGES, Range
from dltool.rules.nonfinite.why.words import number

SUMMED = re.compile(r"\bexp\([^()]*\)\.sum\(|\bsum\([^()]*\bexp\(|\blog\([^()]*\bexp\(")
"""A softmax or its logarithm written out; an exponential that is one of several terms is none."""

SCALED_LOSS = (
    "scale the loss: torch.amp.GradScaler skips a step whose gradient overflows and halves its scale, with weights in "
    "float32 and half precision under torch.autocast"
)

SQUARING = frozenset(
    {"layer_norm", "group_norm", "batch_norm", "instance_norm", "rms_norm", "norm", "var", "std", "var_mean", "std_mean"}
)
SCORES = frozenset({"matmul", "bmm", "einsum", "baddbmm"})
"""Products of two activations, of which attention is one."""
BESSEL = frozenset({"i0", "i1", "modified_bessel_i0", "modified_bessel_i1"})
EXPONENTIALS = frozenset({"exp", "exp2", "expm1", "sinh", "cosh"})


def argument(case: Case) -> float:
    """The argument at the bad place, else the largest magnitude there was."""
    if case.operands:
        return case.operands[0]
    return case.inputs[0].maximum or 0.0 if case.inputs else 0.0


def cures(case: Case, limit: Range) -> tuple[str, ...]:
    """Likeliest first."""
    first = (WIDER,) if limit.is_half else ()
    if case.kernel in EXPONENTIALS:
        return _advice_on_exponent(case, limit)
    if case.kernel in BESSEL:
        scaled = "torch.special.i1e" if "i1" in case.kernel else "torch.special.i0e"
        return (*first, f"take the scaled function and add x.abs() to its logarithm: torch.log({scaled}(x)) + x.abs()")
    if case.kernel in {"div", "reciprocal", "addcdiv"} or (case.in_backward and case.function in QUOTIENTS):
        return (*first, EPS)
    if case.in_backward:
        return _advice_on_gradient(case, limit)
    if limit.is_half and not odd(case):
        scale = ("scale before a product and not after it: (q / math.sqrt(d)) @ k.T",) if case.function in SCORES else ()
        return (*first, *scale, *[SCALE_DATA] * bool(case.event.samples))
    return (*first, *general_cures(case))


def _advice_on_exponent(case: Case, limit: Range) -> tuple[str, ...]:
    """A bound on the exponent; the form that needs none where the line shows a sum or a logarithm of it."""
    bound, ends = (8 if limit.is_half else 20), number(math.log(limit.largest))
    first = (WIDER,) if limit.is_half and argument(case) < math.log(RANGES["float32"].largest) else ()
    if case.kernel in {"cosh", "sinh"}:
        stable = "log(cosh(x)) is x + F.softplus(-2 * x) - math.log(2), which does not overflow"
        return *first, stable, f"clamp the argument: x.clamp(-{bound}, {bound}); {case.kernel} ends at {ends}"
    ratio = case.maker(0) == "sub"
    what = "a ratio's: a difference of logarithms" if ratio else "a log-variance, log-scale or log-rate"
    clamp = f"clamp the exponent ({what}): x.clamp(max={bound}); {case.kernel} ends at {ends}"
    stable = (
        "where it is summed, normalised or its logarithm taken, use the form that subtracts the maximum: torch.softmax, "
        "torch.logsumexp, F.softplus, F.cross_entropy of logits"
    )
    summed = SUMMED.search(case.event.code or "") is not None
    return (*first, stable, clamp) if summed else (*first, clamp, stable)


def _advice_on_gradient(case: Case, limit: Range) -> tuple[str, ...]:
    """What keeps a gradient small on its way; clipping after backward comes too late for an Inf."""
    if limit.is_half:
        mean = "make the loss smaller, a mean instead of a sum: every gradient is a multiple of it"
        return SCALED_LOSS, WIDER, mean
    on_the_way = (
        f"the gradient had grown to {number(case.largest)} on its way back: bound it there, "
        "h.register_hook(lambda g: g.clamp(-1e3, 1e3)) at each step or layer; "
        "clip_grad_norm_ after backward comes too late for an Inf"
    )
    loop = "in a loop over time cut the graph (h = h.detach() every few steps) and start with smaller recurrent weights"
    return on_the_way, loop, "make the loss smaller, a mean instead of a sum"


FILL_VALUES = (9.969209968386869e36, 1e20, 3.4028234663852886e38)
"""Written for a missing number: NC_FILL_FLOAT of netCDF, the CF conventions' 1e20, the largest float32."""

QUOTIENTS = frozenset({"div", "reciprocal", "addcdiv"})
"""Functions whose gradient divides by the divisor once more, and leaves the range where that is tiny."""
ABSURD = 1e30
"""Before the first update nothing can have grown so far."""


def odd(case: Case) -> str:
    """Where the magnitude itself tells where it comes from: what an operator of the step made comes from there."""
    if case.in_backward:
        return ""
    ends = [abs(end) for given in case.inputs for end in (given.minimum, given.maximum) if end is not None]
    fill = next((fill for fill in FILL_VALUES if any(math.isclose(end, fill, rel_tol=1e-6) for end in ends)), None)
    if fill is not None:
        return f"; {number(fill)} is what files hold for a missing value"
    if case.event.step == 0 and case.largest >= ABSURD and case.largest_maker is None:
        return (
            f"; before the first update {number(case.largest)} comes from the data or from memory that was never initialised"
        )
    return ""


def general_cures(case: Case) -> tuple[str, ...]:
    """By where the largest value came from; a lower rate and clipping only where the update itself is what overflowed."""
    strange = odd(case)
    if strange:
        initialise = "initialise what was made with torch.empty, and check the data for fill values"
        filled = "missing" in strange or bool(case.event.samples)
        return (DROP_ROWS, initialise) if filled else (initialise, DROP_ROWS)
    if case.event.phase == "optimizer":
        return calmer(case)
    diverging = case.lead_up is not None and case.lead_up.diverging
    if case.largest_maker is None or diverging or case.kernel in SQUARING:
        return (SCALE_DATA,)
    bound = (
        f"values had grown to {number(case.largest)} within this step (a recurrence, a power, a residual sum): bound them "
        "on the way with a normalisation, torch.tanh or x.clamp"
    )
    return (bound, SCALE_DATA) if case.event.samples else (bound,)
