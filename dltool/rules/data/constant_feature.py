"""DAT104 constant-feature."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import DataFacts, Measurements
from dltool.rules.base import Rule
from dltool.rules.learnt import lowered


class ConstantFeature(Rule):
    """A feature has the same value in every training sample.

    What it measures: features whose smallest and largest training values are equal.

    Why it is bad: it carries nothing, dividing by its standard deviation of zero makes NaN, and a value that differs
    in use meets weights that were never trained.

    How to fix: drop the column, or look why it does not vary (a failed join, a default that was filled in).

    When it is wrong: border pixels of images are constant on purpose. If the run learnt well the finding is lowered
    to information.

    References: TheDeepChecker (Ben Braiek & Khomh 2023), constant features; Breck et al. 2019, Data validation for
    machine learning.
    """

    id = "DAT104"
    name = "constant-feature"
    severity = Severity.WARNING
    needs = (DataFacts,)
    explains: ClassVar[tuple[str, ...]] = ()

    def judge(self, measured: Measurements) -> Iterable[Finding]:
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
