"""DAT107 unnormalised-input."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.scan_tables import Feature, FeatureTable
from dltool.core.measured.task import DataFacts
from dltool.core.measured.training import Layers
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.data.columns import named
from dltool.rules.learnt import lowered


class UnnormalisedInput(Rule):
    """The inputs are far from the unit scale that initialisation and rates assume.

    What it measures: the root mean square of all inputs of the training split, as the model gets them (after the
    spec's normalisation). A scan, which does not know what becomes of the columns, compares their standard deviations;
    a ratio of `ratio` is information.

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
    needs = ()
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
        Threshold(
            name="ratio",
            default=1000.0,
            unit="largest over smallest standard deviation of scanned columns",
            source="curvature differs by the square (LeCun et al. 1998, section 5.3): no rate suits both",
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
        if DataFacts not in measured:
            return self._judge_scan(measured[FeatureTable]) if FeatureTable in measured else Skip("not measured: data")
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

    def _judge_scan(self, table: FeatureTable) -> list[Finding]:
        spread = sorted((f.std, f.name) for f in named(table.features) if f.std is not None and _is_measure(f))
        if len(spread) < 2 or not spread[-1][0] >= self.limits["ratio"] * spread[0][0]:
            return []
        (least, small), (most, large) = spread[0], spread[-1]
        return [
            self.finding(
                f"columns are on different scales: {large} has a standard deviation of {most:.3g}, {small} of {least:.3g}",
                severity=Severity.INFO,
                where=Where(phase="input", key="columns"),
                evidence={"largest": large, "largest_std": most, "smallest": small, "smallest_std": least},
                limit={"ratio": self.limits["ratio"]},
                advice=("standardise the columns with numbers of the training split (data.normalize: standard)",),
            )
        ]


def _is_measure(feature: Feature) -> bool:
    """Whether a column is a quantity: it varies, is no flag and does not merely number the rows."""
    numbers_rows = feature.distinct == feature.rows and _span(feature) == feature.rows - 1
    flag = feature.distinct is not None and feature.distinct <= 2
    varies = feature.std is not None and not feature.std <= 0.0
    return varies and not feature.target and not flag and not numbers_rows


def _span(feature: Feature) -> float:
    return math.nan if feature.minimum is None or feature.maximum is None else feature.maximum - feature.minimum


def _starts_with_norm(measured: Measurements) -> bool:
    layers = measured[Layers].layers if Layers in measured else ()
    first = next((layer for layer in layers if layer.parameters > 0), None)
    return first is not None and "norm" in first.kind.lower()
