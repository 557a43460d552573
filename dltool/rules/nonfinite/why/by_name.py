"""What an operator is known for, where its numbers were not recorded (a live run, a custom autograd function)."""

from __future__ import annotations

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.cures import SAFE_BEFORE_WHERE
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.slopes import ALIKE, EPS, EXAMPLES, STEEP

KNOWN_FOR = {
    "sqrt": "sqrt of a negative number is NaN",
    "rsqrt": "rsqrt is Inf at 0 and NaN below",
    "log": "log is -inf at 0 and NaN below",
    "log2": "log is -inf at 0 and NaN below",
    "log10": "log is -inf at 0 and NaN below",
    "log1p": "log1p is -inf at -1 and NaN below",
    "div": "a division by 0, or 0 / 0",
    "truediv": "a division by 0, or 0 / 0",
    "reciprocal": "a division by 0",
    "exp": "exp overflows float32 above 88.7",
    "softmax": "a row that is masked everywhere, or inputs that are not finite",
    "log_softmax": "a row that is masked everywhere, or inputs that are not finite",
    "pow": "a negative base with a fractional exponent, or an overflow",
    "acos": "acos is NaN outside of -1 to 1",
    "asin": "asin is NaN outside of -1 to 1",
    "std": "the spread of a single value is NaN",
    "var": "the variance of a single value is NaN",
    "mean": "the mean of no elements is NaN",
}
KNOWN_SLOPES = {
    **STEEP,
    "div": "a division by 0, or by a number whose square underflows",
    "pow": "a power below 1 has an infinite slope at 0",
    "where": "the branch that where did not choose is non-finite, and 0 times it is NaN",
}


def known_for(case: Case) -> Explanation | None:
    """The usual fault of the operator, by its name."""
    if case.event.aten is not None or case.event.op is None:
        return None
    name = ALIKE.get(case.function, case.function)
    backward = case.in_backward or "Backward" in case.event.op
    said = (KNOWN_SLOPES if backward else KNOWN_FOR).get(name)
    if said is None:
        return None
    advice = (*((EXAMPLES[name].format(eps=EPS),) if name in EXAMPLES else ()), SAFE_BEFORE_WHERE) if backward else ()
    return Explanation("by-name", said.format(name), advice)
