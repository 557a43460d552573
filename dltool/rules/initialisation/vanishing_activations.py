"""INI101 vanishing-activations."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.init_stats import InitLayers, SignalGrowth
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.initialisation.at_start import ADVICE, blame, evidence, has_trend, not_judged


class VanishingActivations(Rule):
    """What tells the samples apart dies out on its way to the output, before any training.

    What it measures: the spread of every layer's output from sample to sample, and its trend over depth (a robust line on a
    log scale). It fires when the fitted spread at the last layer is below `decay` of that at the first, steadily; when
    nothing at all arrives from some layer on; or when at least `dead` of a layer's units are dead beyond doubt.

    Why it is bad: the last layers see nearly the same for every input, and learn a constant first; the gradient to the
    layers before them is as small.

    How to fix: initialise for the activation in use (Kaiming for ReLU, Xavier for tanh and sigmoid), normalise between the
    layers, or add residual connections.

    When it is wrong: a head or the last layer of a residual branch that starts at zero is left out; so are nets of fewer
    than four layers, unless nothing arrives at all. Plain deep nets lose a little per layer even with the right variance.

    References: Glorot & Bengio 2010; He et al. 2015, section 2.2; Schoenholz et al. 2017, Deep information propagation (a
    net can be trained while its depth is below about six times the depth scale of this decay).
    """

    id = "INI101"
    name = "vanishing-activations"
    severity = Severity.WARNING
    needs = (SignalGrowth, InitLayers)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="decay",
            default=1e-3,
            unit="fitted spread over samples at the last layer over that at the first",
            source="Schoenholz et al. 2017: about exp(-6) in variance is where training fails; benchmarks/init_stats.py: "
            "healthy nets stay above 1e-2",
        ),
        Threshold(
            name="dead",
            default=0.9,
            unit="share of a layer's units that never fire",
            source="deep nets with the right variance have up to half of a layer dead (Lu et al. 2020, Dying ReLU)",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("vanishing-gradients-at-init",)

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        growth = measured[SignalGrowth].forward
        skip = not_judged(measured[SignalGrowth], growth)
        if skip is not None or growth is None:
            return skip or ()
        found = list(self._dead(measured[InitLayers]))
        message, where = "", growth.cut_at or growth.end
        if growth.cut_at is not None:
            message = f"no sample can be told from another from layer {growth.cut_at} on"
        elif has_trend(growth) and not growth.factor > self.limits["decay"]:
            message = (
                f"the spread from sample to sample shrinks to {growth.per_layer:.2g} of itself a layer, "
                f"to {growth.factor:.1e} over {growth.layers} layers"
            )
        if not message:
            return found
        shrunk = self.finding(
            message,
            where=Where(phase="forward", module=where),
            cause=blame(measured[SignalGrowth], grows=False),
            evidence=evidence(measured[SignalGrowth], growth),
            limit={"decay": self.limits["decay"]},
            advice=ADVICE,
        )
        return [*found, shrunk]

    def _dead(self, layers: InitLayers) -> Iterator[Finding]:
        for layer in layers.layers:
            if layer.dead is not None and not layer.is_output and layer.dead.lower >= self.limits["dead"]:
                yield self.finding(
                    f"{layer.dead.lower:.0%} of the {layer.dead.units} units of layer {layer.name} fire for no sample",
                    where=Where(phase="forward", module=layer.name),
                    cause="their input is negative for every sample, so that neither signal nor gradient passes",
                    evidence={"dead_lower": layer.dead.lower, "observations": layer.dead.observations},
                    limit={"dead": self.limits["dead"]},
                    advice=("start the biases before it at zero, not below", *ADVICE),
                )
