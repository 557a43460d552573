"""INI103 vanishing-gradients-at-init."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.init_stats import InitLayers, SignalGrowth
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.initialisation.at_start import ADVICE, blame, evidence, has_trend, not_judged


class VanishingGradientsAtInit(Rule):
    """The first gradient dies out on its way back to the first layers.

    What it measures: the norm of the loss's gradient with respect to every layer's output, and its trend from output to
    input (a robust line on a log scale). It fires when the fitted norm at the first layer is below `decay` of that at the
    last, steadily; when no gradient at all gets through; or when at least `saturated` of a hidden layer's units are
    saturated on most samples, beyond doubt.

    Why it is bad: the first layers keep their random weights, and the last ones learn from noise.

    How to fix: initialise for the activation in use; replace sigmoid and tanh in deep nets; normalise between the layers;
    add residual connections.

    When it is wrong: an output layer that starts at zero lets no gradient through in the first step only, and skips the
    rule. Adam rescales small gradients: a net just beyond the limit may train all the same. What fades over the time steps
    of a recurrent layer is shown, not judged: how far back a net must look is for the data to say.

    References: Glorot & Bengio 2010, section 4; Schoenholz et al. 2017, Deep information propagation; AUTOTRAINER (Zhang et
    al. 2021) for the ratio of first to last gradient.
    """

    id = "INI103"
    name = "vanishing-gradients-at-init"
    severity = Severity.WARNING
    needs = (SignalGrowth, InitLayers)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="decay",
            default=1e-3,
            unit="fitted gradient norm at the first layer over that at the last",
            source="AUTOTRAINER (Zhang et al. 2021), beta1; benchmarks/init_stats.py: healthy nets stay above 2e-2",
        ),
        Threshold(
            name="saturated",
            default=0.5,
            unit="share of a layer's units that are saturated beyond doubt",
            source="SageMaker Debugger, SaturatedActivation: 50 % of a layer; DeepDiagnosis (Wardat et al. 2022): 0.5",
        ),
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        seen = measured[SignalGrowth]
        skip = not_judged(seen, seen.backward)
        if skip is not None or seen.backward is None:
            return skip or ()
        if seen.zero_head and seen.backward.cut_at is not None:
            return Skip("the output layer starts at zero, so that no gradient passes it in the first step")
        found = list(self._saturated(measured[InitLayers]))
        growth, message = seen.backward, ""
        if growth.cut_at is not None:
            message = f"no gradient arrives at layer {growth.cut_at}, nor at any before it"
        elif has_trend(growth) and not growth.factor > self.limits["decay"]:
            message = (
                f"the gradient shrinks to {growth.per_layer:.2g} of itself a layer towards the input, "
                f"to {growth.factor:.1e} over {growth.layers} layers"
            )
        if not message:
            return found
        shrunk = self.finding(
            message,
            where=Where(phase="backward", module=growth.cut_at or growth.end),
            cause=blame(seen, grows=False) or "each layer's slope times its weights is below 1, and the product dies out",
            evidence=evidence(seen, growth),
            limit={"decay": self.limits["decay"]},
            advice=ADVICE,
        )
        return [*found, shrunk]

    def _saturated(self, layers: InitLayers) -> Iterator[Finding]:
        for layer in layers.layers:
            flat = layer.saturated
            if flat is not None and not layer.is_output and flat.lower >= self.limits["saturated"]:
                yield self.finding(
                    f"{flat.lower:.0%} of the {flat.units} units of layer {layer.name} are saturated on most samples",
                    where=Where(phase="backward", module=layer.name),
                    cause=f"the input of {layer.activation or layer.kind} is too large for its slope",
                    evidence={
                        "saturated_lower": flat.lower,
                        "saturated_values": layer.saturated_values,
                        "observations": flat.observations,
                    },
                    limit={"saturated": self.limits["saturated"]},
                    advice=("start with smaller weights (xavier_normal), and normalise the inputs", *ADVICE[1:]),
                )
