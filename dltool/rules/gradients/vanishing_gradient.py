"""GRD103 vanishing-gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import Parameters
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.gradients.depth_trend import LEAST_LAYERS, depth_trend
from dltool.rules.learnt import learnt


class VanishingGradient(Rule):
    """The gradient dies out on its way back to the first layers.

    What it measures: the trend of the gradient over depth (its RMS per layer, on a log scale, fitted by a robust line) and
    how far the layers near the input move per step (‖Δw‖/‖w‖). It fires when the fitted gradient shrinks towards the input
    below `decay` of its value at the output, steadily (the trend is beyond chance), and it hurts: the first layers move
    less than `update_ratio` per step, or the net learnt nothing.

    Why it is bad: layers near the input keep their random weights; only the last ones learn, from noise.

    How to fix: use ReLU-like activations with Kaiming initialisation, or tanh with Xavier; add batch or layer normalisation;
    add residual connections; use fewer layers.

    When it is wrong: Adam rescales small gradients, so that layers move all the same; the rule is then silent unless the net
    fails to learn. Embeddings, normalisation and frozen layers are left out. Nets of fewer than four layers are not judged.

    References: Bengio, Simard & Frasconi 1994, Learning long-term dependencies with gradient descent is difficult; Glorot &
    Bengio 2010, Understanding the difficulty of training deep feedforward neural networks; AUTOTRAINER (Zhang et al. 2021)
    for the ratio of the first layer's gradient to the last's.
    """

    id = "GRD103"
    name = "vanishing-gradient"
    severity = Severity.ERROR
    needs = (Parameters,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="decay",
            default=1e-3,
            unit="fitted gradient RMS of the first layer over that of the last",
            source="AUTOTRAINER (Zhang et al. 2021), beta1",
        ),
        Threshold(
            name="update_ratio",
            default=1e-5,
            unit="‖Δw‖/‖w‖ of one step",
            source="DeepDiagnosis (Wardat et al. 2022): below 1e-5 a weight practically stands still; 1e-3 is healthy",
        ),
        Threshold(
            name="consistency",
            default=2.326,
            unit="Mann-Kendall z of the trend over layers",
            source="one-sided 1 % point of the normal distribution",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "dead-relu",
        "parameter-not-updated",
        "learning-rate-too-low",
        "collapsed-representation",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        trend = depth_trend(measured[Parameters], "median")
        if trend is None:
            return Skip(f"fewer than {LEAST_LAYERS} trainable layers with finite gradients")
        if trend.factor > self.limits["decay"] or trend.consistency_z < self.limits["consistency"] or learnt(measured):
            return ()
        slow = trend.update_ratio is not None and not trend.update_ratio >= self.limits["update_ratio"]
        nothing = FitVerdict in measured and measured[FitVerdict].status in {"no-better-than-trivial", "ignores-input"}
        if not (slow or nothing):
            return ()
        first = trend.first
        start = depth_trend(measured[Parameters], "first")
        from_start = start is not None and not start.factor > self.limits["decay"]
        moved = (
            ""
            if trend.update_ratio is None
            else f", and the first layers move by {trend.update_ratio:.1e} of their size a step"
        )
        return [
            self.finding(
                f"the gradient shrinks by {trend.per_layer:.2g} a layer towards the input, {trend.factor:.1e} over "
                f"{trend.layers} layers{moved}",
                where=Where(phase="backward", module=first.module, parameter=first.name, step=0 if from_start else None),
                cause="each layer's slope times its weights is below 1, and the product over the layers dies out",
                evidence={
                    "factor": trend.factor,
                    "factor_per_layer": trend.per_layer,
                    "layers": trend.layers,
                    "consistency_z": trend.consistency_z,
                    "update_ratio": trend.update_ratio,
                    "from_start": from_start,
                },
                limit={"decay": self.limits["decay"], "update_ratio": self.limits["update_ratio"]},
                advice=(
                    "initialise for the activation in use: kaiming_normal for ReLU, xavier_normal for tanh and sigmoid",
                    "replace sigmoid or tanh between the layers by relu",
                    "add batch_norm or layer_norm, or residual connections",
                ),
            )
        ]
