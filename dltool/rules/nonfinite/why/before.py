"""Values that were bad before any operator of the step ran (data, parameters, buffers, optimizer state), or never again."""

from __future__ import annotations

from dltool.core.measured.non_finite import TensorFacts
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
        return Explanation("bad-data", f"the {what} was delivered with {_kind(case)} in it", _data_advice(case, None))
    return Explanation(
        "bad-data", f"the {what} was delivered with {_content(held)}{_how_made(case, held)}", _data_advice(case, held)
    )


def _how_made(case: Case, held: TensorFacts) -> str:
    if _is_target(case):
        return ": a target that is missing, or was computed as 0 / 0" if held.nan else _what_leaves_inf(held)
    rows, row_size = len(case.event.samples or ()), numel(held) // max(held.shape[0], 1) if held.shape else 1
    if rows and row_size > 1 and held.nan == rows * row_size:
        return (
            ": every value of the sample is NaN, as when a constant sample is scaled by its own spread, (x - min) / "
            "(max - min)"
        )
    if not held.nan and held.dtype == "float16":
        return ": float16 ends at 65504, and larger values become Inf when they are converted"
    return "" if held.nan else _what_leaves_inf(held)


def _what_leaves_inf(held: TensorFacts) -> str:
    if not held.positive_inf:
        return ": what a logarithm of 0 leaves"
    if not held.negative_inf:
        return ": what a division by 0 or an overflow leaves"
    return ": what a logarithm of 0, a division by 0 or an overflow leaves"


def _is_target(case: Case) -> bool:
    return (case.event.source or "").startswith("target")


def _data_advice(case: Case, held: TensorFacts | None) -> tuple[str, ...]:
    made = f"check the code that makes the {'targets' if _is_target(case) else 'features'}"
    if held is not None and not held.nan:
        logarithm = "torch.log1p(x) or torch.log(x + eps) where a logarithm may meet 0"
        divisor = "an eps in the divisor, a wider type or a bound where a value may outgrow it"
        parts = [*[logarithm] * bool(held.negative_inf), *[divisor] * bool(held.positive_inf)]
        return DROP_ROWS, f"{made}: {'; '.join(parts)}"
    if _is_target(case):
        select = (
            "where NaN marks a missing target, select before the loss: known = ~y.isnan(); loss(output[known], y[known])"
        )
        return select, DROP_ROWS, f"{made}: a cell that did not parse, 0 / 0"
    checks = f"{made}: a spread of 0, a logarithm of a negative number, an empty cell that was read as NaN"
    return DROP_ROWS, checks, "where NaN marks a missing value, fill it in (torch.nan_to_num) and hand the model a mask"


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
    computed = held is not None and not held.nan and bool(bad_values(held))
    how = "its initialisation computed it" if computed else "never initialised"
    cause = f"it held {what} before the run touched it: it was loaded so, or {how}"
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
    if computed:
        clamp = (
            f"look at what sets {case.event.parameter or 'it'}: a log of 0, a logit of 0 or 1, an exp that overflows: "
            "clamp its argument, x.clamp(1e-6, 1 - 1e-6)"
        )
        return Explanation("bad-parameter", cause, (clamp, load))
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
    parts = [f"{held.nan} NaN"] if held.nan else []
    parts += [f"{held.positive_inf} Inf"] if held.positive_inf else []
    parts += [f"{held.negative_inf} -Inf"] if held.negative_inf else []
    return f"{' and '.join(parts) or 'bad values'} among {counted(numel(held), 'value')}"
