"""Values that were bad before any operator of the step ran (data, parameters, buffers, optimizer state), or never again."""

from __future__ import annotations

from dltool.core.measurements import TensorFacts
from dltool.rules.nonfinite.why.case import Case, bad_values, magnitude, numel
from dltool.rules.nonfinite.why.cures import DROP_ROWS
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.words import counted

GARBAGE = 1e10
"""No initialisation and no checkpoint of a living net holds weights as large; memory that nobody wrote holds any number."""

DENORMAL = 1e-30
"""A tensor whose largest value is smaller, and not 0, holds bits that were never meant as numbers."""


def not_repeated(case: Case) -> Explanation | None:
    """A step that came out good when it was run again from the same state."""
    if case.event.source == "compiled":
        cause = "only the compiled step goes bad: the same step from the same state, without the compiler, stays finite"
        eager = "run this model without torch.compile, or compile it in parts to see which of them differs"
        reorder = "compiled kernels fuse and reorder: look for values at the edge of their type, and try mode='default'"
        return Explanation("compiled-only", cause, (eager, reorder))
    if case.event.source != "unrepeatable":
        return None
    cause = "the step stayed finite when it was repeated from the same state, so it hangs on something outside of it"
    look = (
        "look for what the step reads besides its batch, weights and random state: a clock, a file, a global, a random "
        "generator of its own; or for kernels that are not deterministic (torch.use_deterministic_algorithms(True))"
    )
    return Explanation("unrepeatable", cause, (look,))


def delivered(case: Case) -> Explanation | None:
    """A batch that came with NaN or Inf in it."""
    if case.event.phase != "input":
        return None
    held = case.held
    what = case.event.source or "batch"
    if held is None:
        return Explanation("bad-data", f"the {what} was delivered with {_kind(case)} in it", _data_advice(case))
    return Explanation(
        "bad-data", f"the {what} was delivered with {_content(held)}{_how_made(case, held)}", _data_advice(case)
    )


def _how_made(case: Case, held: TensorFacts) -> str:
    rows, row_size = len(case.event.samples or ()), numel(held) // max(held.shape[0], 1) if held.shape else 1
    if rows and row_size > 1 and held.nan == rows * row_size:
        return (
            ": every value of the sample is NaN, as when a constant sample is scaled by its own spread, (x - min) / "
            "(max - min)"
        )
    if not held.nan and held.dtype == "float16":
        return ": float16 ends at 65504, and larger values become Inf when they are converted"
    if not held.nan:
        return ": what a logarithm of 0, a division by 0 or an overflow leaves"
    return ""


def _data_advice(case: Case) -> tuple[str, ...]:
    checks = "check the code that makes the features: a spread of 0, a logarithm of 0, an empty cell that was read as NaN"
    if (case.event.source or "").startswith("target"):
        checks = (
            "check the code that makes the targets, and leave unlabelled samples out of the loss (a mask before the mean)"
        )
    missing = "where NaN marks a missing value, fill it in (torch.nan_to_num) and hand the model a mask"
    return DROP_ROWS, checks, missing


def left_uninitialised(case: Case) -> Explanation | None:
    """A parameter or buffer whose numbers are what the memory happened to hold."""
    held = case.held
    if not _was_bad(case) or held is None or not (case.event.phase in {"parameter", "buffer"} and bad_values(held)):
        return None
    largest = magnitude(held)
    if not (largest >= GARBAGE or 0 < largest <= DENORMAL):
        return None
    cause = (
        f"memory that was never initialised: {_content(held)} beside values as large as {largest:.3g}, which no "
        "initialisation gives"
    )
    return Explanation("uninitialised", cause, (_initialise(case),))


def held_before(case: Case) -> Explanation | None:
    """A parameter or buffer that nothing in this run made bad."""
    if not _was_bad(case) or case.event.phase not in {"parameter", "buffer"}:
        return None
    held = case.held
    if held is None and case.event.phase == "buffer":  # of a live run, whose own step may have written it
        return None
    what = _content(held) if held is not None else _kind(case)
    cause = f"it held {what} before the run touched it: it was loaded so, or never initialised"
    load = (
        f"look into the checkpoint that {case.event.parameter or 'it'} came from "
        "(`model: {pretrained: {weights: ...}}` in a spec): torch.isfinite(tensor).all() for every entry"
    )
    if case.event.phase == "buffer":
        statistic = (case.event.parameter or "").rpartition(".")[2].startswith("running_")
        reset = (
            "reset it (reset_running_stats() of the norm layer) and look for the batch that spoilt it before it was saved"
            if statistic
            else "fill it before it is read, and let nothing read beyond what was written"
        )
        return Explanation("bad-buffer", cause, (reset, load))
    return Explanation("bad-parameter", cause, (load, _initialise(case)))


def bad_state(case: Case) -> Explanation | None:
    """An optimizer state that was bad before its step ran."""
    event = case.event
    if event.phase != "optimizer" or not event.source:
        return None
    key = event.source.rpartition("/")[2]
    held = case.held
    what = _content(held) if held is not None and bad_values(held) else _kind(case)
    loaded = "restored with a checkpoint" if event.step == 0 else "restored with a checkpoint, or written at an earlier step"
    cause = f"the optimizer's {key} held {what} before the step: {loaded}"
    fresh = (
        "start with a fresh optimizer state: load the weights alone, or delete this parameter's entry from optimizer.state"
    )
    return Explanation("bad-optimizer-state", cause, (fresh, "look into the checkpoint's optimizer state for NaN and Inf"))


def _was_bad(case: Case) -> bool:
    return case.event.op is None and case.event.aten is None


def _initialise(case: Case) -> str:
    name = case.event.parameter or "the tensor"
    return (
        f"initialise {name}: torch.zeros or torch.nn.init.* in code where torch.empty was left as it was, "
        "`init:` of the layer in a spec"
    )


def _kind(case: Case) -> str:
    return "NaN" if case.event.value == "nan" else "Inf"


def _content(held: TensorFacts) -> str:
    infinite = held.positive_inf + held.negative_inf
    parts = [f"{held.nan} NaN"] if held.nan else []
    parts += [f"{infinite} Inf"] if infinite else []
    return f"{' and '.join(parts) or 'bad values'} among {counted(numel(held), 'value')}"
