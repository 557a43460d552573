"""The base of the rules that report where a non-finite value was first seen, one rule to each phase."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from dltool.core.finding import Finding, Phase, Severity, Where
from dltool.core.measured.hunt import BadInputs, FixTrial, FixTrials, LeadUp
from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.nonfinite.message import headline
from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.explanation import Explanation
from dltool.rules.nonfinite.why.registry import explain

ALL = (
    "non-finite-input",
    "non-finite-parameter",
    "non-finite-buffer",
    "non-finite-forward",
    "non-finite-loss",
    "non-finite-backward",
    "non-finite-update",
)


class FirstEvent(Rule):
    """One finding for the earliest event of ``phase``; later ones of the same phase are its echo and are only counted."""

    phase: ClassVar[Phase]
    advice: ClassVar[tuple[str, ...]]
    """What to try when the recorded numbers bear out no single explanation."""

    severity = Severity.ERROR
    needs = (NonFinite,)

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        """At most one finding."""
        events = [event for event in measured[NonFinite].events if event.phase == self.phase]
        return [self._finding(events[0], len(events), measured)] if events else ()

    def _finding(self, event: NonFiniteEvent, count: int, measured: Measurements) -> Finding:
        trials = measured[FixTrials].trials if FixTrials in measured else ()
        found = explain(Case(event, measured.get(LeadUp), trials))
        return self.finding(
            headline(event, each="batch" if BadInputs in measured else "step"),
            where=Where(
                phase=event.phase,
                op=event.op,
                module=event.module,
                parameter=event.parameter,
                step=event.step,
                samples=event.samples,
                file=event.file,
                line=event.line,
            ),
            cause=None if found is None else found.cause,
            evidence=_evidence(event, count, found),
            limit={"non_finite_values": 0},
            advice=(*_healed(trials), *((found.advice if found is not None else ()) or self.advice)),
        )


def _evidence(event: NonFiniteEvent, count: int, found: Explanation | None) -> dict[str, object]:
    evidence: dict[str, object] = {"value": event.value, "count": event.count, "term": event.term, "events": count}
    traced: dict[str, object] = {
        "mechanism": None if found is None else found.mechanism,
        "forward_op": event.forward_op,
        "operands": list(event.operands) or None,
        "source": event.source,
        "proof": event.proof,
    }
    return evidence | {name: value for name, value in traced.items() if value is not None}


def _healed(trials: Sequence[FixTrial]) -> Iterable[str]:
    """The cures that ``--fix-check`` found to work come before all that was not tried."""
    for trial in trials:
        if trial.healed:
            yield f"{trial.fix}: tried, and all {trial.steps} steps stayed finite"
