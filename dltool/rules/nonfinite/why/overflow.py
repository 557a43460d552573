"""Finite numbers whose result is larger than its type can hold; told only where the recorded magnitudes can reach so far."""

from __future__ import annotations

import math
from collections.abc import Callable

from dltool.core.measured.non_finite import TensorFacts
from dltool.rules.nonfinite.why.case import Case, magnitude, numel
from dltool.rules.nonfinite.why.cures import WIDER
from dltool.rules.nonfinite.why.dtypes import RANGES, Range
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.rows import FINITE_MASK
from dltool.rules.nonfinite.why.too_large import BESSEL, EXPONENTIALS, SQUARING, argument, cures, general_cures, odd
from dltool.rules.nonfinite.why.words import number

Reach = tuple[float, str]
"""How large the result may be at most, and the computation in words."""

SLACK = 0.99
"""Recorded numbers are rounded to the type they had."""


def overflow(case: Case) -> Explanation | None:
    """An operator that turned finite values into Inf because the result did not fit."""
    limit = case.range
    if limit is None or not case.gave_inf or not case.from_finite:
        return None
    reach = REACHES.get(case.kernel, _unknown)(case)
    if reach is None or not reach[0] > SLACK * limit.largest:
        return None
    constant = _too_large_a_constant(case, limit)
    if constant is not None:
        return constant
    gradient = f"in the gradient of {case.function}, " if case.in_backward else ""
    cause = f"{gradient}{reach[1]} overflows {limit.name}, which ends at {number(limit.largest)}{odd(case)}"
    return Explanation("overflow", cause, cures(case, limit), too_large=True)


def _too_large_a_constant(case: Case, limit: Range) -> Explanation | None:
    """A number written in the code that the type cannot hold, such as a mask of -1e9 in float16."""
    plain = case.argument("other", "self", "value", "scalar")
    converted = _is_mask(case) and case.kernel in {"to_copy", "copy"}
    if plain is None and not converted:
        return None
    constant = case.inputs[0].minimum if plain is None else plain
    if constant is None or not abs(constant) > limit.largest:
        return None
    cause = f"the constant {number(constant)} does not fit into {limit.name}, which ends at {number(limit.largest)}"
    if constant < 0 and limit.is_half:
        return Explanation("overflow", cause, (FINITE_MASK, WIDER))
    smaller = "take a smaller constant, or compute this in a wider type"
    return Explanation("overflow", cause, (smaller, WIDER) if limit.is_half else (smaller,))


def _is_mask(case: Case) -> bool:
    """Zeros and one large negative number."""
    given = case.inputs[0] if len(case.inputs) == 1 else None
    return given is not None and given.maximum == 0 and given.zeros > 0


def overflow_within(case: Case) -> Explanation | None:
    """Squares of a normalisation that overflow on the way, so that its result is NaN or 0."""
    if case.kernel not in SQUARING or not case.inputs or not case.from_finite:
        return None
    within = case.range if case.range is not None and not case.range.is_half else RANGES["float32"]
    reach, said = _squares(case)
    if not reach > SLACK * within.largest:
        return None
    cause = f"{said} overflows {within.name}, which ends at {number(within.largest)}{odd(case)}"
    return Explanation("overflow", cause, general_cures(case), too_large=True)


def finite_to_bad(case: Case) -> Explanation | None:
    """The least that can be said of an operator that made NaN or Inf of finite values."""
    if not case.from_finite or case.event.output is None:
        return None
    kind = "NaN" if case.event.output.nan else "Inf"
    cause = f"{case.function} made {kind} out of finite values, the largest {number(case.largest)}"
    return Explanation(
        "finite-to-non-finite", cause, ("look at its arguments there: the evidence folder holds the batch and the state",)
    )


def _exponential(case: Case) -> Reach:
    at = argument(case)
    reached = abs(at) if case.kernel in {"sinh", "cosh", *BESSEL} else at
    return _raised(2.0 if case.kernel == "exp2" else math.e, reached), f"{case.kernel} of {number(at)}"


def _power(case: Case) -> Reach | None:
    if case.pair is None:
        return None
    base, exponent = case.pair
    return _raised(abs(base), exponent), f"{number(base)} ** {number(exponent)}"


def _raised(base: float, exponent: float) -> float:
    try:
        return float(base**exponent)
    except (OverflowError, ZeroDivisionError):
        return math.inf


def _product(case: Case) -> Reach | None:
    if case.pair is None:
        return None
    left, right = case.pair
    return abs(left * right), f"{number(left)} × {number(right)}"


def _quotient(case: Case) -> Reach | None:
    left, right = (1.0, case.operands[0]) if case.kernel == "reciprocal" and case.operands else case.pair or (0.0, 0.0)
    return (abs(left / right), f"{number(left)} / {number(right)}") if right else None


def _sum(case: Case) -> Reach | None:
    if case.pair is None:
        return None
    left, right = case.pair
    factor = case.argument("alpha")
    factor = 1.0 if factor is None else factor
    scaled = number(right) if factor == 1 else f"{number(factor)} × {number(right)}"
    return abs(left) + abs(factor * right), f"{number(left)} {'+' if case.kernel == 'add' else '-'} {scaled}"


def _three(case: Case) -> Reach | None:
    if len(case.operands) != 3:
        return None
    start, first, second = case.operands
    factor = case.argument("value", "scalars", "scalar")
    factor = 1.0 if factor is None else factor
    if case.kernel == "addcdiv":
        return (abs(start) + abs(factor * first / second), f"{number(first)} / {number(second)}") if second else None
    return abs(start) + max(1.0, abs(factor)) * abs(first * second), f"{number(first)} × {number(second)}"


def _lerp(case: Case) -> Reach | None:
    weight = case.argument("weight", "scalar", "scalars") if len(case.operands) == 2 else None
    weight = case.operands[2] if len(case.operands) == 3 else weight
    if weight is None:
        return None
    start, end = case.operands[:2]
    return abs(start) + abs(weight) * (
        abs(start) + abs(end)
    ), f"{number(start)} + {number(weight)} × ({number(end)} - {number(start)})"


def _conversion(case: Case) -> Reach:
    at = case.operands[0] if case.operands else case.largest
    return abs(at), f"converting {number(at)}"


def _added_up(case: Case) -> Reach | None:
    if not case.inputs:
        return None
    given = case.inputs[0]
    return numel(given) * magnitude(
        given
    ), f"{case.function} over {numel(given)} values as large as {number(magnitude(given))}"


def _multiplied_up(case: Case) -> Reach | None:
    if not case.inputs:
        return None
    given = case.inputs[0]
    reach = _raised(magnitude(given), float(numel(given)))
    return reach, f"{case.function} over {numel(given)} values as large as {number(magnitude(given))}"


def _matrix_product(case: Case) -> Reach | None:
    factors: tuple[TensorFacts, ...] = case.inputs[-2:]
    if len(factors) < 2:
        return None
    left, right = factors
    terms = left.shape[-1] if left.shape else 1
    return _terms(case, terms, left, right)


def _convolution(case: Case) -> Reach | None:
    if len(case.inputs) < 2:
        return None
    given, kernel = case.inputs[:2]
    return _terms(case, math.prod(kernel.shape[1:]), given, kernel)


def _terms(case: Case, terms: int, left: TensorFacts, right: TensorFacts) -> Reach:
    a, b = magnitude(left), magnitude(right)
    products = f"a sum of {terms} products as large as {number(a)} × {number(b)}"
    return terms * a * b, products if case.in_backward else f"{case.function}, {products},"


def _squared_error(case: Case) -> Reach | None:
    if len(case.inputs) < 2:
        return None
    output, target = case.inputs[:2]
    error = magnitude(output) + magnitude(target)
    return error * error * max(1, numel(output)), f"{case.function} of errors as large as {number(error)}"


def _squares(case: Case) -> Reach:
    largest = magnitude(case.inputs[0]) if case.inputs else 0.0
    return largest**2, f"the square of values as large as {number(largest)} in {case.function}"


def _unknown(case: Case) -> Reach | None:
    """For an operator that is not known: only a value that already stands at the edge of the type tells anything."""
    near = case.range is not None and case.largest**2 > case.range.largest
    return (math.inf, f"{case.function} of values as large as {number(case.largest)}") if near else None


REACHES: dict[str, Callable[[Case], Reach | None]] = {
    **dict.fromkeys(EXPONENTIALS, _exponential),
    **dict.fromkeys(BESSEL, _exponential),
    "pow": _power,
    **dict.fromkeys(SQUARING, _squares),
    "mul": _product,
    "div": _quotient,
    "reciprocal": _quotient,
    **dict.fromkeys(("add", "sub", "rsub"), _sum),
    **dict.fromkeys(("addcmul", "addcdiv"), _three),
    "lerp": _lerp,
    **dict.fromkeys(("to_copy", "copy"), _conversion),
    **dict.fromkeys(("sum", "mean", "cumsum", "nansum"), _added_up),
    **dict.fromkeys(("prod", "cumprod"), _multiplied_up),
    **dict.fromkeys(("mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot"), _matrix_product),
    **dict.fromkeys(("convolution", "conv", "thnn_conv2d", "slow_conv2d", "mkldnn_convolution"), _convolution),
    **dict.fromkeys(("mse_loss", "huber_loss", "smooth_l1_loss"), _squared_error),
}
"""Kernel to the largest result that its inputs can give; a new one is a row here."""
