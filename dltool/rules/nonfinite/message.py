"""What happened and where, in one line of few words: the message of a finding about NaN or Inf."""

from __future__ import annotations

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.rules.nonfinite.why.words import counted, listed

NOT_REPEATED = frozenset({"compiled", "unrepeatable"})
"""Sources of a step that came out good when it was run again: no tensor's name."""


def headline(event: NonFiniteEvent, *, each: str = "step") -> str:
    """``Inf from SqrtBackward0 in frontend at step 3, sample 5 (1 value)``.

    Args:
        event: what was seen.
        each: what ``event.step`` counts: steps, or batches where every input was passed once.
    """
    kind = "NaN" if event.value == "nan" else "Inf"
    at = f"{'before' if _was_there(event) else 'at'} {each} {event.step}"
    return f"{kind}{_subject(event)} {at}{_samples(event)} ({counted(event.count, 'value')})"


def _was_there(event: NonFiniteEvent) -> bool:
    """Bad when the step began, and nothing that it wrote."""
    return event.op is None and event.phase in {"parameter", "buffer"} and event.source not in NOT_REPEATED


def _subject(event: NonFiniteEvent) -> str:
    by = f" from {event.op}" if event.op else ""
    if event.phase == "input":
        return f" in the {event.source or 'batch'} as delivered"
    if event.phase in {"optimizer", "buffer"} and event.parameter:
        key = event.source if event.phase == "optimizer" and event.source not in NOT_REPEATED else None
        state = f"{key} of " if key else ""
        return f" written to {event.parameter}{by.replace(' from ', ' by ')}" if by else f" in {state}{event.parameter}"
    if event.phase == "parameter":
        return f" in {event.parameter}"
    place = f" in {event.module}" if event.module else f" in loss term {event.term}" if event.term else ""
    if event.phase == "backward" and event.parameter:
        return f"{by}{place}, in the gradient of {event.parameter}," if by else f" in the gradient of {event.parameter}"
    return by + place


def _samples(event: NonFiniteEvent) -> str:
    if not event.samples:
        return ""
    return f", {'sample' if len(event.samples) == 1 else 'samples'} {listed(event.samples)}"
