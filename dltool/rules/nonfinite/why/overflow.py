"""Finite numbers whose result is larger than its type can hold; told only where the recorded magnitudes can reach so far."""

from __future__ import annotations

import math
from collections.abc import Callable

from dltool.core.measurements import TensorFacts
from dltool.rules.nonfinite.why.case import Case, magnitude, numel
from dltool.rules.nonfinite.why.cures import DROP_ROWS, SCALE_DATA, WIDER, calmer
from dltool.rules.nonfinite.why.dtypes import RANGES, Range
from dltool.rules.nonfinite.why.explanation import Explanation
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
    gradient = f"in the gradient of {case.function} " if case.in_backward else ""
    cause = f"{gradient}{reach[1]} overflows {limit.name}, which ends at {number(limit.largest)}{_odd(case)}"
    return Explanation("overflow", cause, _advice(case, limit), too_large=True)


def overflow_within(case: Case) -> Explanation | None:
    """Squares of a normalisation that overflow on the way, so that its result is NaN or 0."""
    if case.kernel not in SQUARING or not case.inputs or not case.from_finite:
        return None
    within = case.range if case.range is not None and not case.range.is_half else RANGES["float32"]
    reach, said = _squares(case)
    if not reach > SLACK * within.largest:
        return None
    cause = f"{said} overflows {within.name}, which ends at {number(within.largest)}{_odd(case)}"
    return Explanation("overflow", cause, _general_advice(case), too_large=True)


def finite_to_bad(case: Case) -> Explanation | None:
    """The least that can be said of an operator that made NaN or Inf of finite values."""
    if not case.from_finite or case.event.output is None:
        return None
    kind = "NaN" if case.event.output.nan else "Inf"
    cause = f"{case.function} made {kind} out of finite values, the largest {number(case.largest)}"
    return Explanation(
        "finite-to-non-finite", cause, ("look at its arguments there: the evidence folder holds the batch and the state",)
    )


SQUARING = frozenset(
    {"layer_norm", "group_norm", "batch_norm", "instance_norm", "rms_norm", "norm", "var", "std", "var_mean", "std_mean"}
)
EXPONENTIALS = frozenset({"exp", "exp2", "expm1", "sinh", "cosh"})


def _argument(case: Case) -> float:
    """The argument at the bad place, else the largest magnitude there was."""
    if case.operands:
        return case.operands[0]
    return case.inputs[0].maximum or 0.0 if case.inputs else 0.0


def _exponential(case: Case) -> Reach:
    at = _argument(case)
    reached = abs(at) if case.kernel in {"sinh", "cosh"} else at
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
    return terms * a * b, f"{case.function}, a sum of {terms} products as large as {number(a)} × {number(b)},"


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


def _advice(case: Case, limit: Range) -> tuple[str, ...]:
    first = (WIDER,) if limit.is_half else ()
    if case.kernel in EXPONENTIALS:
        ends = math.log(limit.largest)
        stable = (
            "subtract the maximum first, or use the form that does: torch.softmax, torch.logsumexp, F.softplus, "
            "F.cross_entropy of logits"
        )
        return (*first, stable, f"clamp the argument: x.clamp_max({math.floor(ends)}); {case.kernel} ends at {number(ends)}")
    if case.kernel in {"div", "reciprocal", "addcdiv"}:
        return (*first, "keep the divisor away from 0: x / (y + eps), or y.clamp_min(1e-6) where y is never negative")
    return (*first, *_general_advice(case))


FILL_VALUES = (9.969209968386869e36, 1e20, 3.4028234663852886e38)
"""Written for a missing number: NC_FILL_FLOAT of netCDF, the CF conventions' 1e20, the largest float32."""

ABSURD = 1e30
"""Before the first update nothing can have grown so far."""


def _odd(case: Case) -> str:
    """Where the magnitude itself tells where it comes from."""
    ends = [abs(end) for given in case.inputs for end in (given.minimum, given.maximum) if end is not None]
    fill = next((fill for fill in FILL_VALUES if any(math.isclose(end, fill, rel_tol=1e-6) for end in ends)), None)
    if fill is not None:
        return f"; {number(fill)} is what files hold for a missing value"
    if case.event.step == 0 and case.largest >= ABSURD:
        return (
            f"; before the first update {number(case.largest)} comes from the data or from memory that was never initialised"
        )
    return ""


def _general_advice(case: Case) -> tuple[str, ...]:
    if _odd(case):
        return DROP_ROWS, "initialise what was made with torch.empty, and check the data for fill values", SCALE_DATA
    return (SCALE_DATA,) if case.event.step == 0 else (SCALE_DATA, *calmer(case))
