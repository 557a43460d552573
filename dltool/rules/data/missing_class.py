"""DAT111 missing-class."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_classes import ClassTable
from dltool.core.measured.task import Task
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.data.classes import NO_CLASSES
from dltool.rules.data.scanned_classes import absent_from_batches, gaps, tiny, unseen_in_training
from dltool.rules.learnt import lowered


class MissingClass(Rule):
    """The model has outputs for classes that no training sample shows.

    What it measures: training samples by class; a class with none fires. A scan looks for gaps in labels that are whole
    numbers (information where nothing says that they are classes), for classes of a split that training lacks, for classes
    with a handful of samples, and (where the batch size is known) for classes that most batches do without, by the
    hypergeometric distribution; the last is information.

    Why it is bad: the net can only learn never to name it; at best the output is wasted, at worst the split lost a
    class.

    How to fix: stratify the split (`data.split.stratify`), gather samples of the class, or give the last layer fewer
    outputs.

    When it is wrong: a head kept for classes that come later, or a vocabulary, most of whose words are rare. If the
    run learnt well the finding is lowered to information. Labels that are a few numbers out of a large catalogue have
    more gaps than classes, and are not accused.

    References: Lones 2021, How to avoid machine learning pitfalls, section 2; Kohavi 1995, A study of
    cross-validation (stratification).
    """

    id = "DAT111"
    name = "missing-class"
    severity = Severity.WARNING
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="tiny",
            default=5.0,
            unit="samples of a class in a scan, below which it is tiny",
            source="scikit-learn documentation, StratifiedKFold: five folds cannot hold a class of fewer samples",
        ),
        Threshold(
            name="times",
            default=10.0,
            unit="median samples of a class over those of a tiny one",
            source="the ratio of class-imbalance: where all classes are small, none is tiny",
        ),
        Threshold(
            name="absent",
            default=0.5,
            unit="probability that a batch has no sample of a class",
            source="convention: more often than not",
        ),
        Threshold(
            name="usual",
            default=0.05,
            unit="the same for a class of average size, above which batches are too small to show every class",
            source="convention: one batch in twenty",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if ClassTable in measured:
            return self._judge_scan(measured[ClassTable])
        if Task not in measured:
            return Skip("not measured: task")
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

    def _judge_scan(self, table: ClassTable) -> Iterable[Finding] | Skip:
        if table.nearly_all_differ:
            return Skip(NO_CLASSES)
        return [
            *gaps(self, table),
            *unseen_in_training(self, table),
            *tiny(self, table, self.limits),
            *absent_from_batches(self, table, self.limits),
        ]
