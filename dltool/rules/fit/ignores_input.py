"""FIT107 ignores-input."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS


class IgnoresInput(FromVerdict):
    """The loss is the same when the inputs are exchanged or replaced by their mean.

    What it measures: the loss on the same samples with their own inputs, with inputs exchanged among the samples, and
    with all inputs set to their mean. All three must agree within a thousandth of the trivial baseline's loss.

    Why it is bad: the output is a constant in disguise; nothing of the input reaches it.

    How to fix: look for dead or saturated layers, lower the learning rate, start afresh; check that `forward` uses
    its argument.

    When it is wrong: inputs that carry nothing about the target: ignoring them is then right, and the data is at
    fault.

    References: Karpathy 2019 ("input independent baseline"); Adebayo et al. 2018, Sanity checks for saliency maps
    (randomisation tests); Breiman 2001, Random forests (permutation importance).
    """

    id = "FIT107"
    name = "ignores-input"
    severity = Severity.ERROR
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["ignores-input"]
