"""ACT102 saturated-activation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import LayerRecord, Layers, Parameters, UnitShare
from dltool.core.measurements import Measurements
from dltool.rules.activations.calls import idle_from_start, worst_calls
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.learnt import lowered

LOWER = "lower the learning rate: these units were not saturated at the start"
ADVICE = (
    "initialise with smaller weights: xavier_normal for tanh and sigmoid",
    "normalise the inputs (data.normalize: standard)",
    "put batch_norm or layer_norm before the activation",
)


class SaturatedActivation(Rule):
    """Units that sit in the flat part of their activation.

    What it measures: the share of a layer's units whose derivative, by the formula of the activation in use, is near zero on
    more than half of the samples, beyond doubt (an exact binomial bound). The output layer does not count: a sure classifier
    saturates there.

    Why it is bad: a flat activation passes no gradient; what lies before it does not learn.

    How to fix: smaller initial weights (Xavier for tanh and sigmoid), normalised inputs, a normalisation layer before the
    activation, or another activation.

    When it is wrong: gates of an LSTM or GRU may saturate on purpose, on some samples; only units that do so on most of them
    count. If the run learnt well the finding is lowered to information.

    References: Glorot & Bengio 2010, section 3; Rakitianskaia & Engelbrecht 2015, Measuring saturation in neural networks.
    """

    id = "ACT102"
    name = "saturated-activation"
    severity = Severity.WARNING
    needs = (Layers,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="fraction",
            default=0.5,
            unit="share of the layer's units that are saturated beyond doubt",
            source="SageMaker Debugger, SaturatedActivation: 50 % of a layer; DeepDiagnosis (Wardat et al. 2022): 0.5",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "collapsed-representation",
        "learning-rate-too-low",
        "learning-rate-too-high",
        "surprising-initial-loss",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        watched = [
            (layer, layer.saturated)
            for layer in measured[Layers].layers
            if layer.saturated is not None and not layer.is_output
        ]
        if not watched:
            return Skip("no hidden layer with an activation that can saturate")
        last = measured[Parameters].steps - 1 if Parameters in measured else 0
        return [
            self.finding(
                f"at least {flat.lower:.0%} of the {flat.units} units of layer {layer.name} are saturated on most samples",
                severity=lowered(self.severity, measured),
                where=Where(phase="forward", module=layer.name, step=self._step(layer, flat, last)),
                cause=f"the input of {layer.activation or layer.kind} is too large for its slope",
                evidence={
                    "saturated_lower": flat.lower,
                    "saturated_share": flat.share,
                    "units": flat.units,
                    "observations": flat.observations,
                    "examples": list(flat.examples),
                    "saturated_at_start": layer.idle_at_start,
                },
                limit={"fraction": self.limits["fraction"]},
                advice=(LOWER, *ADVICE) if idle_from_start(layer, flat, self.limits["fraction"]) is False else ADVICE,
            )
            for layer, flat in worst_calls(watched)
            if not flat.lower < self.limits["fraction"]
        ]

    def _step(self, layer: LayerRecord, flat: UnitShare, last: int) -> int:
        """The first step where the units were saturated from the start, the last where they came to it on the way."""
        return 0 if idle_from_start(layer, flat, self.limits["fraction"]) else max(0, last)
