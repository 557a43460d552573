"""DAT110 labels-not-zero-based."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import DataFacts, Measurements
from dltool.rules.base import Rule, Skip


class LabelsNotZeroBased(Rule):
    """The labels count from 1.

    What it measures: the smallest and largest label against the number of outputs: 1 to K instead of 0 to K - 1.

    Why it is bad: the last class has no output, and the first output has no class.

    How to fix: subtract 1 from the labels.

    When it is wrong: labels of which class 0 happens to be missing reach K - 1 only, and are not accused.

    References: PyTorch documentation, "CrossEntropyLoss" (class indices in [0, C)).
    """

    id = "DAT110"
    name = "labels-not-zero-based"
    severity = Severity.ERROR
    needs = (DataFacts,)
    explains: ClassVar[tuple[str, ...]] = ("label-out-of-range", "missing-class", "non-finite-loss")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        facts = measured[DataFacts]
        if facts.label_min is None or facts.label_max is None or facts.outputs is None:
            return Skip("the targets are not class labels, or the number of outputs is not known")
        if facts.label_min != 1 or facts.label_max != facts.outputs:
            return ()
        return [
            self.finding(
                f"the labels run from 1 to {facts.label_max} for {facts.outputs} outputs; they must count from 0",
                where=Where(phase="input"),
                evidence={"label_min": facts.label_min, "label_max": facts.label_max, "outputs": facts.outputs},
                limit={"label_min": 0, "label_max": facts.outputs - 1},
                advice=("subtract 1 from the labels",),
            )
        ]
