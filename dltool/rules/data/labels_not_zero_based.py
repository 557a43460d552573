"""DAT110 labels-not-zero-based."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.task import DataFacts
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.data.classes import NO_CLASSES, are_classes, block_in, whole_numbers


class LabelsNotZeroBased(Rule):
    """The labels count from 1.

    What it measures: the smallest and largest label against the number of outputs: 1 to K instead of 0 to K - 1. A scan
    that knows of no model warns of labels that are 1 to K without a gap in a manifest, or in a column whose name says that
    they are classes (label, class, category); in any other column that is information.

    Why it is bad: the last class has no output, and the first output has no class.

    How to fix: subtract 1 from the labels.

    When it is wrong: labels of which class 0 happens to be missing reach K - 1 only, and are not accused. In a scan:
    readers that number the classes themselves.

    References: PyTorch documentation, "CrossEntropyLoss" (class indices in [0, C)).
    """

    id = "DAT110"
    name = "labels-not-zero-based"
    severity = Severity.ERROR
    needs = ()
    explains: ClassVar[tuple[str, ...]] = ("label-out-of-range", "missing-class", "non-finite-loss")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if ClassTable in measured:
            return self._judge_scan(measured[ClassTable])
        if DataFacts not in measured:
            return Skip("not measured: data")
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

    def _judge_scan(self, table: ClassTable) -> Iterable[Finding] | Skip:
        labels = whole_numbers(table)
        if not labels:
            return Skip(NO_CLASSES if table.nearly_all_differ else "the labels are names, not numbers of classes")
        known = table.outputs
        block = block_in(table)
        low, high = block.classes[0], block.classes[-1]
        if low != 1 or high < 2 or (block.gaps if known is None else high != known):
            return ()
        head = "" if table.head is None else f" of {table.head}"
        told = "" if known is None else f" for {known} outputs{head}"
        severity = Severity.ERROR if known is not None else Severity.WARNING if are_classes(table) else Severity.INFO
        return [
            self.finding(
                f"the labels run from 1 to {high}{told}; losses and metrics count classes from 0",
                severity=severity,
                where=Where(phase="input", module=table.head, key="labels" if table.column is None else f"#{table.column}"),
                evidence={"label_min": low, "label_max": high, "outputs": known, "column": table.column},
                limit={"label_min": 0, "label_max": high - 1},
                advice=(
                    "subtract 1 from the labels" + ("" if known else ", if they are classes and no numbers to be regressed"),
                ),
            )
        ]
