"""SPC106 bounded-output-regression."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, Objective, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import drop
from dltool.rules.spec.graph import NO_END, NO_LOSS, RECURRENT, Graph, called, place_of
from dltool.rules.spec.losses import VALUE_LOSSES, knows_a_loss, terms_named
from dltool.rules.spec.ranges import RELUS, Bounds, output_bounds
from dltool.rules.spec.unreachable import has_spread, unreachable

NO_RANGE = "the range of the targets is not known, or not finite"


class BoundedOutputRegression(Rule):
    """The model can only return numbers of a range that many of the targets lie outside of.

    What it measures: the range of the last activation (or recurrent layer) against the targets as the loss gets them, after
    any normalisation: how far the farthest target is out of reach, where targets one deviation from their mean are at
    the bound too.

    Why it is bad: the nearest that the model can come is its bound; it saturates there and the gradient dies.

    How to fix: no activation at the end of a regression, or bring the targets into its range (`normalize_target: minmax`
    for a sigmoid).

    When it is wrong: sigmoid for targets in [0, 1], tanh for targets in [-1, 1], and noise or a few outliers beyond are
    healthy and not reported.

    References: Wardat et al. 2022, DeepDiagnosis ("out of range": targets outside the last activation's range);
    Goodfellow, Bengio & Courville 2016, Deep learning, section 6.2.2.1 (linear units for Gaussian output).
    """

    id = "SPC106"
    name = "bounded-output-regression"
    severity = Severity.ERROR
    needs = (Architecture, Objective)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="excess",
            default=0.5,
            unit="distance of the farthest target from the bound, in standard deviations of the targets",
            source="convention: a sinusoid with noise of 0.1 goes 0.42 beyond tanh, standardised targets 1.5 and more",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "saturated-activation",
        "vanishing-gradient",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "collapsed-representation",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        terms = list(terms_named(measured[Objective], VALUE_LOSSES))
        if not terms:
            return () if knows_a_loss(measured[Objective]) else Skip(NO_LOSS)
        graph = Graph(measured[Architecture])
        known = [(term, bounds) for term in terms if (bounds := output_bounds(graph, term)) is not None]
        if not known:
            return Skip(NO_END)
        known = [(term, bounds) for term, bounds in known if bounds.layer.kind not in RELUS and bounds.is_bounded]
        samples = measured.get(Samples)
        if known and not has_spread(samples):
            return Skip(NO_RANGE)
        return [
            self.finding(
                f"the output of {called(bounds.layer)} is {bounds.told}, but targets go {far.side} it, to {far.target:.3g}",
                where=place_of(bounds.layer),
                cause=f"{term.name} compares the output with targets that it cannot reach",
                evidence={
                    "output_low": bounds.low,
                    "output_high": bounds.high,
                    "target_mean": None if samples is None else samples.target_mean,
                    "target_std": None if samples is None else samples.target_std,
                    "farthest_target": far.target,
                    "excess_std": far.excess_std,
                    **({} if bounds.layer.kind in RECURRENT else drop(bounds.layer.key)),
                },
                limit={"excess": self.limits["excess"]},
                advice=(_advice(bounds), "scale the targets into its range"),
            )
            for term, bounds in known
            if (far := unreachable(bounds, samples)) is not None and far.excess_std > self.limits["excess"]
        ]


def _advice(bounds: Bounds) -> str:
    kind = bounds.layer.kind
    return "add a linear layer behind it" if kind in RECURRENT else f"drop the last {kind}"
