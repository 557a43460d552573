"""SPC105 wrong-output-activation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, DesignedLayer, LossTerm, Objective, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import Evidence, drop, put
from dltool.rules.spec.graph import INPUT, NO_END, NO_LOSS, RECURRENT, TRANSPARENT, Graph, called, place_of
from dltool.rules.spec.losses import applies_sigmoid, applies_softmax, knows_a_loss
from dltool.rules.spec.ranges import LOGARITHMS, RELUS, SIGMOIDS, SOFTMAXES, UNBOUNDED, Bounds, output_bounds
from dltool.rules.spec.reach import least_chance, wanted_chance
from dltool.rules.spec.softmax_dim import OVER_A_DIM, softmax_size

Reason = tuple[str, str, Severity]
"""What is wrong, what to do, and how grave it is."""


class WrongOutputActivation(Rule):
    """The activation at the end of the model does not go with the loss.

    What it measures: the range of the last activation against what the loss takes. Logits: the highest probability that
    a right class can ever get. Probabilities, their logarithms and rates: whether the output is one at all.

    Why it is bad: a tanh before cross-entropy keeps ten classes below 0.45 each, whatever the net learns; a softplus
    before bce_with_logits can never say no; nll takes softmax's output for logarithms; the logarithm of a tanh is NaN.

    How to fix: no activation before a loss on logits; sigmoid before `bce`, log_softmax before `nll` and `kl_div`.

    When it is wrong: where each class can still win the finding is a warning. Softmax before cross-entropy, sigmoid before
    bce_with_logits and ReLU have rules of their own. A capped logit (30 · tanh(x / 30)) ends in a product: not reported.

    References: Wardat et al. 2021, DeepLocalize; NeuraLint (Nikanjam et al. 2021), "wrong last activation"; Szegedy et al.
    2016, Rethinking the Inception architecture (targets of 0.9).
    """

    id = "SPC105"
    name = "wrong-output-activation"
    severity = Severity.ERROR
    needs = (Architecture, Objective)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="chance",
            default=0.9,
            unit="highest probability that the output can give to a right class",
            source="Szegedy et al. 2016: label smoothing asks for no more than 0.9, the least sure targets in common use",
        ),
        Threshold(
            name="even",
            default=0.5,
            unit="the same; at or below it the finding is an error: no class can be more likely than not",
            source="digits through a tanh (0.45) still reach 96 to 99 % accuracy in 3 seeds, but no loss below 0.8",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "non-finite-loss",
        "non-finite-backward",
        "vanishing-gradient",
        "saturated-activation",
        "learning-rate-too-low",
        "learning-rate-too-high",
        "surprising-initial-loss",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        objective, graph = measured[Objective], Graph(measured[Architecture])
        if not knows_a_loss(objective):
            return Skip(NO_LOSS)
        known = [(term, bounds) for term in objective.terms if (bounds := output_bounds(graph, term)) is not None]
        if not known:
            return Skip(NO_END)
        return list(self._found(graph, known, measured.get(Samples)))

    def _found(self, graph: Graph, known: list[tuple[LossTerm, Bounds]], samples: Samples | None) -> Iterator[Finding]:
        for term, bounds in known:
            if bounds.layer.kind in RELUS or bounds.layer.kind in UNBOUNDED:
                continue
            reason = self._logits(term, bounds, samples, graph.leaves(term)) or _other(term, bounds, samples)
            reason = reason or _wrong_softmax(term, graph, bounds.layer)
            if reason is not None:
                change = {} if bounds.layer.kind in RECURRENT else _change(bounds.layer.key, reason[1])
                yield self.finding(
                    f"{called(bounds.layer)} does not go with {term.name}: {reason[0]}",
                    where=place_of(bounds.layer),
                    severity=reason[2],
                    cause=f"{term.name} takes {term.expects}; the output is {bounds.told}",
                    evidence={"final_activation": bounds.layer.kind, "loss": term.name, "loss_key": term.key, **change},
                    limit=dict(self.limits),
                    advice=(reason[1],),
                )

    def _logits(
        self, term: LossTerm, bounds: Bounds, samples: Samples | None, leaves: tuple[int, ...] | None
    ) -> Reason | None:
        kind = bounds.layer.kind
        own = (applies_softmax(term) and kind in SOFTMAXES) or (applies_sigmoid(term) and kind in SIGMOIDS)
        if own or not (applies_softmax(term) or applies_sigmoid(term)):
            return None
        chance = least_chance(term, bounds, samples, leaves)
        if chance is None or chance >= min(self.limits["chance"], wanted_chance(term, samples)):
            return None
        grave = Severity.ERROR if not chance > self.limits["even"] else Severity.WARNING
        advice = "add a linear layer behind it" if kind in RECURRENT else f"drop the last {kind}"
        return f"no right answer can get a probability above {chance:.2f}", advice, grave


def _other(term: LossTerm, bounds: Bounds, samples: Samples | None) -> Reason | None:
    """What is wrong with an output that is taken for probabilities, their logarithms or rates."""
    kind = bounds.layer.kind
    multi = samples is not None and samples.target_kind == "multi-hot" and (samples.target_shape or (0,))[-1] > 1
    if term.name == "bce" and term.expects == "probabilities":
        if not (bounds.low >= 0.0 and bounds.high <= 1.0):
            return "it gives no probabilities", "sigmoid, or no activation and bce_with_logits", Severity.ERROR
        if kind in SOFTMAXES and multi:
            return "its outputs share one 1 among them, but a sample has several labels", "sigmoid", Severity.ERROR
    if term.name == "cross_entropy" and term.expects == "probabilities" and not bounds.low >= 0.0:
        return "it gives no probabilities", "softmax, or none and no from_logits: false", Severity.ERROR
    if term.expects == "log-probabilities" and kind not in LOGARITHMS and not bounds.high <= 0.0:
        return "it gives no logarithms of probabilities", "log_softmax", Severity.ERROR
    if term.expects == "rates" and not bounds.low >= 0.0:
        return "a rate cannot be negative", "softplus, or no activation and no log_input: false", Severity.ERROR
    if term.expects == "log-rates" and bounds.low >= 0.0 and not _above_one(samples):
        return "as a logarithm, it allows no rate below 1", f"drop the last {kind}, or log_input: false", Severity.ERROR
    return None


def _wrong_softmax(term: LossTerm, graph: Graph, layer: DesignedLayer) -> Reason | None:
    """A softmax among the samples of the batch, or of what is one already."""
    if term.expects not in {"probabilities", "log-probabilities"} or layer.kind not in OVER_A_DIM or layer.arrives is None:
        return None
    if layer.arguments.get("dim") in {0, -1 - len(layer.arrives)}:
        return "it runs over dimension 0, in which the samples of a batch share one 1", "dim=1, the classes", Severity.ERROR
    before = graph.back(layer.follows[0], TRANSPARENT) if len(layer.follows) == 1 else INPUT
    if before != INPUT and graph.layers[before].kind in SOFTMAXES and softmax_size(graph.layers[before]) != 1:
        return f"what it takes is a {graph.layers[before].kind} already", "drop the one before it", Severity.ERROR
    return None


def _above_one(samples: Samples | None) -> bool:
    return samples is not None and samples.target_min is not None and samples.target_min >= 1.0


def _change(key: str | None, advice: str) -> Evidence:
    """What the advice begins with: another activation, or none; nothing where it is about another layer or argument."""
    if advice.startswith("drop the last"):
        return drop(key)
    right = advice.split(",", maxsplit=1)[0]
    return put(key, right) if right in {"sigmoid", "softmax", "log_softmax", "softplus"} else {}
