"""A step that was caught: innocent or not, and if not, where it went bad, why that is sure, and by which samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.diagnostics.hunt.event import event_of
from dltool.diagnostics.hunt.proof import find_cause
from dltool.diagnostics.hunt.samples import responsible
from dltool.diagnostics.hunt.traced import trace
from dltool.training.patrol import Caught, Patrol


@dataclass(frozen=True, slots=True)
class Guilty:
    """The first step that went bad for a reason that matters."""

    caught: Caught
    event: NonFiniteEvent


def first_guilty(patrol: Patrol) -> Guilty | None:
    """Go on until a step is found guilty, and stand at its start; None when the run ended without one.

    Raises:
        UserError: the user's code raised, and not because of a value that is not finite.
    """
    while (caught := patrol.next()) is not None:
        event = _examine(caught)
        if event is not None:
            return Guilty(caught, event)
        patrol.accept(caught.symptoms)
    return None


def _examine(caught: Caught) -> NonFiniteEvent | None:
    """None for an innocent step: only caches, markers and fills are bad."""
    traced = trace(caught)
    if traced.innocent:
        return None
    cause = find_cause(caught, traced)
    error = caught.taken.error
    if error is not None and (cause is None or not cause.healed):
        raise error
    culprits = None if cause is None else responsible(caught, cause)
    event = event_of(caught, traced, cause, None if culprits is None else culprits.samples)
    if culprits is None or culprits.batch is None:
        return event
    return replace(event, settings={**event.settings, "accumulated_batch": culprits.batch})
