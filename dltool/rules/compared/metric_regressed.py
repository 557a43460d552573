"""CMP102 metric-regressed."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class MetricRegressed(Regressed):
    """A metric is worse than it was before, by more than its noise.

    What it measures: each metric that both runs have, at their last epochs. The noise of a share of samples (accuracy,
    top_k) is 4.2 binomial standard errors, and at least 0.02; errors (mse, mae) and r2 have that of the loss, and at
    least 0.1.

    Why it is bad: metrics are what a model is chosen by.

    How to fix: look at what else changed: settings, layers and new findings stand beside it.

    When it is wrong: a metric whose direction is not known is shown and not judged. It is a warning where the sides
    differ in their target, were cut short, or cannot be read in full.

    References: Dietterich 1998, Approximate statistical tests for comparing supervised classification learning
    algorithms; Agresti & Coull 1998 (the binomial interval); Bouthillier et al. 2021, Accounting for variance in machine
    learning benchmarks.
    """

    id = "CMP102"
    name = "metric-regressed"
    severity = Severity.ERROR
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("benchmarks/compare.py: runs that differ in their seed alone stay below it"),
    )
    group = "metric"
