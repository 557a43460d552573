"""CMP103 flow-changed."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class FlowChanged(Regressed):
    """Gradients, updates, weights or signals of layers are of another size than before.

    What it measures: the median over the run of each parameter's gradient norm, update ratio and weight norm, and of
    each layer's spread of values; at initialisation signals and gradients. It fires, either way, beyond a factor of 5 for
    gradients and updates, 4 for weights and 3 for signals; for the mean over all parameters 3.5, 2.5 and 2; 4 at
    initialisation. A parameter of few numbers, whose norm scatters, has a wider limit.

    Why it is bad: training goes on for a while after a layer was cut off or a normalisation was lost; its sizes tell
    first.

    How to fix: look at the layer that changed most, and at the one before it. After a change of rate, initialisation or
    normalisation that was made on purpose, ignore it.

    When it is wrong: a size that was changed on purpose. Parameters are compared by name, so those that were renamed are
    not.

    References: Glorot & Bengio 2010 (signals and gradients through the depth); Karpathy, CS231n: Neural networks part 3
    (update ratios), documentation of benchmarks/compare.py.
    """

    id = "CMP103"
    name = "flow-changed"
    severity = Severity.WARNING
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("benchmarks/compare.py: runs that differ in their seed alone stay below it"),
    )
    group = "flow"
    verdicts = ("worse", "changed")
