"""DAT109 label-out-of-range."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.task import DataFacts
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.data.classes import NO_CLASSES, block_in, labelled, whole_numbers
from dltool.rules.data.flawed import EXAMPLES, members


class LabelOutOfRange(Rule):
    """A label names a class that the model has no output for.

    What it measures: integer labels of every split against the number of outputs, 0 to K - 1. A scan that knows of no
    model takes the labels' own word for it: a single negative number under classes from 0 or 1, a single one far
    beyond them, or fewer than five samples three numbers or more away from all classes (7 beside 0 to 2), is a warning.

    Why it is bad: cross-entropy indexes its scores by the label: on the CPU it stops with an IndexError, on a GPU
    with an assertion that says nothing of labels.

    How to fix: give the last layer as many units as there are classes, or renumber the labels from 0.

    When it is wrong: labels that the loss ignores (`ignore_index`) are not counted in training; a scan knows of -100
    alone, and 255 or -1 may be ignored on purpose.

    References: PyTorch documentation, "CrossEntropyLoss"; PyTorch issues 18014 and 1204.
    """

    id = "DAT109"
    name = "label-out-of-range"
    severity = Severity.ERROR
    needs = ()
    explains: ClassVar[tuple[str, ...]] = ("non-finite-loss", "diverged", "no-better-than-trivial")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if ClassTable in measured:
            return self._judge_scan(measured[ClassTable])
        if DataFacts not in measured:
            return Skip("not measured: data")
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

    def _judge_scan(self, table: ClassTable) -> Iterable[Finding] | Skip:
        labels = whole_numbers(table)
        if not labels:
            return Skip(NO_CLASSES if table.nearly_all_differ else "the labels are names, not numbers of classes")
        if table.outputs is not None:
            odd = tuple(label for label in labels if not 0 <= label < table.outputs)
            who = "the model" if table.head is None else f"the model's head ({table.head})"
            told, severity = f"of 0 to {table.outputs - 1} that {who} has outputs for", Severity.ERROR
        else:
            block = block_in(table)
            odd = (*block.below, *block.beyond)
            told, severity = f"of the others, {block.classes[0]} to {block.classes[-1]}", Severity.WARNING
        return [
            self.finding(
                f"{each.samples:,} samples have the label {each.label}, outside the range {told}",
                severity=severity,
                where=Where(
                    phase="input",
                    module=table.head,
                    samples=tuple(sample.row for sample in each.examples[:EXAMPLES] if sample.row is not None) or None,
                    key=f"label {each.label}",
                ),
                evidence={
                    "label": int(float(each.label)),
                    "count": each.samples,
                    "column": table.column,
                    "outputs": table.outputs,
                    "samples": members(each.examples),
                },
                limit={"outputs": table.outputs},
                advice=(
                    "renumber these labels, leave the samples out, or have the loss ignore them (ignore_index)",
                    "give the last layer one unit for each class",
                ),
            )
            for each in labelled(table, odd)
        ]
