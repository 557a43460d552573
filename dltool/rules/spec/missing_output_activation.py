"""SPC104 missing-output-activation."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, LossTerm, Objective
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import Evidence, below, drop, put
from dltool.rules.spec.graph import KEEPS_RANGE, NO_END, NO_LOSS, Graph, called, place_of
from dltool.rules.spec.losses import knows_a_loss
from dltool.rules.spec.ranges import UNBOUNDED

WANTED: dict[str, tuple[str, str]] = {
    "cross_entropy": ("softmax", "leave out from_logits: false"),
    "bce": ("sigmoid", "bce_with_logits as the loss, which is exact for large logits too"),
    "nll": ("log_softmax", "cross_entropy as the loss, which has it built in"),
    "kl_div": ("log_softmax", "make sure of the order: kl_div takes log-probabilities first"),
    "ctc": ("log_softmax", "ctc takes log-probabilities (N, T, C)"),
    "poisson_nll": ("softplus", "leave out log_input: false, so that the output is the logarithm of the rate"),
}
"""By the loss: the activation that makes what it takes, and the way round."""


class MissingOutputActivation(Rule):
    """The loss takes probabilities (or their logarithms, or rates), and the model returns raw scores.

    What it measures: whether the model ends in a linear layer, convolution or normalisation while the loss takes the
    output for probabilities (`bce`, `cross_entropy: {from_logits: false}`), log-probabilities (`nll`, `kl_div`, `ctc`) or
    rates (`poisson_nll: {log_input: false}`).

    Why it is bad: the logarithm of a negative score is NaN; and an nll of raw scores has no lower end: it falls for ever
    by growing one score, whatever the sample.

    How to fix: end in the activation that the loss wants, or take the loss that has it built in.

    When it is wrong: outputs that arithmetic of the user's own brought into range are not followed, and not reported.

    References: PyTorch documentation, "BCELoss", "NLLLoss" (obtaining log-probabilities: add a LogSoftmax layer); NeuraLint
    (Nikanjam et al. 2021), rule "missing softmax / sigmoid"; UMLAUT (Schoop et al. 2021).
    """

    id = "SPC104"
    name = "missing-output-activation"
    severity = Severity.ERROR
    needs = (Architecture, Objective)
    explains: ClassVar[tuple[str, ...]] = (
        "non-finite-loss",
        "non-finite-backward",
        "non-finite-update",
        "exploding-gradient",
        "surprising-initial-loss",
        "learning-rate-too-high",
        "diverged",
        "underfitting",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        terms = measured[Objective].terms
        if not knows_a_loss(measured[Objective]):
            return Skip(NO_LOSS)
        graph = Graph(measured[Architecture])
        ends = [(term, end) for term in terms if (end := graph.end(term, KEEPS_RANGE)) is not None]
        if not ends:
            return Skip(NO_END)
        return [
            self.finding(
                f"{term.name} takes {term.expects}, but the model ends in {called(end)}, which returns any number",
                where=place_of(end),
                cause=f"no {WANTED[term.name][0]} stands between the last layer and the loss",
                evidence={"final_layer": end.kind, "loss": term.name, "loss_key": term.key, **_change(term)},
                limit={"loss_expects": term.expects},
                advice=(f"add {WANTED[term.name][0]} as the last layer", WANTED[term.name][1]),
            )
            for term, end in ends
            if end.kind in UNBOUNDED and _is_bare(term)
        ]


def _is_bare(term: LossTerm) -> bool:
    return term.expects in {"probabilities", "log-probabilities", "rates"} and term.name in WANTED


def _change(term: LossTerm) -> Evidence:
    """The loss that has the activation built in, where it takes the same arguments."""
    if term.name == "cross_entropy":
        return drop(below(term.key, "cross_entropy", "from_logits"))
    if term.name == "poisson_nll":
        return drop(below(term.key, "poisson_nll", "log_input"))
    built_in = {"nll": "cross_entropy", "bce": "bce_with_logits"}.get(term.name)
    plain = term.class_weights is None and term.arguments.get("weight") is None
    return put(term.key, built_in) if built_in is not None and plain else {}
