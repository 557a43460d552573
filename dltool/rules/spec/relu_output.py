"""SPC107 relu-output."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, LossTerm, Objective, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.bounded_output_regression import NO_RANGE
from dltool.rules.spec.change import Evidence, drop, put
from dltool.rules.spec.graph import AVERAGING, NO_END, NO_LOSS, PICKING, Graph, called, place_of
from dltool.rules.spec.losses import INDEX_LOSSES, VALUE_LOSSES, knows_a_loss
from dltool.rules.spec.ranges import RELUS, Bounds, output_bounds
from dltool.rules.spec.unreachable import has_spread, unreachable

WHY: dict[str, str] = {
    "logits": "no class can be voted against, and a unit that is 0 for all samples never learns",
    "probabilities": "a probability is not above 1",
    "log-probabilities": "logarithms of probabilities are not positive",
    "log-rates": "as a logarithm, it allows no rate below 1",
    "signs": "the output cannot be negative",
}

INSTEAD: dict[str, str] = {"bce": "sigmoid", "cross_entropy": "softmax", "log-probabilities": "log_softmax"}


class ReluOutput(Rule):
    """The model ends in a ReLU whose output the loss needs below zero too.

    What it measures: whether the last activation is a ReLU before a loss on logits, probabilities or their logarithms; and
    before a regression loss, whether targets lie below zero by more than noise.

    Why it is bad: an output that is negative for every sample has no gradient and stays 0 for ever. Ten digits behind
    such a ReLU were told apart in 65 to 90 % of the cases in ten runs, where without it 96 to 99 % were.

    How to fix: no activation at the end.

    When it is wrong: targets that are never negative (counts, prices, a regression from 0 up), rates of a Poisson loss with
    `log_input: false`, and features that another layer reads are healthy and not reported. A score that is the mean or the
    largest of many places behind the ReLU is seldom 0 for all samples, and published nets end so: information alone.

    References: Wardat et al. 2022, DeepDiagnosis ("ReLU head with cross-entropy"); NeuraLint (Nikanjam et al. 2021), "wrong
    last activation"; CS231n notes 2016, "Neural networks 1" (no activation on the output layer); Lin et al. 2014, Network
    in network, and Iandola et al. 2016, SqueezeNet (ReLU, then a global average).
    """

    id = "SPC107"
    name = "relu-output"
    severity = Severity.ERROR
    needs = (Architecture, Objective)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="excess",
            default=0.5,
            unit="distance of the lowest target from 0, in standard deviations of the targets",
            source="as bounded-output-regression: noise around 0 stays within, standardised targets go 1.5 and more beyond",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "dead-relu",
        "vanishing-gradient",
        "parameter-not-updated",
        "learning-rate-too-high",
        "learning-rate-too-low",
        "collapsed-representation",
        "non-finite-loss",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        terms = [term for term in measured[Objective].terms if term.expects in WHY or term.name in VALUE_LOSSES]
        if not terms:
            return () if knows_a_loss(measured[Objective]) else Skip(NO_LOSS)
        graph, samples = Graph(measured[Architecture]), measured.get(Samples)
        known = [(term, bounds) for term in terms if (bounds := output_bounds(graph, term)) is not None]
        if not known:
            return Skip(NO_END)
        ending = [(term, bounds) for term, bounds in known if bounds.layer.kind in RELUS]
        reasons = [(term, bounds, self._reason(term, bounds, samples)) for term, bounds in ending]
        if reasons and all(reason == NO_RANGE for _, _, reason in reasons):
            return Skip(NO_RANGE)
        return [
            self.finding(
                f"the model ends in {called(bounds.layer)}, but {term.name} needs outputs below 0 too: {reason}",
                where=place_of(bounds.layer),
                severity=Severity.INFO if _is_pooled(graph, term) else None,
                cause="a ReLU on the output layer",
                evidence={
                    "final_activation": bounds.layer.kind,
                    "loss": term.name,
                    "loss_key": term.key,
                    **_change(term, bounds.layer.key),
                },
                limit=dict(self.limits) if term.name in VALUE_LOSSES else {"loss_expects": term.expects},
                advice=(f"{INSTEAD.get(_taken_for(term), 'nothing')} in the place of the last {bounds.layer.kind}",),
            )
            for term, bounds, reason in reasons
            if reason not in {None, NO_RANGE}
        ]

    def _reason(self, term: LossTerm, bounds: Bounds, samples: Samples | None) -> str | None:
        """What is wrong; ``NO_RANGE`` where it cannot be told, None where nothing is."""
        if (
            term.expects == "log-rates"
            and samples is not None
            and samples.target_min is not None
            and samples.target_min >= 1.0
        ):
            return None
        if term.expects == "probabilities" and term.name == "cross_entropy":
            return "where all scores are 0, no class is likely and nothing is learnt"
        if term.name not in VALUE_LOSSES:
            return WHY[term.expects]
        if not has_spread(samples):
            return NO_RANGE
        far = unreachable(bounds, samples)
        if far is None or far.excess_std <= self.limits["excess"]:
            return None
        return f"targets go {far.side} {far.bound:g}, to {far.target:.3g}"


def _is_pooled(graph: Graph, term: LossTerm) -> bool:
    """Whether each of the scores, which need only differ, is made of several places behind the ReLU."""
    end = graph.end(term)
    if end is None or end.kind not in AVERAGING | PICKING or term.name not in INDEX_LOSSES or term.expects != "logits":
        return False
    return end.arrives is None or end.leaves is None or math.prod(end.arrives) > math.prod(end.leaves)


def _taken_for(term: LossTerm) -> str:
    """What decides which activation belongs there."""
    return term.name if term.expects == "probabilities" else term.expects


def _change(term: LossTerm, key: str | None) -> Evidence:
    right = INSTEAD.get(_taken_for(term))
    return drop(key) if right is None else put(key, right)
