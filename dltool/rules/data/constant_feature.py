"""DAT104 constant-feature."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_tables import FeatureTable
from dltool.core.measured.task import DataFacts
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.data.columns import listed, named
from dltool.rules.learnt import lowered


class ConstantFeature(Rule):
    """A feature has the same value in every training sample.

    What it measures: features whose smallest and largest training values are equal; in a scan, columns of all tables
    together that hold one value, if there are `rows` of it.

    Why it is bad: it carries nothing, dividing by its standard deviation of zero makes NaN, and a value that differs
    in use meets weights that were never trained.

    How to fix: drop the column, or look why it does not vary (a failed join, a default that was filled in).

    When it is wrong: border pixels of images are constant on purpose. If the run learnt well the finding is lowered
    to information, as it is in a scan for the numbers of arrays and for series of columns (pixel0 to pixel783).

    References: TheDeepChecker (Ben Braiek & Khomh 2023), constant features; Breck et al. 2019, Data validation for
    machine learning.
    """

    id = "DAT104"
    name = "constant-feature"
    severity = Severity.WARNING
    needs = ()
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="rows",
            default=10.0,
            unit="rows of a scanned column",
            source="a fair coin falls ten times on one side in 1 of 500 columns; below, chance is not ruled out",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        if FeatureTable in measured:
            return self._judge_scan(measured[FeatureTable])
        if DataFacts not in measured:
            return Skip("not measured: data")
        constant = measured[DataFacts].constant_features
        if not constant:
            return ()
        shown = ", ".join(map(str, constant[:8])) + (" ..." if len(constant) > 8 else "")
        return [
            self.finding(
                f"{len(constant)} features never vary in the training split: {shown}",
                severity=lowered(self.severity, measured),
                where=Where(phase="input"),
                evidence={"features": constant},
                limit={"distinct_values": 2},
                advice=("drop these columns, or find out why they do not vary",),
            )
        ]

    def _judge_scan(self, table: FeatureTable) -> list[Finding]:
        constant = [f for f in table.features if f.constant and not f.target and f.rows >= self.limits["rows"]]
        spoken = {feature.name for feature in named(table.features)}
        found = [
            self.finding(
                f"column {feature.name} has the same value in all {feature.rows:,} rows",
                where=Where(phase="input", file=feature.example, key=f"#{feature.name}"),
                evidence={"feature": feature.name, "rows": feature.rows, "value": feature.minimum, "dtypes": feature.dtypes},
                limit=dict(self.limits),
                advice=("drop this column, or find out why it does not vary",),
            )
            for feature in constant
            if feature.name in spoken
        ]
        others = [feature.name for feature in constant if feature.name not in spoken]
        if others:
            message = f"{len(others)} numbers of arrays or series of columns never vary: {listed(others)}"
            where = Where(phase="input", key="#series")
            limit = dict(self.limits)
            found.append(
                self.finding(message, severity=Severity.INFO, where=where, evidence={"features": others}, limit=limit)
            )
        return found
