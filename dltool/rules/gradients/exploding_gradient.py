"""GRD104 exploding-gradient."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import GradientTrace, Optimisation, Parameters
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.gradients.depth_trend import LEAST_LAYERS, DepthTrend, depth_trend
from dltool.rules.learnt import learnt

CLIP = "clip the gradient norm (train.clip_norm: 1.0)"


class ExplodingGradient(Rule):
    """The gradient grows from layer to layer towards the input, or from step to step, until it throws the weights about.

    What it measures: the trend of the gradient over depth at the first step (its RMS per layer, on a log scale, fitted by a
    robust line), and the total gradient norm over the steps. It fires when the fitted gradient grows towards the input by
    more than `growth` (`growth_blown_up` in a run that blew up), steadily, or when the norm rises to more than `rise` times
    its early level; in both cases only if the run did not learn all the same.

    Why it is bad: a step follows a slope that holds for a tiny stretch only; the weights are overwritten, and the loss blows
    up or turns into NaN.

    How to fix: initialise so that the signal keeps its size (Kaiming, Xavier, orthogonal); normalise between the
    layers; clip the gradient norm; lower the learning rate when the norm grows with the steps.

    When it is wrong: a residual or normalised net has no trend over depth and stays silent; so does a net that clips its
    gradients and learns. One spike among the steps counts only if the run fails.

    References: Pascanu, Mikolov & Bengio 2013, On the difficulty of training recurrent neural networks; AUTOTRAINER (Zhang
    et al. 2021).
    """

    id = "GRD104"
    name = "exploding-gradient"
    severity = Severity.ERROR
    needs = (Parameters,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="growth",
            default=70.0,
            unit="fitted gradient RMS of the first layer over that of the last",
            source="AUTOTRAINER (Zhang et al. 2021), beta3",
        ),
        Threshold(
            name="growth_blown_up",
            default=10.0,
            unit="the same, where the run diverged or stopped being finite",
            source="curvature grows with the square: a rate that suits the last layer is a hundred times that of the first",
        ),
        Threshold(
            name="rise",
            default=1e3,
            unit="gradient norm over its median in the first tenth of the looks",
            source="three orders of magnitude; TheDeepChecker (Ben Braiek & Khomh 2023) counts four doublings in a row",
        ),
        Threshold(
            name="consistency",
            default=2.326,
            unit="Mann-Kendall z of the trend over layers",
            source="one-sided 1 % point of the normal distribution",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "surprising-initial-loss",
        "learning-rate-too-high",
        "collapsed-representation",
        "dead-relu",
        "saturated-activation",
        "non-finite-forward",
        "non-finite-loss",
        "non-finite-backward",
        "non-finite-update",
        "non-finite-parameter",
        "non-finite-buffer",
        "oscillating-loss",
        "diverged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        trend = depth_trend(measured[Parameters], "first")
        trace = measured.get(GradientTrace)
        if trend is None and trace is None:
            return Skip(f"fewer than {LEAST_LAYERS} trainable layers, and no gradient norms by step")
        if learnt(measured):
            return ()
        blown_up = FitVerdict in measured and measured[FitVerdict].status == "diverged"
        growth = self.limits["growth_blown_up" if blown_up else "growth"]
        if trend is not None and not (trend.factor < growth or -trend.consistency_z < self.limits["consistency"]):
            return [self._over_depth(trend, growth)]
        return [] if trace is None else self._over_steps(trace, measured.get(Optimisation))

    def _over_depth(self, trend: DepthTrend, growth: float) -> Finding:
        first = trend.first
        return self.finding(
            f"at the first step the gradient grows by {trend.per_layer:.2g} a layer towards the input, "
            f"{trend.factor:.1e} over {trend.layers} layers",
            where=Where(phase="backward", module=first.module, parameter=first.name, step=0),
            cause="each layer's slope times its weights is above 1, and the product over the layers blows up",
            evidence={
                "factor": trend.factor,
                "factor_per_layer": trend.per_layer,
                "layers": trend.layers,
                "consistency_z": trend.consistency_z,
            },
            limit={"growth": growth},
            advice=("initialise so that the signal keeps its size: kaiming_normal, xavier_normal or orthogonal", CLIP),
        )

    def _over_steps(self, trace: GradientTrace, optimisation: Optimisation | None) -> list[Finding]:
        early = [n for n in trace.norms[: max(1, len(trace.norms) // 10)] if math.isfinite(n)]
        if not early:
            return []
        usual = statistics.median(early)
        ceiling = self.limits["rise"] * usual
        step = next((s for s, n in zip(trace.steps, trace.norms, strict=True) if not n <= ceiling), None)
        if step is None:
            return []
        largest = max((n for n in trace.norms if math.isfinite(n)), default=math.inf)
        clipped = optimisation is not None and optimisation.clip_norm is not None
        return [
            self.finding(
                f"the gradient norm rose from {usual:.3g} beyond {ceiling:.3g} at step {step}",
                where=Where(phase="backward", step=step),
                evidence={"usual_norm": usual, "largest_norm": largest, "step": step, "clipped": clipped},
                limit={"rise": self.limits["rise"]},
                advice=("lower the learning rate",) if clipped else (CLIP, "lower the learning rate"),
            )
        ]
