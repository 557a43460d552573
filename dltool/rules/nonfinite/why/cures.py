"""Advice that several mechanisms share: the key of a spec, and the PyTorch code in words."""

from __future__ import annotations

import math

from dltool.core.measured.hunt import STEADY_STEPS
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.words import number

SLOWER = 0.1
"""The rate that is advised where nothing tells more, of the one that diverged."""
WITHIN = 0.5
"""Half of the bound takes a parabola to its minimum in one step; and the curvature differs from batch to batch."""
SPEC_OPTIMIZERS = frozenset({"sgd", "adagrad", "adadelta", "rmsprop", "adam", "adamw", "nadam", "lbfgs"})

CLIP = (
    "clip the gradient norm: `train: {clip_norm: 1.0}` in a spec, "
    "torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0) before optimizer.step() in code"
)
SCALE_DATA = "scale inputs and targets: `data: {normalize: standard, normalize_target: standard}` in a spec"
WIDER = (
    "compute this in float32 (`train: {precision: fp32}` in a spec; .float() under torch.autocast(..., enabled=False) in "
    "code), or in bfloat16, which reaches as far as float32 (`train: {precision: bf16}`)"
)
SAFE_BEFORE_WHERE = (
    "make the argument safe before torch.where, not its result after it: "
    "x_safe = torch.where(mask, x, 1.0), then torch.where(mask, f(x_safe), 0.0)"
)
DROP_ROWS = (
    "drop or repair the samples named here: list them in a file and set `data: {exclude: bad.jsonl}` in a spec, or filter "
    "them in the Dataset in code"
)

LESS_DECAY = "lower the decay until lr × weight_decay is far below 1: `{}` in a spec, weight_decay= in code"


def clipping(case: Case) -> tuple[str, ...]:
    """Clipping, where the run does not clip already."""
    clipped = case.setting("clip_norm")
    return (CLIP,) if clipped is None or clipped > 1 else ()


def calmer(case: Case) -> tuple[str, ...]:
    """Shorter steps: a lower rate, and clipping where the run does not clip already."""
    slower = () if case.setting("lr") == 0 else (lower_rate(case),)
    return *slower, *clipping(case)


def lower_rate(case: Case) -> str:
    """A tenth of the rate, or what the growth of plain SGD bounds it to, or what ``--fix-check`` saw heal."""
    lr = case.setting("lr")
    if lr is None or not math.isfinite(lr) or lr <= 0:
        return f"lower the learning rate to a tenth of it: `{in_spec(case, 'lr', '...')}` in a spec, lr= in code"
    tried = {trial.rate_ratio: trial.healed for trial in case.trials if trial.rate_ratio is not None}
    healed = max((ratio for ratio, well in tried.items() if well), default=None)
    bound = _stable_below(case)
    if healed is not None:
        rate, why = number(lr * healed), ""
    else:
        most = min([SLOWER, *(ratio * SLOWER for ratio in tried)])
        rate = number(_rounded_down(min(lr * most, math.inf if bound is None else WITHIN * bound)))
        why = f" (by that growth {bound:.2g} is the edge of stability)" if bound is not None and bound < lr else ""
    return f"lower the learning rate to {rate}{why}: `{in_spec(case, 'lr', rate)}` in a spec, lr= in code"


def _stable_below(case: Case) -> float | None:
    """The rate up to which SGD does not diverge where it now grows by ``g`` a step; None where that cannot be told.

    Along an eigenvector of curvature h, heavy-ball SGD with momentum m multiplies by a root z of z² - (1 + m - lr h) z + m.
    For z = -g that is lr h = (1 + g)(g + m) / g, and it is stable while lr h is below 2 (1 + m) (Polyak 1964).
    """
    lead, lr, momentum = case.lead_up, case.setting("lr"), case.setting("momentum") or 0.0
    settings = case.event.settings
    plain = settings.get("optimizer") == "SGD" and not settings.get("nesterov") and not case.setting("dampening")
    if lead is None or lr is None or not plain or case.setting("clip_norm") is not None or not 0 <= momentum < 1:
        return None
    growth = lead.growth_ratio
    steady = lead.diverging and lead.growing_steps >= STEADY_STEPS  # one leap may be a batch's
    if not steady or lead.growing != "gradients" or not 1 < growth < math.inf:
        return None
    return 2 * (1 + momentum) * lr * growth / ((1 + growth) * (growth + momentum))


def _rounded_down(value: float) -> float:
    """To one significant digit; a value that has one, but for the last bits, stays."""
    unit = 10.0 ** math.floor(math.log10(value) + 1e-9)
    return math.floor(value / unit + 1e-9) * unit


def larger_eps(case: Case, value: float) -> str:
    """A larger eps of the optimizer."""
    name = case.event.settings.get("optimizer", "the optimizer")
    return f"give {name} an eps of {number(value)}: `{in_spec(case, 'eps', number(value))}` in a spec, eps= in code"


def in_spec(case: Case, key: str, value: str) -> str:
    """``optimizer: {adam: {eps: 1e-4}}``."""
    name = str(case.event.settings.get("optimizer", "")).lower()
    return f"optimizer: {{{name if name in SPEC_OPTIMIZERS else '<name>'}: {{{key}: {value}}}}}"
