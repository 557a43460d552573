"""The base of the fit rules: each speaks when the one verdict on the fit is its own."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.fit_verdict import FitVerdict


class FromVerdict(Rule):
    """A finding when the verdict's status is the rule's name; its thresholds are limits of the verdict."""

    severity: ClassVar[Severity] = Severity.WARNING
    needs = (FitVerdict,)

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        """At most one finding, with the verdict's own reason, evidence and advice."""
        found = measured[FitVerdict]
        if found.status != self.name:
            return ()
        return [
            self.finding(
                found.reason,
                severity=self.severity_of(found),
                evidence=found.evidence,
                limit=dict(self.limits),
                advice=found.advice,
            )
        ]

    def severity_of(self, found: FitVerdict) -> Severity:  # noqa: ARG002  (for subclasses)
        """The rule's severity; a rule that lowers it says why on its page."""
        return self.severity
