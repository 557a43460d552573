"""DAT111 missing-class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import Measurements, Task
from dltool.rules.base import Rule, Skip
from dltool.rules.learnt import lowered


class MissingClass(Rule):
    """The model has outputs for classes that no training sample shows.

    What it measures: training samples by class; a class with none fires.

    Why it is bad: the net can only learn never to name it; at best the output is wasted, at worst the split lost a
    class.

    How to fix: stratify the split (`data.split.stratify`), gather samples of the class, or give the last layer fewer
    outputs.

    When it is wrong: a head kept for classes that come later, or a vocabulary, most of whose words are rare. If the
    run learnt well the finding is lowered to information.

    References: Lones 2021, How to avoid machine learning pitfalls, section 2; Kohavi 1995, A study of
    cross-validation (stratification).
    """

    id = "DAT111"
    name = "missing-class"
    severity = Severity.WARNING
    needs = (Task,)
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        counts = measured[Task].class_counts
        if counts is None:
            return Skip("the training samples were not counted by class")
        missing = [label for label, count in enumerate(counts) if count == 0]
        if not missing:
            return ()
        shown = ", ".join(map(str, missing[:8])) + (" ..." if len(missing) > 8 else "")
        return [
            self.finding(
                f"no training sample belongs to {len(missing)} of {len(counts)} classes: {shown}",
                severity=lowered(self.severity, measured),
                where=Where(phase="input"),
                evidence={"missing": missing, "classes": len(counts)},
                limit={"samples_per_class": 1},
                advice=("stratify the split, gather samples of these classes, or give the last layer fewer outputs",),
            )
        ]
