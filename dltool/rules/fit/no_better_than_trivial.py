"""FIT106 no-better-than-trivial."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS


class NoBetterThanTrivial(FromVerdict):
    """The net is no better than the best constant output.

    What it measures: the loss at the end, with its interval from a bootstrap over blocks of samples, against that of
    the constant fitted to the training targets (the class frequencies, the target mean): on the training split, and
    on validation where training passed it.

    Why it is bad: a constant needs no inputs; the net has learnt nothing, whatever its accuracy says on unbalanced
    classes.

    How to fix: overfit one batch first; try rates a factor of ten apart; check that labels belong to their inputs and
    that the loss fits the output.

    When it is wrong: data without any signal: then the constant is the best there is. A loss on its way to the
    baseline is not-converged instead, and a validation loss below it, by more than the margin but within the noise of
    the split, is inconclusive.

    References: Karpathy 2019, A recipe for training neural networks ("input independent baseline", "overfit one
    batch"); Lones 2021, How to avoid machine learning pitfalls, section 4.
    """

    id = "FIT106"
    name = "no-better-than-trivial"
    severity = Severity.ERROR
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["no-better-than-trivial"]
