"""DAT118 suspected-label-error."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan import FINDINGS_A_RULE, Sample
from dltool.core.measured.scan_classes import SuspectedLabel, SuspectedLabels
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.data.flawed import members

ADVICE = ("look at the sample with both labels in mind; correct the label if it is wrong",)


class SuspectedLabelError(Rule):
    """A light model that never saw a sample disbelieves its label.

    What it measures: on request (`dltool scan --labels`), a simple classifier is fitted on nine tenths of the samples
    and asked about the rest, in turn. A sample is suspected where the model is surer of another class than it usually is of
    samples that bear that class's label (confident learning); only as many are named as the counts of such samples
    support, the least believed first.

    Why it is bad: wrong labels in training are memorised in the end, and wrong labels in a test set reward the wrong
    model.

    How to fix: look at the samples. Suspicion is a reading list, not a verdict.

    When it is wrong: rare but right samples, and tasks that are hard for a simple model on reduced pictures or raw columns.
    Nothing is named where the model is not clearly better than chance.

    References: Northcutt, Jiang & Chuang 2021, Confident learning: estimating uncertainty in dataset labels, sections 3
    and 4; Northcutt, Athalye & Mueller 2021, Pervasive label errors in test sets.
    """

    id = "DAT118"
    name = "suspected-label-error"
    severity = Severity.WARNING
    needs = (SuspectedLabels,)
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        suspected = measured[SuspectedLabels]
        if suspected.reason_not_told is not None:
            return Skip(suspected.reason_not_told)
        found = [self._one(suspect, suspected) for suspect in suspected.suspects[:FINDINGS_A_RULE]]
        rest = suspected.suspects[FINDINGS_A_RULE:]
        if rest:
            more = self.finding(
                f"{len(rest):,} more labels are disbelieved",
                where=Where(phase="input", key="more suspected labels"),
                evidence={"kind": "more", "samples": members(Sample(path=each.path, row=each.row) for each in rest)},
                advice=ADVICE,
            )
            found.append(more)
        return found

    def _one(self, suspect: SuspectedLabel, among: SuspectedLabels) -> Finding:
        row = "" if suspect.row is None else f", row {suspect.row}"
        return self.finding(
            f"{suspect.path}{row}: labelled {suspect.label} ({suspect.probability:.0%}), and looks like {suspect.suggested} "
            f"({suspect.suggested_probability:.0%})",
            where=Where(
                phase="input",
                samples=None if suspect.row is None else (suspect.row,),
                file=suspect.file,
                key=suspect.path if suspect.row is None else f"{suspect.path}#{suspect.row}",
            ),
            evidence={
                "kind": "label",
                "label": suspect.label,
                "suggested": suspect.suggested,
                "probability": suspect.probability,
                "suggested_probability": suspect.suggested_probability,
                "accuracy_ratio": among.accuracy_ratio,
                "samples": members([Sample(path=suspect.path, row=suspect.row)]),
            },
            advice=ADVICE,
        )
