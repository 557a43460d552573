"""CMP104 idle-units-grew."""

from __future__ import annotations

from typing import ClassVar

from dltool.core.finding import Severity
from dltool.rules.base import Threshold
from dltool.rules.compared.regressed import Regressed, noises


class IdleUnitsGrew(Regressed):
    """More units of a layer are dead or saturated than before.

    What it measures: the share of each layer's units that never fire, or are saturated on most samples. It fires where
    that share grew by more than 0.25.

    Why it is bad: such units learn nothing any more, and what they could have done is lost.

    How to fix: a lower rate, another initialisation or normalisation before the layer; see dead-relu and
    saturated-activation.

    When it is wrong: a layer that was made wider on purpose may hold more units than it needs.

    References: Lu et al. 2019, Dying ReLU and initialization; Glorot & Bengio 2010 (saturation).
    """

    id = "CMP104"
    name = "idle-units-grew"
    severity = Severity.WARNING
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        noises("benchmarks/compare.py: runs that differ in their seed alone stay below it"),
    )
    group = "units"
