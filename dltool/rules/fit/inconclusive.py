"""FIT108 inconclusive."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS


class Inconclusive(FromVerdict):
    """There is too little to judge the fit by.

    What it measures: the number of epochs that were measured, the width of the intervals, whether there is a trivial
    baseline to compare with, and, for a loss that stays high, whether anything shows that less is within reach.

    Why it is bad: a verdict on a handful of points would be a guess.

    How to fix: run more epochs, enlarge the validation split, or use a loss with a known baseline, as the message
    says.

    When it is wrong: a short run that was meant to be one, such as a smoke test.

    References: Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks.
    """

    id = "FIT108"
    name = "inconclusive"
    severity = Severity.INFO
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["inconclusive"]
