"""FIT101 underfitting."""

from __future__ import annotations

from typing import ClassVar

from dltool.rules.base import Threshold
from dltool.rules.fit.from_verdict import FromVerdict
from dltool.rules.fit_status.limits import LIMITS


class Underfitting(FromVerdict):
    """The net fits not even the data it is trained on.

    What it measures: the training loss, re-measured in eval mode, once it no longer falls: the share of the trivial
    baseline's loss that it removed, and for cross-entropy how far it stays above what a vote among near neighbours
    would reach on the same data.

    Why it is bad: what cannot be fitted cannot generalise; more data or more regularisation make it worse.

    How to fix: more capacity (wider layers first, then more), less dropout, less L1 and L2, another learning rate.

    When it is wrong: targets that are mostly noise leave a high loss whatever the net. Where near neighbours are
    near enough to tell how much of the targets the inputs explain, a net that explains as much is acquitted; where samples
    have no neighbours (a label a token or pixel) the verdict is inconclusive instead. Elsewhere raise or lower
    `underfitting.explained`.

    References: Goodfellow, Bengio & Courville 2016, Deep learning, section 5.2; Cover & Hart 1967, Nearest neighbor
    pattern classification; Karpathy 2019, A recipe for training neural networks ("overfit" first).
    """

    id = "FIT101"
    name = "underfitting"
    thresholds: ClassVar[tuple[Threshold, ...]] = LIMITS["underfitting"]
