"""INI102 exploding-activations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.init_stats import SignalGrowth
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.initialisation.at_start import ADVICE, blame, evidence, has_trend, not_judged


class ExplodingActivations(Rule):
    """Signals grow from layer to layer, before any training.

    What it measures: the spread of every layer's output from sample to sample, and its trend over depth (a robust line on a
    log scale). It fires when the fitted spread at the last layer is more than `growth` times that at the first, steadily, or
    when an output is NaN or infinite although the batch is finite.

    Why it is bad: the net starts with huge, sure and random answers; the first loss and its gradients are as large, and the
    first steps undo them or blow up.

    How to fix: smaller weights (Kaiming for ReLU, Xavier for tanh and sigmoid); normalise between the layers; in a residual
    net start the last layer of each branch at zero or scale the branches by 1 / √blocks.

    When it is wrong: a residual stream grows with every block. Behind normalised branches by the square root of the depth,
    which is harmless; with plain branches up to √2 a block, which is harmless for about a dozen blocks and fires beyond.

    References: He et al. 2015, section 2.2; Hanin & Rolnick 2018, How to start training; Zhang, Dauphin & Ma 2019, Fixup
    (growth of residual streams).
    """

    id = "INI102"
    name = "exploding-activations"
    severity = Severity.WARNING
    needs = (SignalGrowth,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="growth",
            default=100.0,
            unit="fitted spread over samples at the last layer over that at the first",
            source="benchmarks/init_stats.py: healthy nets stay below 3; N(0, 1) weights pass it in four layers of 64",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("exploding-gradients-at-init", "surprising-initial-loss")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        growth = measured[SignalGrowth].forward
        skip = not_judged(measured[SignalGrowth], growth)
        if skip is not None or growth is None:
            return skip or ()
        if growth.non_finite_at is not None:
            message = f"the output of layer {growth.non_finite_at} is not finite, although the batch is"
        elif has_trend(growth) and not growth.factor < self.limits["growth"]:
            unit = "block" if growth.blocks * 2 > growth.layers else "layer"
            message = (
                f"signals grow {growth.per_layer:.2g}-fold a {unit}, {growth.factor:.2g}-fold over {growth.layers} of them"
            )
        else:
            return ()
        return [
            self.finding(
                message,
                where=Where(phase="forward", module=growth.non_finite_at or growth.end),
                cause=blame(measured[SignalGrowth], grows=True),
                evidence=evidence(measured[SignalGrowth], growth),
                limit={"growth": self.limits["growth"]},
                advice=ADVICE,
            )
        ]
