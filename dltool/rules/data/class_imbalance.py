"""DAT112 class-imbalance."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.task import Task
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.data.classes import NO_CLASSES, train_split, training_counts
from dltool.rules.learnt import lowered

ADVICE = ("weigh the classes in the loss (cross_entropy: {weight: [...]})", "sample the rare classes more often")


class ClassImbalance(Rule):
    """One class has many times the samples of another.

    What it measures: the largest over the smallest number of training samples among the classes that occur. A scan also
    tells what naming the largest class every time would score.

    Why it is bad: the loss is dominated by the frequent classes, and accuracy flatters a net that names nothing else.

    How to fix: weigh the classes in the loss, sample the rare ones more often, and look at the loss or at recall per
    class.

    When it is wrong: classes that are rare in the world too, and where that is what should be learnt. If the run
    learnt well the finding is lowered to information.

    References: Japkowicz & Stephen 2002, The class imbalance problem; SageMaker Debugger, ClassImbalance (10).
    """

    id = "DAT112"
    name = "class-imbalance"
    severity = Severity.WARNING
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="ratio",
            default=10.0,
            unit="samples of the largest class over those of the smallest that occurs",
            source="SageMaker Debugger, ClassImbalance: threshold_imbalance 10",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("no-better-than-trivial", "ignores-input")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if ClassTable in measured:
            return self._judge_scan(measured[ClassTable])
        if Task not in measured:
            return Skip("not measured: task")
        counts = [count for count in measured[Task].class_counts or () if count > 0]
        if len(counts) < 2:
            return Skip("the training samples were not counted by class, or belong to one class")
        ratio = max(counts) / min(counts)
        if ratio < self.limits["ratio"]:
            return ()
        return [
            self.finding(
                f"the largest class has {ratio:.0f} times the samples of the smallest ({max(counts)} to {min(counts)})",
                severity=lowered(self.severity, measured),
                where=Where(phase="input"),
                evidence={"ratio": ratio, "largest": max(counts), "smallest": min(counts)},
                limit=dict(self.limits),
                advice=ADVICE,
            )
        ]

    def _judge_scan(self, table: ClassTable) -> Iterable[Finding] | Skip:
        counts = sorted((count, label) for label, count in training_counts(table) if count > 0)
        if len(counts) < 2:
            return Skip(NO_CLASSES if table.nearly_all_differ else "the samples belong to one class")
        (least, rarest), (most, largest) = counts[0], counts[-1]
        ratio, majority = most / least, most / sum(count for count, _ in counts)
        if ratio < self.limits["ratio"]:
            return ()
        return [
            self.finding(
                f"class {largest} has {ratio:.0f} times the samples of class {rarest} ({most:,} to {least:,}); "
                f"always naming it is right in {majority:.1%} of the cases",
                where=Where(phase="input", key="classes"),
                evidence={
                    "ratio": ratio,
                    "largest": most,
                    "smallest": least,
                    "largest_class": largest,
                    "smallest_class": rarest,
                    "majority_ratio": majority,
                    "split": train_split(table),
                },
                limit=dict(self.limits),
                advice=(*ADVICE, f"compare accuracies with {majority:.1%}, or look at recall per class"),
            )
        ]
