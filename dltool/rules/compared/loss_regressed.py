"""CMP101 loss-regressed."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.core.measured.compare import Change
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class LossRegressed(Regressed):
    """The loss is higher than it was before, by more than its noise.

    What it measures: the loss of each split at the last epoch, at the best one, and its mean over the epochs that both
    runs have, which rises where a run learns slower. The noise is 4.2 times the standard error of both means over their
    samples, with the jitter from epoch to epoch, and at least 0.02 of the trivial loss. A loss that is not finite
    any more is worse than any other.

    Why it is bad: the change between the two runs cost what the training is for.

    How to fix: look at what else changed: settings, layers and new findings stand beside it. Run both sides under a
    second seed; what is no chance comes back.

    When it is wrong: the noise is that of samples and epochs; a net that falls into different optima from seed to seed
    scatters by more. It is a warning where the sides differ in their target, were cut short, or cannot be read in full.
    Losses of different kinds are not compared.

    References: Bouthillier et al. 2021, Accounting for variance in machine learning benchmarks; Dietterich 1998,
    Approximate statistical tests for comparing supervised classification learning algorithms.
    """

    id = "CMP101"
    name = "loss-regressed"
    severity = Severity.ERROR
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("benchmarks/compare.py: runs that differ in their seed alone stay below it"),
    )
    group = "loss"

    def key_of(self, change: Change) -> str:
        return change.key.rpartition(".")[0]
