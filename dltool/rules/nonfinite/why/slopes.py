"""Gradients: slopes that are infinite, and the 0 that arrives where a result was not used and makes NaN of them."""

from __future__ import annotations

import math

from dltool.rules.nonfinite.why.case import Case, bad_values
from dltool.rules.nonfinite.why.cures import SAFE_BEFORE_WHERE
from dltool.rules.nonfinite.why.division import divided
from dltool.rules.nonfinite.why.domain import DOMAINS
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.logarithm import LOGARITHMS, around_clamp
from dltool.rules.nonfinite.why.rows import FINITE_MASK, KEEP_ONE
from dltool.rules.nonfinite.why.words import counted, listed, number

SELECT_FIRST = "or compute only what counts: f(x[mask]) instead of f(x)[mask] or a product with the mask"
AT_ZERO = "{} at 0 has an infinite slope"
STEEP = {
    "sqrt": AT_ZERO,
    "log": AT_ZERO,
    "log2": AT_ZERO,
    "log10": AT_ZERO,
    "rsqrt": AT_ZERO,
    "reciprocal": AT_ZERO,
    "log1p": "{} at -1 has an infinite slope",
    "acos": "{} at 1 and -1 has an infinite slope",
    "asin": "{} at 1 and -1 has an infinite slope",
    "acosh": "{} at 1 has an infinite slope",
    "addcdiv": "a division by 0 has an infinite slope",
    "atanh": "{} at 1 and -1 has an infinite slope",
    "logit": "{} at 0 and 1 has an infinite slope",
    "div": "a division by 0 has an infinite slope",
    "atan2": "atan2 at (0, 0) has no slope",
    "hypot": "hypot at (0, 0) has no slope",
    "xlogy": "xlogy at (0, 0) has no slope",
    "std": "std has an infinite slope at 0: the values are all equal",
    "std_mean": "std has an infinite slope at 0: the values are all equal",
    "norm": "a norm has no slope at 0: every component is 0",
    "pairwise_distance": "a distance has no slope at 0: both points are the same",
    "cosine_similarity": "a norm has no slope at 0: every component is 0",
    "normalize": "a norm has no slope at 0: every component is 0",
    "weight_norm": "a norm has no slope at 0: every component of the weight is 0",
    "svd": "the singular vectors of equal singular values have no slope",
    "eigh": "the eigenvectors of equal eigenvalues have no slope",
}
"""A new function is a row here."""

EXAMPLES = {
    "sqrt": "add an eps inside, torch.sqrt(x + {eps}), or clamp before it, torch.sqrt(x.clamp_min({eps}))",
    "norm": "(x.square().sum(-1) + {eps}).sqrt() instead of x.norm()",
    "std": "(x.var(dim) + 1e-5).sqrt() instead of x.std(dim)",
    "pow": "add an eps inside, (x + {eps}) ** e, or clamp before it, x.clamp_min({eps}) ** e",
    "acos": "torch.acos(x.clamp(-1 + 1e-6, 1 - 1e-6)), or atan2 of sine and cosine",
    "asin": "torch.asin(x.clamp(-1 + 1e-6, 1 - 1e-6))",
    "acosh": "torch.acosh(x.clamp_min(1 + 1e-6))",
    "atanh": "torch.atanh(x.clamp(-1 + 1e-6, 1 - 1e-6))",
    "logit": "torch.logit(x, eps=1e-6)",
    "log1p": "torch.log1p(x.clamp_min(-1 + 1e-6))",
    "log": "torch.log(x + {eps})",
    "div": "x / (y + eps), or y.clamp_min(1e-6) where y is never negative",
    "pairwise_distance": "F.pairwise_distance(a, b, eps=1e-6), whose eps is not 0",
    "atan2": "add 1e-12 to the second argument where both are 0",
    "svd": "work with U @ V.T, or add distinct small numbers to the diagonal",
    "eigh": "add distinct small numbers to the diagonal",
}
ALIKE = {
    "std_mean": "std",
    "linalg_norm": "norm",
    "vector_norm": "norm",
    "linalg_vector_norm": "norm",
    "linalg_svd": "svd",
    "linalg_eigh": "eigh",
    "weight_norm_interface": "weight_norm",
    "_weight_norm": "weight_norm",
    "cdist": "pairwise_distance",
}
SELECTIONS = frozenset(
    {
        "where",
        "masked_fill",
        "index",
        "index_select",
        "index_put",
        "index_copy",
        "index_fill",
        "getitem",
        "gather",
        "scatter",
        "take",
        "masked_select",
        "masked_scatter",
        "select",
        "slice",
        "narrow",
        "maximum",
        "minimum",
        "max",
        "min",
        "amax",
        "amin",
        "fmax",
        "fmin",
        "topk",
        "sort",
        "kthvalue",
        "median",
        "nanmedian",
        "nan_to_num",
        "nansum",
        "nanmean",
        "cat",
        "stack",
        "copy",
        "setitem",
    }
)
"""Functions that choose among values, or put others in their place: what they did not choose was not used."""
BOUNDS = {
    **dict.fromkeys(
        ("exp", "exp2", "expm1", "cosh", "sinh"), "clamp the exponent, x.clamp(max=20), before {} and not after"
    ),
    **dict.fromkeys(
        ("div", "reciprocal"), "keep the divisor away from 0 before the division: y.clamp_min(1e-6), or y + eps"
    ),
    **dict.fromkeys(("log", "log2", "log10", "rsqrt"), "clamp the argument, x.clamp_min(1e-6), before {} and not after"),
}
EPS, HALF_EPS = "1e-12", "1e-6"
"""So small that the value does not change; 1e-12 is 0 in float16."""

OWN_DIVIDEND = frozenset(
    {"norm", "pairwise_distance", "cosine_similarity", "normalize", "weight_norm", "hypot", "xlogy", "svd", "eigh"}
)
"""Functions in whose gradient the dividend is not the gradient that arrives."""


def unused_value(case: Case) -> Explanation | None:
    """The forward value was NaN or Inf already, but nobody used it; its gradient of 0 times that is NaN.

    Where the loss is finite, and the gradient that arrives too, a bad operand can only be such a value.
    """
    value = _bad_forward_value(case) if case.in_backward else None
    if value is None:
        return None
    after = case.event.finite_again
    if after is not None and after not in SELECTIONS and value != "NaN":  # no arithmetic makes a number of NaN
        return _absorbed(case, value, after)
    cause = (
        f"{case.function} had given {value} in the forward pass, which was not used (torch.where, a mask or a selection "
        f"took another value); a gradient of 0 arrives there, and 0 × {value} is NaN"
    )
    return Explanation("unselected-branch", cause, (SAFE_BEFORE_WHERE, SELECT_FIRST))


def _absorbed(case: Case, value: str, after: str) -> Explanation:
    """An Inf that was used, by a function that has a limit there."""
    how = "divided by 0" if case.function in {"div", "reciprocal"} else f"overflowed to {value}"
    if case.function in LOGARITHMS or case.function == "rsqrt":
        how = f"given {value}, as at 0,"
    gave = f"{case.function} had {how} in the forward pass"
    cause = (
        f"{gave}, and {after} made it finite again, but not its gradient: the backward of {case.function} meets the {value}"
    )
    arrives = any(given == 0 for given in case.operands)
    bound = BOUNDS.get(case.function, "bound the argument of {}, before it and not after").format(case.function)
    return Explanation("absorbed-infinity", f"{cause}{f', and 0 × {value} is NaN' if arrives else ''}", (bound,))


def exponent_of_negative(case: Case) -> Explanation | None:
    """The slope of x ** y in y is a multiple of log(x), whatever the power itself is."""
    at = case.operands[0] if case.operands else None
    if not case.in_backward or case.function != "pow" or case.kernel != "log" or at is None or not at < 0:
        return None
    cause = f"the slope of x ** y in y is a multiple of log(x), and x is {number(at)}"
    fix = "learn the exponent of a positive base alone (x.abs().clamp_min(eps)), or detach it: x ** y.detach()"
    return Explanation("outside-domain", cause, (fix,))


def infinite_slope(case: Case) -> Explanation | None:
    """A point where the function rises vertically, such as sqrt at 0."""
    name = ALIKE.get(case.function, case.function)
    if not case.in_backward or not _is_singular(case) or _is_the_users(case) or name not in {*STEEP, "pow"}:
        return None
    slope = _power_slope(case) if name == "pow" else STEEP[name].format(name)
    keep_off = _keep_off(case, name)
    if _dividend_is_gradient(case, name) and _zero_gradient(case):
        cause = (
            f"{slope}, and the gradient that arrives is 0 (masked out, multiplied by 0 or not chosen by torch.where): "
            "0 × Inf is NaN"
        )
        chosen = "where" in (case.event.code or "")
        advice = (SAFE_BEFORE_WHERE, *keep_off) if chosen else (*keep_off, SAFE_BEFORE_WHERE)
        return Explanation("unselected-branch", cause, advice)
    return Explanation("infinite-slope", slope, keep_off)


def repaired_row(case: Case) -> Explanation | None:
    """A softmax whose NaN was replaced after the fact: its gradient is NaN all the same."""
    if (
        not case.in_backward
        or case.function not in {"softmax", "log_softmax"}
        or not any(given.nan for given in case.inputs)
    ):
        return None
    cause = (
        f"{case.function} had given NaN in the forward pass, as for a row that is masked everywhere, and "
        "replacing it afterwards "
        "(torch.nan_to_num, torch.where) does not help its gradient: 0 × NaN is NaN"
    )
    return Explanation("fully-masked-row", cause, (KEEP_ONE, FINITE_MASK))


def bad_factor(case: Case) -> Explanation | None:
    """A fused backward kernel or matrix product that meets a bad value of the forward pass; the loss did not."""
    bad = next((given for given in case.inputs if bad_values(given)), None)
    if not case.in_backward or case.operands or bad is None:
        return None
    what = listed([*["NaN"] * bool(bad.nan), *["Inf"] * bool(bad.positive_inf or bad.negative_inf)])
    cause = (
        f"the gradient of {case.function} meets {counted(bad_values(bad), 'value')} of {what} that the forward "
        "pass left and the "
        f"loss did not use: a gradient of 0 times {what.rpartition(', ')[2]} is NaN"
    )
    look = f"find what made it in the forward pass and keep it from there: what {case.function} was given, and what fed it"
    return Explanation("unselected-branch", cause, (look, SAFE_BEFORE_WHERE))


def _bad_forward_value(case: Case) -> str | None:
    bad = next((value for value in case.operands if not math.isfinite(value)), None)
    if bad is not None:
        return number(bad)
    if case.kernel == "pow" and case.pair is not None:
        base, exponent = case.pair
        return "NaN" if base < 0 and exponent != math.floor(exponent) else None
    domain = DOMAINS.get(case.kernel) if case.function in DOMAINS else None
    at = case.operands[0] if case.operands else None
    return "NaN" if domain is not None and at is not None and not domain.low <= at <= domain.high else None


def _is_singular(case: Case) -> bool:
    sides = divided(case)
    if sides is not None:
        return sides[1] == 0
    if case.kernel == "pow" and case.pair is not None:
        return case.pair[0] == 0 and case.pair[1] < 0
    domain = DOMAINS.get(case.kernel)
    return domain is not None and bool(case.operands) and case.operands[0] in domain.poles


def _is_the_users(case: Case) -> bool:
    """Nodes of torch are numbered; the backward of a torch.autograd.Function is the user's own code."""
    return (case.event.op or "").endswith("Backward")


def _keep_off(case: Case, name: str) -> tuple[str, ...]:
    half = any(given.dtype == "float16" for given in case.event.inputs)
    fix = EXAMPLES.get("sqrt" if name == "rsqrt" else name, "x + eps, or x.clamp_min(eps)")
    keep_off = f"keep away from that point: {fix.format(eps=HALF_EPS if half else EPS)}"
    if name in LOGARITHMS and case.kernel == "div":
        return around_clamp(case, name, case.maker(-1), keep_off)
    return (keep_off,)


def _power_slope(case: Case) -> str:
    if case.kernel == "log":
        return "x ** y has an infinite slope in y where x is 0"
    if case.pair is None:
        return "a power below 1 has an infinite slope at 0"
    return f"x ** {number(case.pair[1] + 1)} has an infinite slope at x = 0"


def _dividend_is_gradient(case: Case, name: str) -> bool:
    return name not in OWN_DIVIDEND and "norm" not in case.function


def _zero_gradient(case: Case) -> bool:
    sides = divided(case) if case.kernel in {"div", "addcdiv"} else None
    return sides is not None and sides[0] == 0
