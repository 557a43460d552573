"""ACT101 dead-relu."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import LayerRecord, Layers, Parameters, UnitShare
from dltool.core.measurements import Measurements
from dltool.rules.activations.calls import CUT, idle_from_start, worst_calls
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.fit_verdict import FitVerdict
from dltool.rules.learnt import learnt

DIED = (
    "lower the learning rate and start from a fresh initialisation",
    "initialise with kaiming_normal and zero biases",
    "use leaky_relu, elu or gelu",
)
BORN_DEAD = (
    "initialise with kaiming_normal and zero biases: these units were dead before the first step",
    "normalise the inputs (data.normalize: standard)",
    "use leaky_relu, elu or gelu",
)


class DeadRelu(Rule):
    """Units of a ReLU layer that no sample switches on any more.

    What it measures: the share of a layer's units that are dead beyond doubt: never seen to fire, over so many samples that
    the confidence bound of how often it could lies below 1 %. A unit that fires rarely is sparse, not dead, and does not
    count.

    Why it is bad: a dead unit passes no signal and no gradient, so it cannot come back; a layer full of them cuts the net.

    How to fix: lower the learning rate, which is what usually throws units out; use Kaiming initialisation and biases of
    zero; or use leaky_relu, elu or gelu.

    When it is wrong: a layer far wider than it needs to be may lose units and still serve. If the run learnt well the
    finding is information: the living units were enough. The same where the net is blind to its input although every
    layer has living units: then the signal stops elsewhere.

    References: Stanford CS231n, Neural networks part 1 ("as much as 40 % of your network can be dead"); Lu et al. 2020,
    Dying ReLU and initialization; Clopper & Pearson 1934 for the bound.
    """

    id = "ACT101"
    name = "dead-relu"
    severity = Severity.ERROR
    needs = (Layers,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="fraction",
            default=0.4,
            unit="share of the layer's units that are dead beyond doubt",
            source="Stanford CS231n: 40 % is where a rate that was too high leaves a net; SageMaker Debugger takes 50 %",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "vanishing-gradient",
        "collapsed-representation",
        "parameter-not-updated",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        watched = [
            (layer, layer.dead) for layer in measured[Layers].layers if layer.dead is not None and not layer.is_output
        ]
        if not watched:
            return Skip("no layer with an activation that can die")
        severity = self._severity([dead for _, dead in watched], measured)
        last = measured[Parameters].steps - 1 if Parameters in measured else 0
        return [
            self.finding(
                f"at least {dead.lower:.0%} of the {dead.units} units of layer {layer.name} never fire",
                severity=severity,
                where=Where(phase="forward", module=layer.name, step=self._step(layer, dead, last)),
                cause="their input is negative for every sample, so that neither signal nor gradient passes",
                evidence={
                    "dead_lower": dead.lower,
                    "dead_share": dead.share,
                    "units": dead.units,
                    "observations": dead.observations,
                    "examples": list(dead.examples),
                    "dead_at_start": layer.idle_at_start,
                },
                limit={"fraction": self.limits["fraction"]},
                advice=BORN_DEAD if idle_from_start(layer, dead, self.limits["fraction"]) else DIED,
            )
            for layer, dead in worst_calls(watched)
            if not dead.lower < self.limits["fraction"]
        ]

    def _severity(self, shares: Sequence[UnitShare], measured: Measurements) -> Severity:
        status = measured[FitVerdict].status if FitVerdict in measured else None
        if learnt(measured):
            return Severity.INFO
        cut = any(share.share >= CUT for share in shares)
        return Severity.INFO if status == "ignores-input" and not cut else self.severity

    def _step(self, layer: LayerRecord, dead: UnitShare, last: int) -> int | None:
        """The first step where the units were dead from the start, the last where they died on the way."""
        from_start = idle_from_start(layer, dead, self.limits["fraction"])
        return None if from_start is None else 0 if from_start else max(0, last)
