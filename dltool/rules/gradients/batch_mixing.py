"""GRD107 batch-mixing."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import Mixing
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.learnt import failed


class BatchMixing(Rule):
    """One sample's output depends on the other samples of its batch, in eval mode.

    What it measures: how much a sample's output changes, relative to its size, when only the other samples of its batch are
    exchanged.

    Why it is bad: a wrong `view`, `reshape` or `transpose`, or a reduction over the batch dimension, blends samples; the net
    learns from neighbours that it will not have when it is used.

    How to fix: use `permute` where dimensions should change place and `reshape` only to join neighbouring ones; reduce over
    dimensions other than 0.

    When it is wrong: models that are meant to look at the whole batch (contrastive heads, set models), or batch norm without
    running statistics. Ignore the rule with that reason.

    References: Karpathy 2019, A recipe for training neural networks ("use backprop to chart dependencies"); TheDeepChecker
    (Ben Braiek & Khomh 2023), instance-wise operations.
    """

    id = "GRD107"
    name = "batch-mixing"
    severity = Severity.ERROR
    needs = (Mixing,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="change",
            default=1e-3,
            unit="largest change of an output over its size",
            source="float32 rounding through a deep net stays below 1e-4 (eps 1.2e-7 times some hundred operations)",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("overfitting", "no-better-than-trivial", "underfitting")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        mixing = measured[Mixing]
        if mixing.batch_size < 2:
            return Skip("a batch of one sample has nothing to mix")
        if math.isnan(mixing.largest_change_ratio) and failed(measured):
            return Skip("the outputs of the spoilt model are not finite")
        if mixing.largest_change_ratio <= self.limits["change"]:
            return ()
        return [
            self.finding(
                f"a sample's output changes by {mixing.largest_change_ratio:.3g} of its size with the rest of its batch",
                where=Where(phase="forward"),
                cause="a reshape or a reduction runs over the batch dimension",
                evidence={"largest_change_ratio": mixing.largest_change_ratio, "batch_size": mixing.batch_size},
                limit={"change": self.limits["change"]},
                advice=("look for view, reshape or transpose that touches dimension 0, and for sums or means over it",),
            )
        ]
