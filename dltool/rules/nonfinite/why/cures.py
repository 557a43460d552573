"""Advice that several mechanisms share: the key of a spec, and the PyTorch code in words."""

from __future__ import annotations

import math

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.words import number

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
    """A tenth of the rate, with its number where it is known."""
    lr = case.setting("lr")
    known = lr is not None and math.isfinite(lr) and lr > 0
    rate = number((lr or 0.0) / 10) if known else "a tenth of it"
    return f"lower the learning rate to {rate}: `{in_spec(case, 'lr', rate if known else '...')}` in a spec, lr= in code"


def larger_eps(case: Case, value: float) -> str:
    """A larger eps of the optimizer."""
    name = case.event.settings.get("optimizer", "the optimizer")
    return f"give {name} an eps of {number(value)}: `{in_spec(case, 'eps', number(value))}` in a spec, eps= in code"


def in_spec(case: Case, key: str, value: str) -> str:
    """``optimizer: {adam: {eps: 1e-4}}``."""
    name = str(case.event.settings.get("optimizer", "")).lower()
    return f"optimizer: {{{name if name in SPEC_OPTIMIZERS else '<name>'}: {{{key}: {value}}}}}"
