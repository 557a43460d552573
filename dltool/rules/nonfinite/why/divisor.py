"""What a divisor of 0 was: a spread of equal values, a count of nothing, a norm of zeros; by the operator that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dltool.core.measured.non_finite import TensorFacts
from dltool.rules.nonfinite.why.case import Case, numel
from dltool.rules.nonfinite.why.cures import DROP_ROWS
from dltool.rules.nonfinite.why.dtypes import range_of
from dltool.rules.nonfinite.why.nothing import NOTHING, SPREADS

EPS = "keep the divisor away from 0: x / (y + eps), or y.clamp_min(1e-6) where y is never negative"
CONSTANT = "leave out what does not vary: a constant sample or feature, a column of one value"
SPREAD_EPS = "add an eps to the spread: (x - x.mean(dim)) / torch.sqrt(x.var(dim) + 1e-5), or std.clamp_min(1e-6)"
RANGE_EPS = "clamp the difference in the divisor, (high - low).clamp_min(1e-6), or add an eps to it"
ROOT_EPS = "add an eps inside the root, x / torch.sqrt(v + 1e-5): at 0 the root has no slope either"
STEP_EPS = "add an eps after the root, as Adam does: gradient / (v.sqrt() + 1e-8)"
NORM_EPS = "take F.normalize(x, dim=-1, eps=1e-6) instead of x / x.norm(), or x.norm().clamp_min(1e-6)"
COUNT_FLOOR = "divide by a count of at least 1: mask.sum().clamp_min(1), or max(n, 1) for a plain number"
SOFTMAX = "normalise in the exponent: torch.softmax(x, dim) instead of exp(x) / exp(x).sum()"
START_AT_ONE = "where it counts, start it at 1, or count before the division: (count + 1), count.clamp_min(1)"
POSITIVE = "keep it above 0: F.softplus(x) + 1e-6"


@dataclass(frozen=True, slots=True)
class Divisor:
    """``said`` follows the cause; ``cures`` come first in the advice."""

    said: str
    cures: tuple[str, ...]


def described(case: Case) -> Divisor:
    """The divisor in words, by the operator that made it where that is known."""
    if _is_plain(case):
        said = ": the divisor is a plain number of the program (a count, a schedule, 1 - p), and it has reached 0"
        return Divisor(said, ("let that number end above 0: max(n, 1), max(t, 1e-6)",))
    given = case.event.inputs[-1] if case.event.inputs else None
    if given is not None and range_of(given.dtype) is None:
        if len(case.operands) == 2 and case.operands[0] != 0:
            return Divisor(": the divisor is a whole number, such as a count, that is 0", (COUNT_FLOOR,))
        return Divisor(": the divisor is a count, and nothing was counted", (NOTHING, COUNT_FLOOR))
    if not case.event.makers or case.in_backward:  # in backward an operator goes by the name of the forward one
        return _by_shape(case)
    maker = case.maker(-1)
    if maker is None:
        return _there_before(case)
    if _is_spectral_norm(case):
        said = ": spectral_norm divides a weight by its largest singular value, and a weight of zeros has none but 0"
        return Divisor(said, ("start no layer under spectral_norm at 0: nn.init.orthogonal_ or kaiming_uniform_",))
    return next((describe(case) for names, describe in KINDS.items() if maker in names), _other(case))


def _there_before(case: Case) -> Divisor:
    """What nothing in this step made, by its name."""
    name = case.name(-1)
    if name is None and case.event.names:
        said = ": the divisor, made of plain numbers or kept outside of model and loss, is 0 (a count, n - 1 for n = 1)"
        return Divisor(said, (COUNT_FLOOR, EPS))
    if name is None:
        return Divisor(": the divisor was 0 before the step: it came with the batch, or is a weight or a constant", (EPS,))
    kind, _, _ = name.partition(" ")
    if kind in {"input", "target"}:
        return Divisor(f": the divisor is 0 in the {kind} as delivered", (EPS, DROP_ROWS))
    said = f": the divisor is {name if name.startswith('the ') else f'the {name}'}, which was 0 when the step began"
    if kind == "parameter":
        return Divisor(said, ("start it away from 0 and keep it there: F.softplus(raw) + 1e-6, or raw.exp()", EPS))
    scalar = not case.event.inputs[-1].shape
    return Divisor(said, (START_AT_ONE, EPS) if scalar else (EPS,))


def _is_spectral_norm(case: Case) -> bool:
    weight = case.name(0) or ""
    by_name = ".parametrizations." in weight or weight.endswith("_orig")
    return by_name and case.maker(-1) in {"dot", "matmul"} and _dividend_is_zero(case)


def _mean(case: Case) -> Divisor:
    if case.kernel != "reciprocal" and _dividend_is_zero(case):
        return _sum(case)
    if case.event.inputs[-1].maximum != 0 and not case.in_backward:
        return _sum(case)
    said = ": the divisor is a mean of values that are all 0, as the error of two that are identical"
    return Divisor(said, ("leave identical pairs out, or bound the mean from below: mse.clamp_min(1e-10)",))


def _spread(case: Case) -> Divisor:
    return Divisor(
        f": the divisor is a spread ({case.maker(-1)}) of 0: the values it was taken over are all equal",
        (SPREAD_EPS, CONSTANT),
    )


def _difference(case: Case) -> Divisor:
    if case.maker(0) == "sub" and _dividend_is_zero(case):
        said = ": the divisor is a difference of two equal values, such as max - min where all values are equal"
        return Divisor(said, (RANGE_EPS, CONSTANT))
    said = (
        ": the divisor is a difference of two equal values (max - min of equal values, n - 1 for n = 1, total - step at the "
        "end, 1 - beta ** 0)"
    )
    return Divisor(said, (EPS,))


def _root(case: Case) -> Divisor:
    if case.event.phase == "optimizer":
        return Divisor(": the divisor is a root of 0: a second moment, or its correction, is 0", (STEP_EPS,))
    if case.maker(0) == "sub":
        said = ": the divisor is the root of a spread or distance of 0: the values are all equal"
        return Divisor(said, (ROOT_EPS, CONSTANT))
    return Divisor(": the divisor is a root of 0: a length of zeros, or a standard deviation of equal values", (ROOT_EPS,))


def _norm(case: Case) -> Divisor:
    of_gradient = case.event.phase in {"optimizer", "backward"}
    return Divisor(": the divisor is a norm, and every component is 0", (EPS,) if of_gradient else (NORM_EPS,))


def _sum(case: Case) -> Divisor:
    if case.maker(0) == "exp" and _dividend_is_zero(case):
        return Divisor(": the exponentials have all underflowed to 0, and so has their sum", (SOFTMAX, EPS))
    given = case.event.inputs[-1]
    if _counts(given):
        return Divisor(": the divisor counts (the sum of a mask or a one-hot), and this count is 0", (NOTHING, COUNT_FLOOR))
    if given.maximum == 0 and case.maker(-1) not in PRODUCTS:
        cures = (NOTHING, EPS) if case.maker(0) in SUMS else (EPS, NOTHING)
        return Divisor(": the divisor is a sum that came out 0: nothing was selected, or all its terms are 0", cures)
    return Divisor(": the divisor is a sum (of squares, weights or terms that underflowed) that came out 0", (EPS,))


def _product(case: Case) -> Divisor:
    return Divisor(
        f": the divisor is a {'power' if case.maker(-1) == 'pow' else 'product'} that is 0, or so small that it underflowed",
        (EPS,),
    )


def _magnitude(case: Case) -> Divisor:
    del case
    return Divisor(": the divisor is a magnitude (abs), and what it was taken of is 0", (EPS,))


def _exact_zeros(case: Case) -> Divisor:
    return Divisor(f": the divisor comes from {case.maker(-1)}, which gives exact zeros", (POSITIVE, EPS))


def _underflowed(case: Case) -> Divisor:
    return Divisor(
        f": the divisor comes from {case.maker(-1)}, which underflowed to 0", (EPS, "divide by subtracting logarithms")
    )


def _other(case: Case) -> Divisor:
    return Divisor(f": the divisor, made by {case.maker(-1)}, is 0", (EPS,))


PRODUCTS = frozenset({"matmul", "linear"})
SUMS = frozenset(
    {"sum", "nansum", "matmul", "linear", "cumsum", "scatter_add", "scatter_reduce", "index_add", "bincount", "add"}
)
KINDS: Mapping[frozenset[str], Callable[[Case], Divisor]] = {
    SPREADS: _spread,
    frozenset({"sub"}): _difference,
    frozenset({"sqrt"}): _root,
    frozenset({"norm", "vector_norm", "matrix_norm"}): _norm,
    frozenset({"mean", "mse_loss", "l1_loss"}): _mean,
    SUMS: _sum,
    frozenset({"mul", "prod", "pow", "square"}): _product,
    frozenset({"abs"}): _magnitude,
    frozenset({"relu", "threshold", "hardsigmoid", "hardtanh", "round", "floor"}): _exact_zeros,
    frozenset({"exp", "softplus", "softmax", "sigmoid", "erfc"}): _underflowed,
}
"""Operators that make divisors, and what a 0 of theirs means; a new one is a row here."""


def _is_plain(case: Case) -> bool:
    return case.argument("other") is not None and len(case.event.inputs) == 1


def _counts(given: TensorFacts) -> bool:
    """Whole numbers only, and not only zeros."""
    ends = (given.minimum, given.maximum)
    return all(end is not None and end == int(end) for end in ends) and (given.maximum or 0.0) >= 1


def _dividend_is_zero(case: Case) -> bool:
    return len(case.operands) == 2 and case.operands[0] == 0


def _by_shape(case: Case) -> Divisor:
    """Where nobody recorded what made it: one number for all, or one for each row."""
    given, dividend = (case.event.inputs[-1], case.event.inputs[0]) if len(case.event.inputs) > 1 else (None, None)
    if given is None or dividend is None or case.in_backward or case.kernel == "addcdiv":
        return Divisor("", (EPS,))
    first = (NOTHING, EPS) if _dividend_is_zero(case) else (EPS, NOTHING)
    if given.shape == ():
        said = ": the divisor is one number for all (a sum, a count of a mask, a norm, a spread) that came out 0"
        return Divisor(said, first)
    if numel(given) < numel(dividend):
        return Divisor(
            ": each divisor serves a whole row (a sum, a count of a mask, a norm, a spread), and this one is 0", first
        )
    return Divisor("", (EPS,))
