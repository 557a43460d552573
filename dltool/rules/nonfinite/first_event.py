"""The base of the rules that report where a non-finite value was first seen, one rule to each phase."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Phase, Severity, Where
from dltool.core.measurements import Measurements, NonFinite, NonFiniteEvent
from dltool.rules.base import Rule

ALL = (
    "non-finite-input",
    "non-finite-parameter",
    "non-finite-buffer",
    "non-finite-forward",
    "non-finite-loss",
    "non-finite-backward",
    "non-finite-update",
)

CAUSES = {
    "sqrt": "sqrt of a negative number is NaN",
    "log": "log is -inf at 0 and NaN below",
    "div": "a division by 0, or 0 / 0",
    "exp": "exp overflows float32 above 88.7",
    "softmax": "a row that is masked everywhere, or inputs that are not finite",
    "log_softmax": "a row that is masked everywhere, or inputs that are not finite",
    "pow": "a negative base with a fractional exponent, or an overflow",
    "SqrtBackward0": "sqrt at 0 has an infinite slope",
    "LogBackward0": "log at 0 has an infinite slope",
    "DivBackward0": "a division by 0, or by a number whose square underflows",
    "PowBackward0": "a power below 1 has an infinite slope at 0",
    "LinalgVectorNormBackward0": "a norm has no slope at 0",
    "NormBackward0": "a norm has no slope at 0",
    "WhereBackward0": "the branch that where did not choose is non-finite, and 0 times it is NaN",
    "AcosBackward0": "acos has an infinite slope at 1 and -1",
}


class FirstEvent(Rule):
    """One finding for the earliest event of ``phase``; later ones of the same phase are its echo and are only counted."""

    phase: ClassVar[Phase]
    advice: ClassVar[tuple[str, ...]]
    severity = Severity.ERROR
    needs = (NonFinite,)

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        """At most one finding."""
        events = [event for event in measured[NonFinite].events if event.phase == self.phase]
        return [self._finding(events[0], len(events))] if events else ()

    def _finding(self, event: NonFiniteEvent, count: int) -> Finding:
        place = event.parameter or event.module or (f"loss term {event.term}" if event.term else None)
        at = f" in {place}" if place else ""
        op = f", from {event.op}" if event.op else ""
        return self.finding(
            f"{'NaN' if event.value == 'nan' else 'Inf'} at step {event.step}{at}{op} ({event.count} values)",
            where=Where(
                phase=event.phase,
                op=event.op,
                module=event.module,
                parameter=event.parameter,
                step=event.step,
                samples=event.samples,
            ),
            cause=CAUSES.get(event.op or ""),
            evidence={"value": event.value, "count": event.count, "term": event.term, "events": count},
            limit={"non_finite_values": 0},
            advice=self.advice,
        )
