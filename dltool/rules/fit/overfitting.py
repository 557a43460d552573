"""FIT102 overfitting."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS


class Overfitting(FromVerdict):
    """Validation is worse than training, beyond noise and by enough to matter.

    What it measures: whether the validation loss has risen from its own lowest stretch, or lies above the training
    loss, by a material share of the trivial baseline's loss, or has stopped falling while the training loss, still
    high, falls on. All are held against their noise: a bootstrap over blocks of samples (paired between epochs), the
    jitter from epoch to epoch, and a correction for having searched for the minimum. Training loss is re-measured in
    eval mode, so dropout and augmentation do not blur it.

    Why it is bad: what is learnt beyond that point is the training sample, not the task.

    How to fix: stop at the epoch that was best; more data or augmentation; dropout; L2.

    When it is wrong: a healthy net has some gap; only a gap of a quarter of the trivial loss counts. What both losses
    climb by, as a last bad epoch makes them, is taken off. After early stopping the short climb that triggered it is
    not held against the run.

    References: Prechelt 1998, Early stopping - but when?; Efron & Tibshirani 1993, An introduction to the bootstrap;
    Goodfellow, Bengio & Courville 2016, section 5.2.
    """

    id = "FIT102"
    name = "overfitting"
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["overfitting"]
