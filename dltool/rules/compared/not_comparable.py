"""CMP111 not-comparable."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.compare import ComparedSides, Doubts
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule


class NotComparable(Rule):
    """The sides differ in more than what may be changed on purpose, so that less can be said of them.

    What it measures: whether both sides are of the same command and target, whole, and in a version of the schema that
    is known. It is a warning where nothing but the findings could be compared, since the commands differ.

    Why it is bad: what was not compared cannot have regressed, and nobody would notice.

    How to fix: compare two reports of the same command on the same target, both run to their end.

    When it is wrong: a target that was moved or renamed is the same one.

    References: documentation of `dltool compare` (docs/formats.md).
    """

    id = "CMP111"
    name = "not-comparable"
    severity = Severity.WARNING
    needs = (Doubts, ComparedSides)

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        doubts = [doubt for doubt in measured[Doubts].doubts if doubt.weakens]
        if not doubts:
            return
        sides = measured[ComparedSides]
        differ = sides.before.command != sides.after.command
        yield self.finding(
            "; ".join(f"{doubt.what}: {doubt.reason}" for doubt in doubts),
            where=Where(key="not_compared"),
            severity=Severity.WARNING if differ else Severity.INFO,
            evidence={"what": [doubt.what for doubt in doubts]},
            advice=("compare reports of the same command on the same target",),
        )
