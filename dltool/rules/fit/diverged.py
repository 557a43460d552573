"""FIT104 diverged."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS


class Diverged(FromVerdict):
    """The training loss blew up.

    What it measures: whether the loss stopped being finite, ended above both its start and the trivial baseline, or
    lost half of the progress that it had made.

    Why it is bad: the weights at the end are worse than those at the start.

    How to fix: lower the learning rate, clip the gradient norm, warm up; keep the checkpoint from before the turn.

    When it is wrong: a loss whose scale changes in the course of the run on purpose (a curriculum, an annealed
    weight).

    References: Goodfellow, Bengio & Courville 2016, section 8.2.4 (cliffs); Pascanu, Mikolov & Bengio 2013.
    """

    id = "FIT104"
    name = "diverged"
    severity = Severity.ERROR
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["diverged"]
