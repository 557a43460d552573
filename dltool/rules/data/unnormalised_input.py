"""DAT107 unnormalised-input."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import DataFacts, Layers, Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.learnt import lowered


class UnnormalisedInput(Rule):
    """The inputs are far from the unit scale that initialisation and rates assume.

    What it measures: the root mean square of all inputs of the training split, as the model gets them (after the
    spec's normalisation).

    Why it is bad: the first layer's outputs and gradients scale with it, the curvature with its square: units
    saturate or die, and the largest stable learning rate shrinks by the square.

    How to fix: `data.normalize: standard` (or minmax), fitted on the training split.

    When it is wrong: a net that begins with a normalisation layer takes care of it and is not accused. If the run
    learnt well the finding is lowered to information.

    References: LeCun et al. 1998, Efficient BackProp, section 4.3; Lones 2021, How to avoid machine learning
    pitfalls.
    """

    id = "DAT107"
    name = "unnormalised-input"
    severity = Severity.WARNING
    needs = (DataFacts,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="largest",
            default=10.0,
            unit="root mean square of the inputs",
            source="LeCun et al. 1998 ask for 1; curvature grows with the square: at 10 the stable rate is a hundredth",
        ),
        Threshold(
            name="smallest",
            default=0.01,
            unit="root mean square of the inputs",
            source="LeCun et al. 1998 ask for 1; at 0.01 first-layer gradients are a hundredth of what rates are made for",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "learning-rate-too-high",
        "learning-rate-too-low",
        "exploding-gradient",
        "saturated-activation",
        "dead-relu",
        "surprising-initial-loss",
        "oscillating-loss",
        "diverged",
        "not-converged",
        "plateau",
        "underfitting",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        facts = measured[DataFacts]
        if facts.input_mean is None or facts.input_std is None:
            return Skip("the inputs are not numbers on a scale")
        if _starts_with_norm(measured):
            return ()
        size = math.hypot(facts.input_mean, facts.input_std)
        if self.limits["smallest"] <= size <= self.limits["largest"]:
            return ()
        return [
            self.finding(
                f"the inputs have a root mean square of {size:.3g} (mean {facts.input_mean:.3g}, "
                f"standard deviation {facts.input_std:.3g}), not about 1",
                severity=lowered(self.severity, measured),
                where=Where(phase="input", key="data.normalize"),
                evidence={
                    "rms": size,
                    "mean": facts.input_mean,
                    "std": facts.input_std,
                    "min": facts.input_min,
                    "max": facts.input_max,
                },
                limit=dict(self.limits),
                advice=("set data.normalize: standard",),
            )
        ]


def _starts_with_norm(measured: Measurements) -> bool:
    layers = measured[Layers].layers if Layers in measured else ()
    first = next((layer for layer in layers if layer.parameters > 0), None)
    return first is not None and "norm" in first.kind.lower()
