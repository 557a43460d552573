"""One verdict on how a run fits: what its curves say, judged against their own noise.

The questions are asked in the order in which an answer makes the later ones pointless: a run that blew up has no gap to
speak of, a net that never beat the trivial baseline does not overfit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from dltool.core.measurements import Measurements, Section
from dltool.rules.fit_status import convergence, generalisation, learning, stability
from dltool.rules.fit_status.case import Answer, Case, FitStatus
from dltool.rules.fit_status.curves import Curves, read_curves
from dltool.rules.fit_status.limits import DEFAULTS

QUESTIONS: tuple[Callable[[Case], Answer | None], ...] = (
    stability.diverged,
    learning.ignores_input,
    stability.oscillating,
    learning.no_better_than_trivial,
    generalisation.validation_rose,
    convergence.not_converged,
    generalisation.gap_is_wide,
    convergence.moving,
    convergence.stuck,
    learning.not_better_on_validation,
)


@dataclass(frozen=True, kw_only=True)
class FitVerdict(Section):
    """The verdict with its reason, evidence and advice; derived from the other sections, so that rules share one.

    ``explained_ratio`` is the share of the trivial baseline's loss that training removed; without a baseline, of the loss
    at the start, which a net that knows nothing has (None where that was not seen either).
    """

    key: ClassVar[str] = "fit"
    status: FitStatus
    reason: str
    evidence: Mapping[str, object] = field(default_factory=dict)
    advice: tuple[str, ...] = ()
    explained_ratio: float | None = None


def verdict(measured: Measurements, limits: Mapping[str, float] | None = None) -> FitVerdict:
    """Judge the fit of a run that has a ``History``; every other section sharpens the answer where it is there.

    ``limits`` override defaults by ``<rule>.<threshold>``. Costs some ten milliseconds (the bootstrap) and is deterministic.

    Raises:
        KeyError: without a ``History``.
    """
    curves = read_curves(measured)
    answer = stability.ended_non_finite(measured) or _answer(measured, curves, DEFAULTS | dict(limits or {}))
    return FitVerdict(
        status=answer.status,
        reason=answer.reason,
        evidence=answer.evidence,
        advice=answer.advice,
        explained_ratio=None if curves is None else curves.removed_ratio,
    )


def _answer(measured: Measurements, curves: Curves | None, limits: Mapping[str, float]) -> Answer:
    if curves is None:
        return Answer(status="inconclusive", reason="no epoch was finished", advice=("let the run finish an epoch",))
    case = Case(measured=measured, curves=curves, limits=limits)
    for question in QUESTIONS:
        if (answer := question(case)) is not None:
            return answer
    return _good_or_unknown(case)


def _good_or_unknown(case: Case) -> Answer:
    curves, least = case.curves, case.limits["inconclusive.epochs"]
    evidence = {
        "train_loss": curves.train_loss,
        "val_loss": curves.val.values[-1] if curves.val is not None else None,
        "baseline_loss": curves.baseline,
        "explained_ratio": curves.explained_ratio,
        "jitter": curves.trend.jitter,
    }
    measured = max(len(curves.train), 0 if curves.val is None else len(curves.val))
    if measured < least:
        return Answer(
            status="inconclusive",
            reason=f"too few measured epochs ({measured}) to judge a curve by",
            evidence=evidence,
            advice=(f"run at least {least:.0f} epochs",),
        )
    if curves.baseline is None:
        return Answer(
            status="inconclusive",
            reason="without a trivial baseline there is nothing to hold the loss against",
            evidence=evidence,
            advice=("use one of torch's own losses, for which the best constant output is known",),
        )
    where = "training and validation" if curves.val is not None else "training"
    return Answer(status="good-fit", reason=f"{where} loss came to rest below the trivial baseline", evidence=evidence)
