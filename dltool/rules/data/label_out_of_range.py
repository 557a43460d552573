"""DAT109 label-out-of-range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import DataFacts, Measurements
from dltool.rules.base import Rule


class LabelOutOfRange(Rule):
    """A label names a class that the model has no output for.

    What it measures: integer labels of every split against the number of outputs, 0 to K - 1.

    Why it is bad: cross-entropy indexes its scores by the label: on the CPU it stops with an IndexError, on a GPU
    with an assertion that says nothing of labels.

    How to fix: give the last layer as many units as there are classes, or renumber the labels from 0.

    When it is wrong: labels that the loss ignores (`ignore_index`) are not counted.

    References: PyTorch documentation, "CrossEntropyLoss"; PyTorch issues 18014 and 1204.
    """

    id = "DAT109"
    name = "label-out-of-range"
    severity = Severity.ERROR
    needs = (DataFacts,)
    explains: ClassVar[tuple[str, ...]] = ("non-finite-loss", "diverged", "no-better-than-trivial")

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        facts = measured[DataFacts]
        if not facts.out_of_range:
            return ()
        total = sum(group.count for group in facts.out_of_range)
        last = "" if facts.outputs is None else f" of 0 to {facts.outputs - 1}"
        return [
            self.finding(
                f"{total} labels lie outside the range{last}: they run from {facts.label_min} to {facts.label_max}",
                where=Where(phase="input", samples=facts.out_of_range[0].rows),
                evidence={
                    "label_min": facts.label_min,
                    "label_max": facts.label_max,
                    "outputs": facts.outputs,
                    "rows": facts.out_of_range,
                },
                limit={"outputs": facts.outputs},
                advice=("give the last layer one unit for each class, or renumber the labels from 0",),
            )
        ]
