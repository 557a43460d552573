"""INI104 exploding-gradients-at-init."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.init_stats import InitLayers, SignalGrowth
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.initialisation.at_start import ADVICE, blame, evidence, has_trend, not_judged


class ExplodingGradientsAtInit(Rule):
    """The first gradient grows on its way back to the first layers.

    What it measures: the norm of the loss's gradient with respect to every layer's output, and its trend from output to
    input (a robust line on a log scale); for recurrent layers, how the gradient changes per time step. It fires when the
    fitted norm at the first layer is more than `growth` times that at the last, steadily; when a gradient is NaN or
    infinite; or when the gradient grows more than `through_time`-fold over the time steps there are.

    Why it is bad: a rate that suits the last layers throws the first ones about; the loss jumps or turns into NaN.

    How to fix: smaller weights (Kaiming, Xavier, orthogonal for what recurs); normalise between the layers; clip the norm.

    When it is wrong: batch norm without residual connections lets gradients grow by about a fifth a layer, which is harmless
    for some twenty layers. A net that clips its gradients may start so and learn.

    References: Pascanu, Mikolov & Bengio 2013; Yang et al. 2019, A mean field theory of batch normalization; AUTOTRAINER
    (Zhang et al. 2021), which draws the line at 70.
    """

    id = "INI104"
    name = "exploding-gradients-at-init"
    severity = Severity.WARNING
    needs = (SignalGrowth, InitLayers)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="growth",
            default=200.0,
            unit="fitted gradient norm at the first layer over that at the last",
            source="benchmarks/init_stats.py: a ResNet of 48 blocks starts at 66, nets with weights too large above 1000",
        ),
        Threshold(
            name="through_time",
            default=1e3,
            unit="gradient at the first time step over that at the last",
            source="three orders of magnitude: clipping at 1 then leaves nothing of what the last steps say",
        ),
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        seen = measured[SignalGrowth]
        skip = not_judged(seen, seen.backward)
        if skip is not None or seen.backward is None:
            return skip or ()
        found = list(self._through_time(measured[InitLayers]))
        growth = seen.backward
        if seen.forward is not None and seen.forward.non_finite_at is not None:
            return Skip("the forward pass is not finite, which is exploding-activations' matter")
        if growth.non_finite_at is not None:
            message = f"the gradient at layer {growth.non_finite_at} is not finite"
        elif has_trend(growth) and not growth.factor < self.limits["growth"]:
            message = (
                f"the gradient grows {growth.per_layer:.2g}-fold a layer towards the input, {growth.factor:.2g}-fold over "
                f"{growth.layers} layers"
            )
        else:
            return found
        grown = self.finding(
            message,
            where=Where(phase="backward", module=growth.non_finite_at or growth.end),
            cause=blame(seen, grows=True),
            evidence=evidence(seen, growth),
            limit={"growth": self.limits["growth"]},
            advice=(*ADVICE, "clip the gradient norm (train.clip_norm: 1.0)"),
        )
        return [*found, grown]

    def _through_time(self, layers: InitLayers) -> Iterator[Finding]:
        for layer in layers.layers:
            if layer.through_time is None or layer.time_steps is None or layer.through_time <= 1.0:
                continue
            factor = math.exp(min(700.0, math.log(layer.through_time) * (layer.time_steps - 1)))
            if not factor < self.limits["through_time"]:
                yield self.finding(
                    f"the gradient of layer {layer.name} grows {layer.through_time:.2g}-fold a time step, {factor:.1e}-fold "
                    f"over {layer.time_steps}",
                    where=Where(phase="backward", module=layer.name),
                    cause="the weights from state to state are too large",
                    evidence={"factor_per_step": layer.through_time, "time_steps": layer.time_steps, "factor": factor},
                    limit={"through_time": self.limits["through_time"]},
                    advice=("start them orthogonal (init: orthogonal)", "clip the gradient norm (train.clip_norm: 1.0)"),
                )
