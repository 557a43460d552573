"""FIT103 not-converged."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS
from dltool.rules.fit_verdict import FitVerdict


class NotConverged(FromVerdict):
    """The run ended while the loss was still falling.

    What it measures: the slope of the loss (validation where there is one) over the last third of the run, against
    its standard error, and how much as many epochs again would take off if the fall goes on slowing down as it did.

    Why it is bad: the model is worse than the same run a little longer would make it.

    How to fix: train as many epochs more as the message says, or raise the learning rate. `--resume` continues the
    run.

    When it is wrong: a run that was meant to be short. Once half of the trivial baseline's loss is gone, the finding
    is lowered to information: the net learns, and more time is a choice.

    References: Goodfellow, Bengio & Courville 2016, section 7.8; Hestness et al. 2017, Deep learning scaling is
    predictable, empirically.
    """

    id = "FIT103"
    name = "not-converged"
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["not-converged"]

    def severity_of(self, found: FitVerdict) -> Severity:
        """Information once the net is far better than trivial."""
        explained = found.explained_ratio
        far = explained is not None and explained >= self.limits["far_better"]
        return Severity.INFO if far else self.severity
