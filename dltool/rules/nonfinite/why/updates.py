"""Updates that wrote NaN or Inf: rates that are none, an eps of 0, squares that overflow, decay that runs away."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from dltool.rules.nonfinite.why.case import Case, as_number
from dltool.rules.nonfinite.why.cures import LESS_DECAY, SCALE_DATA, calmer, clipping, in_spec, larger_eps
from dltool.rules.nonfinite.why.division import divided
from dltool.rules.nonfinite.why.dtypes import RANGES, range_of, rounds_to_zero
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.growth import runaway, settings_behind
from dltool.rules.nonfinite.why.words import listed, number

NOT_THE_USERS = frozenset({"gradient", "before", "state", "optimizer", "precision", "parameter_dtype"})
HALF_EPS, ZERO_EPS = 1e-4, 1e-8
"""optax issue 1754 and PyTorch issue 40497: 1e-4 to 1e-5 survives float16; 1e-8 is Adam's own default."""

NEAR_THE_END = 0.1
"""One more step of decay takes a weight at a tenth of the range over its end or next to it."""


def bad_setting(case: Case) -> Explanation | None:
    """A learning rate (or momentum, decay, ...) that is itself NaN or Inf."""
    if case.event.phase != "optimizer":
        return None
    found = next(((name, value) for name, value in _settings(case) if not math.isfinite(value)), None)
    if found is None:
        return None
    name, value = found
    what = "the learning rate" if name == "lr" else f"the optimizer's {name}"
    cause = f"{what} is {number(value)} at this step, and so is every weight it touches"
    check = (
        "check what sets it: a schedule that divides by a number of steps that is 0, a warmup of 0 steps, a rate "
        "taken from the loss"
    )
    return Explanation("bad-setting", cause, (check, f"set it: `{in_spec(case, name, '...')}` in a spec, {name}= in code"))


def eps_of_zero(case: Case) -> Explanation | None:
    """Nothing is left in the divisor when the second moment is 0 and eps is 0, or becomes 0 in half precision."""
    eps = case.setting("eps")
    if case.event.phase != "optimizer" or eps is None or not _divides_by_zero(case):
        return None
    dtypes = [given.dtype for given in case.event.inputs] or [str(case.event.settings.get("parameter_dtype"))]
    half = next((dtype for dtype in dtypes if rounds_to_zero(eps, dtype)), None)
    if eps == 0:
        cause = "eps is 0, and so is the second moment of a gradient that was 0: the update divides by 0"
        return Explanation("eps-of-zero", cause, (larger_eps(case, ZERO_EPS),))
    if half is None:
        return None
    cause = (
        f"eps {number(eps)} is 0 in {half}, whose smallest number is {number(RANGES[half].smallest)}, and so is "
        "the square of a "
        "small gradient: the update divides by 0"
    )
    keep = "keep weights and optimizer state in float32 and compute in half precision under torch.autocast"
    return Explanation("eps-of-zero", cause, (larger_eps(case, HALF_EPS), keep))


def bias_correction(case: Case) -> Explanation | None:
    """A decay of 1 never forgets, and its bias correction 1 - beta ** t is 0."""
    betas = case.event.settings.get("betas")
    numbers = [as_number(beta) for beta in betas] if isinstance(betas, list | tuple) else []
    if case.event.phase != "optimizer" or not _divides_by_zero(case):
        return None
    if not any(beta is not None and beta >= 1 for beta in numbers):
        return None
    cause = f"a beta of 1 makes the bias correction 1 - beta ** t 0, and the update divides by it (betas {listed(numbers)})"
    return Explanation(
        "bias-correction-of-zero", cause, (f"keep betas below 1: `{in_spec(case, 'betas', '[0.9, 0.999]')}` in a spec",)
    )


def negative_moment(case: Case) -> Explanation | None:
    """The square root of a second moment below 0."""
    at = case.operands[0] if case.operands else None
    if case.event.phase != "optimizer" or case.kernel not in {"sqrt", "rsqrt"} or at is None or not at < 0:
        return None
    if case.event.settings.get("centered"):
        cause = (
            f"the centred second moment is {number(at)}: the mean of squares minus the square of the mean, below 0 by "
            "rounding"
        )
        fixes = (f"set centered to false: `{in_spec(case, 'centered', 'false')}` in a spec", larger_eps(case, HALF_EPS))
        return Explanation("negative-second-moment", cause, fixes)
    cause = (
        f"the second moment is {number(at)}, and a mean of squares cannot be negative: the state was restored or "
        "written wrongly"
    )
    return Explanation("negative-second-moment", cause, ("start with a fresh optimizer state, or restore the right one",))


def decay_runaway(case: Case) -> Explanation | None:
    """Weight decay so strong that each step turns a weight around and makes it larger."""
    lr, decay, said = case.setting("lr"), case.setting("weight_decay"), runaway(case)
    before, limit = case.largest_of("before"), case.range or range_of(str(case.event.settings.get("parameter_dtype")))
    if case.event.phase != "optimizer" or said is None or lr is None or decay is None or before is None or limit is None:
        return None
    if not before * max(lr * decay, decay) > NEAR_THE_END * limit.largest:
        return None
    lower = LESS_DECAY.format(in_spec(case, "weight_decay", "0.01"))
    return Explanation("decay-runaway", f"{said}; it stood at {number(before)}", (lower,))


def momentum_runaway(case: Case) -> Explanation | None:
    """A momentum above 1 whose buffer leaves the range although the gradients did not grow."""
    momentum, limit = case.setting("momentum"), case.range or range_of(str(case.event.settings.get("parameter_dtype")))
    held = [case.fact("state", end, within="momentum_buffer") for end in ("minimum", "maximum")]
    largest = max((abs(end) for end in held if end is not None), default=0.0)
    found = settings_behind(case)
    if case.event.phase != "optimizer" or found is None or found.mechanism != "momentum-runaway" or limit is None:
        return None
    if momentum is None or not largest * momentum > NEAR_THE_END * limit.largest:
        return None
    return replace(found, cause=f"{found.cause}; it stood at {number(largest)}")


def squared_gradient(case: Case) -> Explanation | None:
    """A finite gradient whose square, kept by adaptive optimizers, is not."""
    values, limit = case.operands, case.range
    if (
        case.event.phase != "optimizer"
        or case.kernel != "addcmul"
        or len(values) != 3
        or limit is None
        or not case.from_finite
    ):
        return None
    gradient = max(abs(values[1]), abs(values[2]))
    if not gradient * gradient > 0.99 * limit.largest:
        return None
    cause = (
        f"the square of a gradient of {number(gradient)} overflows {limit.name} ({number(limit.largest)}) in the "
        "optimizer's second moment, which stays Inf: the weight stands still from then on"
    )
    wider = ("keep optimizer state in float32: float32 weights under torch.autocast",) if limit.is_half else ()
    return Explanation("overflow", cause, (*wider, *clipping(case), SCALE_DATA), too_large=True)


def too_long_a_step(case: Case) -> Explanation | None:
    """A finite gradient times the rate takes the weight over the end of its type."""
    lr, gradient = case.setting("lr"), case.largest_of("gradient")
    if case.event.phase != "optimizer" or case.kernel not in {"add", "sub", "addcdiv", "fused_sgd", ""} or lr is None:
        return None
    limit = case.range or range_of(str(case.event.settings.get("parameter_dtype")))
    if limit is None or gradient is None or not case.gave_inf or not lr * gradient > 0.99 * limit.largest:
        return None
    cause = f"the step is too long: a rate of {number(lr)} times a gradient of {number(gradient)} overflows {limit.name}"
    return Explanation("overflow", cause, calmer(case), too_large=True)


def bad_gradient(case: Case) -> Explanation | None:
    """The gradient was bad when the optimizer used it."""
    nan, inf = case.fact("gradient", "nan") or 0.0, case.fact("gradient", "inf") or 0.0
    if case.event.phase != "optimizer" or not (nan or inf):
        return None
    what = " and ".join(f"{int(count)} {kind}" for count, kind in ((nan, "NaN"), (inf, "Inf")) if count)
    guard = (
        "skip steps whose gradient is not finite: clip_grad_norm_(..., error_if_nonfinite=True), or a GradScaler's step()"
    )
    return Explanation("bad-gradient", f"the gradient that the step used held {what}", (guard,))


def _settings(case: Case) -> Iterator[tuple[str, float]]:
    for name, value in case.event.settings.items():
        items = value if isinstance(value, list | tuple) else [value]
        for item in items if name not in NOT_THE_USERS else ():
            given = as_number(item)
            if given is not None:
                yield name, given


def _divides_by_zero(case: Case) -> bool:
    """The kernel's divisor was 0; of a fused one it is known that gradient and second moment hold zeros."""
    sides = divided(case)
    if sides is not None:
        return sides[1] == 0
    if case.operands or case.kernel not in {"", "adam", "adamw", "adagrad"}:
        return False
    moments = [case.fact("state", "minimum", within=key) for key in ("exp_avg_sq", "square_avg", "sum")]
    gradient = (case.fact("gradient", "minimum"), case.fact("gradient", "maximum"))
    spans_zero = gradient[0] is not None and gradient[1] is not None and gradient[0] <= 0 <= gradient[1]
    return spans_zero and all(moment == 0 for moment in moments if moment is not None)
