"""What Inf turns into: Inf - Inf, 0 × Inf, sin of Inf; and an Inf that was written on purpose but got to the loss."""

from __future__ import annotations

import math

from dltool.core.measured.non_finite import TensorFacts
from dltool.rules.nonfinite.why.case import Case, bad_values, numel
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.words import counted, number

SUMS = frozenset({"sum", "mean", "cumsum", "nansum", "logsumexp"})
PRODUCTS = frozenset({"mm", "addmm", "bmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot", "convolution", "linear"})
WAVES = frozenset({"sin", "cos", "tan", "fmod", "remainder"})
FILLS = frozenset({"full", "full_like", "new_full", "fill", "masked_fill", "scalar_tensor", "index_fill", "constant_pad_nd"})
WRITERS = FILLS | {"where", "pad", "tensor", "zeros_like", "setitem", "masked_fill_", "fill_"}
"""Public names of what writes a value; logdet writes NaN too, but not because it was asked to."""
LOGARITHMIC = frozenset({"log", "log2", "log10", "log_softmax", "logsigmoid", "sub"})
"""A log-probability is also written as logits less their logsumexp."""
UNINITIALISED = frozenset(
    {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", "empty_permuted", "resize"}
)
NAN_MARKER = (
    "leave the marked places out: torch.nanmean or nansum, or a masked mean, "
    "(x * mask).sum() / mask.sum().clamp_min(1) of an x that holds 0 there"
)
SEGMENTS = frozenset({"scatter_reduce", "index_reduce", "segment_reduce", "amax"})
LOOK_UPS = frozenset({"index", "index_select", "gather", "embedding", "embedding_bag", "take", "take_along_dim", "select"})
FIND_INF = "find where the Inf comes from: clamp or rescale it there, or mask it out before it is added or multiplied"


def written_on_purpose(case: Case) -> Explanation | None:
    """A fill or a mask that was not meant to get as far as the loss."""
    fill = case.argument("value", "fill_value", "s")
    if case.kernel not in FILLS or case.function not in WRITERS or fill is None or math.isfinite(fill):
        return None
    cause = f"{number(fill)} was written on purpose by {case.function}, and here it reaches the loss or a gradient"
    if math.isnan(fill):
        return Explanation("deliberate-value", cause, (NAN_MARKER, "or mark what is missing with a mask of its own"))
    kept = (
        "keep masked places out of the loss, and let no mask cover the target's own class (nor label_smoothing "
        "spread over it)"
    )
    return Explanation("deliberate-value", cause, (kept, "mask with a large finite number: torch.finfo(dtype).min"))


def memory_as_it_was(case: Case) -> Explanation | None:
    """torch.empty, used before it was written."""
    if case.kernel not in UNINITIALISED:
        return None
    cause = f"torch.{case.kernel} gives memory as it happens to be, and it was used before it was filled"
    return Explanation("uninitialised", cause, ("take torch.zeros, or fill all of it",))


def scaled_by_zero(case: Case) -> Explanation | None:
    """Clipping by the norm of a gradient that holds an Inf: its norm is Inf, so the factor is 0, and 0 × Inf is NaN."""
    pair = case.pair
    if case.kernel != "mul" or case.event.phase not in {"optimizer", "backward"} or pair is None:
        return None
    tensors = [given for given in case.inputs if numel(given) != 1]
    by_one_factor = len(case.operands) == 1 or len(tensors) < len(case.inputs)
    clips = case.setting("clip_norm") is not None or "clip" in (case.event.op or "")
    if not (_zero_and_inf(*pair) and by_one_factor and (clips or case.event.phase == "optimizer")):
        return None
    cause = (
        "clipping by an infinite norm: the gradient holds an Inf, so its norm is Inf, the factor max_norm / Inf is 0, and "
        "0 × Inf is NaN"
    )
    refuse = "skip such a step: torch.nn.utils.clip_grad_norm_(..., error_if_nonfinite=True), or test the norm it returns"
    return Explanation(
        "clip-by-infinite-norm", cause, (refuse, "clipping cannot mend an Inf: find where the gradient gets it")
    )


def zero_times_inf(case: Case) -> Explanation | None:
    """0 × Inf at one place."""
    pair = case.pair
    if case.kernel == "addcmul" and len(case.operands) == 3:
        pair = (case.operands[1], case.operands[2])
    if case.kernel not in {"mul", "addcmul"} or pair is None or not _zero_and_inf(*pair):
        return None
    infinite = next(value for value in pair if math.isinf(value))
    cause = f"0 × {number(infinite)} is NaN"
    masked = "to mask, select instead of multiplying: x.masked_fill(mask, 0.0) or torch.where(mask, x, 0.0)"
    if infinite < 0 and case.maker(pair.index(infinite) - len(pair)) in LOGARITHMIC:
        entropy = "for p * log(p) at p = 0: torch.special.entr(p), torch.special.xlogy(p, p), log_p.masked_fill(p == 0, 0.0)"
        return Explanation("zero-times-inf", cause, (masked, entropy))
    return Explanation("zero-times-inf", cause, (masked, FIND_INF))


def inf_minus_inf(case: Case) -> Explanation | None:
    """Infinities of opposite sign, at one place or within a sum."""
    pair = case.pair
    if case.kernel in {"add", "sub", "rsub"} and pair is not None and all(map(math.isinf, pair)):
        return Explanation(
            "inf-minus-inf", "Inf - Inf is NaN: both operands had overflowed or were set so", (FIND_INF,), too_large=True
        )
    given = case.inputs[0] if case.inputs else None
    if case.kernel in SUMS and given is not None and not given.nan and given.positive_inf and given.negative_inf:
        cause = f"Inf - Inf is NaN: {case.function} runs over {_both(given)}"
        return Explanation("inf-minus-inf", cause, (FIND_INF,), too_large=True)
    return None


def inf_in_product(case: Case) -> Explanation | None:
    """A matrix product or convolution that was given an Inf."""
    infinite = [given for given in case.inputs if given.positive_inf or given.negative_inf]
    output = case.event.output
    if (
        case.kernel not in PRODUCTS
        or not infinite
        or any(given.nan for given in case.inputs)
        or output is None
        or not output.nan
    ):
        return None
    others = [given for given in case.inputs if given is not infinite[0]]
    cause = f"{case.function} was given {_both(infinite[0])}: "
    cause += "Inf × 0 is NaN" if any(other.zeros for other in others) else "the products of both signs add up to Inf - Inf"
    writer = case.maker(case.event.inputs.index(infinite[0]))
    if writer in WRITERS:
        cause = (
            f"{case.function} was given {_both(infinite[0])} that {writer} had written: in a row nothing is left unmasked"
        )
        kept = (
            "leave every row a place that is not masked, or fill the rest after the maximum: x.masked_fill(x.isinf(), 0.0)"
        )
        return Explanation("deliberate-value", cause, (kept, "mask with a large finite number: torch.finfo(dtype).min"))
    if writer in SEGMENTS and infinite[0].negative_inf and not infinite[0].positive_inf:
        cause = (
            f"{case.function} was given {_both(infinite[0])} that {writer} left as it started: nothing came to that segment"
        )
        fill = (
            "fill empty segments afterwards, x.masked_fill(x.isinf(), 0.0), or start from torch.zeros with "
            "include_self=False instead of torch.full(..., -inf)"
        )
        return Explanation("empty-segment", cause, (fill,))
    return Explanation("inf-in-product", cause, (FIND_INF,), too_large=True)


def wave_of_inf(case: Case) -> Explanation | None:
    """A function that has no limit there."""
    if case.kernel not in WAVES or not case.operands or not math.isinf(case.operands[0]):
        return None
    return Explanation("function-of-inf", f"{case.kernel} of Inf is NaN: it has no limit", (FIND_INF,), too_large=True)


def bad_constant(case: Case) -> Explanation | None:
    """A tensor of nobody's that was bad before: no operator makes Inf of Inf, or NaN of NaN, for the first time."""
    bad = [given for given in case.inputs if bad_values(given)]
    output = case.event.output
    if case.in_backward or not bad or output is None or (output.nan and not any(given.nan for given in bad)):
        return None
    place = case.event.inputs.index(bad[0])
    if case.maker(place) is not None:
        return None
    return _held_before(f"{case.function} was given {_both(bad[0])}", case.name(place))


def looked_up(case: Case) -> Explanation | None:
    """A look-up that found NaN in its table: it computes nothing, and the table was so before the step."""
    table = case.event.inputs[0] if case.event.inputs else None
    if case.kernel not in LOOK_UPS or case.in_backward or case.maker(0) is not None:
        return None
    if table is not None and not bad_values(table):
        return None
    held = f"{case.function} read NaN or Inf" if table is None else f"{case.function} read a table with {_both(table)}"
    return _held_before(held, case.name(0))


def _held_before(said: str, name: str | None) -> Explanation:
    place = "in a tensor that is no parameter, buffer or input of the model" if name is None else f"in {name}"
    made = "look where that tensor was made, before the step: a table, a mask, a weight of the loss"
    watched = () if name is not None and name.endswith("of the loss") else ("register it as a buffer, and it is watched",)
    return Explanation("bad-constant", f"{said}, {place}, where it was before the step", (made, *watched))


def given_inf(case: Case) -> Explanation | None:
    """The least that can be said of an operator that made NaN of Inf."""
    bad = [given for given in case.inputs if bad_values(given)]
    output = case.event.output
    if output is None or not output.nan or not bad or any(given.nan for given in bad):
        return None
    return Explanation(
        "nan-from-inf", f"{case.function} was given {_both(bad[0])} and made NaN of it", (FIND_INF,), too_large=True
    )


def _zero_and_inf(left: float, right: float) -> bool:
    return (left == 0 and math.isinf(right)) or (right == 0 and math.isinf(left))


def _both(given: TensorFacts) -> str:
    parts = [f"{given.nan} NaN"] if given.nan else []
    parts += [f"{given.positive_inf} Inf"] if given.positive_inf else []
    parts += [f"{given.negative_inf} -Inf"] if given.negative_inf else []
    return f"{' and '.join(parts)} among {counted(numel(given), 'value')}"
