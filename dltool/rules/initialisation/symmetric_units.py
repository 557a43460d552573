"""INI105 symmetric-units."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import Parameters, SymmetricUnits, Symmetry
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold


class SymmetricUnitsAtStart(Rule):
    """Units of a layer start alike, get the same gradient, and so stay alike for ever.

    What it measures: how many units of a layer hold distinct weights at the start, how many get distinct gradients
    there, and how many are distinct at the end (for `init-stats`: after one step). It fires when at most `distinct` of them
    are, in all three.

    Why it is bad: a layer of identical units is a layer of one unit, however wide.

    How to fix: initialise with random numbers (kaiming_normal, xavier_normal); keep constants for biases and for the
    scale of normalisation layers.

    When it is wrong: an output layer that starts at zero gets a different gradient for every unit, and dropout breaks the
    symmetry too; neither fires. Frozen layers (a fixed averaging filter) are left out.

    References: Goodfellow, Bengio & Courville 2016, Deep learning, section 8.4 ("break symmetry"); Glorot & Bengio 2010.
    """

    id = "INI105"
    name = "symmetric-units"
    severity = Severity.ERROR
    needs = (Symmetry,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="distinct",
            default=0.5,
            unit="share of a layer's units that differ from all others",
            source="convention: half of the layer's width is lost; constant initialisation leaves one distinct unit",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "vanishing-activations",
        "vanishing-gradients-at-init",
        "dead-relu",
        "saturated-activation",
        "collapsed-representation",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        known = measured.get(Parameters)
        if known is not None and known.steps < 1:
            return Skip("no optimizer step was taken, so whether the units part is not known")
        frozen = set() if known is None else {p.name for p in known.parameters if not p.requires_grad}
        return [
            self.finding(
                f"the {layer.units} units of layer {layer.module} start alike and get the same gradient; "
                f"{'after one step' if known is None else 'at the end'} {_at_the_end(layer.distinct_weights_last)}",
                where=Where(phase="parameter", module=layer.module, parameter=layer.parameter),
                cause="a constant initialisation: nothing tells the units apart",
                evidence={
                    "units": layer.units,
                    "distinct_weights": layer.distinct_weights,
                    "distinct_gradients": layer.distinct_gradients,
                    "distinct_weights_last": layer.distinct_weights_last,
                },
                limit={"distinct": self.limits["distinct"]},
                advice=("initialise with random numbers: kaiming_normal for ReLU, xavier_normal for tanh and sigmoid",),
            )
            for layer in measured[Symmetry].layers
            if layer.parameter not in frozen and self._alike(layer)
        ]

    def _alike(self, layer: SymmetricUnits) -> bool:
        most = self.limits["distinct"] * layer.units
        counts = (layer.distinct_weights, layer.distinct_gradients, layer.distinct_weights_last)
        return layer.units >= 2 and all(count <= most for count in counts)


def _at_the_end(distinct: int) -> str:
    return "they are all the same still" if distinct == 1 else f"there are only {distinct} different ones among them"
