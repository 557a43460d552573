"""Whether a run learnt well in spite of what a rule found: then the finding is worth knowing, not a disease."""

from __future__ import annotations

from dltool.core.finding import Severity
from dltool.core.measurements import Measurements
from dltool.rules.fit_status.limits import FAR_BETTER
from dltool.rules.fit_verdict import FitVerdict

FAILED = ("diverged", "no-better-than-trivial", "ignores-input", "oscillating", "plateau")
"""Verdicts that a wrong learning rate can bring about."""


def learnt(measured: Measurements) -> bool:
    """The loss is far below the trivial baseline's, and the run neither blew up nor stood still."""
    found = measured.get(FitVerdict)
    if found is None:
        return False
    if found.status == "good-fit":
        return True
    explained = found.explained_ratio
    return found.status in {"not-converged", "overfitting"} and explained is not None and explained >= FAR_BETTER.default


def failed(measured: Measurements) -> bool:
    """The run ended in one of ``FAILED``."""
    return FitVerdict in measured and measured[FitVerdict].status in FAILED


def lowered(severity: Severity, measured: Measurements, *, to: Severity = Severity.INFO) -> Severity:
    """``to`` where the run learnt all the same, else ``severity``."""
    return to if learnt(measured) else severity
