"""SPC109 target-encoding-mismatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, LossTerm, Objective, Samples
from dltool.core.measured.task import DataFacts
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import Evidence, put
from dltool.rules.spec.graph import NO_LOSS, Graph, place_of_term
from dltool.rules.spec.losses import INDEX_LOSSES, SIGN_LOSSES, YES_NO_LOSSES, class_dim, counts_from_one, ignored_label

Reason = tuple[str, str, str]
"""What is wrong, what the loss takes, and what to do."""
WHOLE = frozenset({"class-index", "one-hot", "multi-hot"})


class TargetEncodingMismatch(Rule):
    """The targets are written in another form than the loss reads.

    What it measures: the range and kind of the targets as the loss gets them against its own: class numbers from 0 for
    `cross_entropy` and its kin, 0 to 1 for `bce`, 1 and -1 for `soft_margin` and the embedding losses, shares for `kl_div`.

    Why it is bad: a label from 1 points at the wrong output, and the last at none; bce of a target -1 has no lower end; a
    soft margin of a target 0 has no gradient.

    How to fix: subtract 1 from labels that count from 1; (y + 1) / 2 makes signs zeros and ones, 2 · y - 1 the reverse;
    give class numbers instead of one-hot rows to losses that take them.

    When it is wrong: words and labels that dltool numbers itself are right by construction, the label that the loss ignores
    is no class, and one-hot rows are right for cross_entropy and bce. Labels that lack class 0 by chance are not reported:
    all of 1 to K for K outputs must occur.

    References: PyTorch documentation, "CrossEntropyLoss" (class indices in [0, C)), "BCELoss", "SoftMarginLoss".
    """

    id = "SPC109"
    name = "target-encoding-mismatch"
    severity = Severity.ERROR
    needs = (Objective, Samples)
    explains: ClassVar[tuple[str, ...]] = (
        "label-out-of-range",
        "missing-class",
        "non-finite-loss",
        "surprising-initial-loss",
        "underfitting",
        "not-converged",
        "diverged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        samples, terms = measured[Samples], [t for t in measured[Objective].terms if t.expects != "unknown"]
        if not terms:
            return Skip(NO_LOSS)
        if samples.target_kind == "unknown" and samples.target_min is None and samples.label_min is None:
            return Skip("the targets were not looked at")
        read = measured.get(DataFacts)
        told_by_data = read is not None and read.label_min is not None
        graph = Graph(measured[Architecture]) if Architecture in measured else None
        return list(self._found(terms, samples, graph, told_by_data=told_by_data))

    def _found(
        self, terms: list[LossTerm], samples: Samples, graph: Graph | None, *, told_by_data: bool
    ) -> Iterator[Finding]:
        for term in terms:
            numbering = None if told_by_data else _numbering(term, samples, _outputs(graph, term, samples))
            reason = _form(term, samples) or numbering
            if reason is not None:
                yield self.finding(
                    reason[0],
                    where=place_of_term(term),
                    cause=f"{term.name} takes {reason[1]}",
                    evidence={
                        "target_kind": samples.target_kind,
                        "label_min": samples.label_min,
                        "label_max": samples.label_max,
                        "target_min": samples.target_min,
                        "target_max": samples.target_max,
                        "source_key": samples.source_key,
                        **_change(term, reason[2]),
                    },
                    limit={"targets": reason[1]},
                    advice=(reason[2],),
                )


def _outputs(graph: Graph | None, term: LossTerm, samples: Samples) -> int | None:
    """How many classes the model has scores for."""
    leaves = None if graph is None else graph.leaves(term)
    dim = None if leaves is None else class_dim(leaves, samples.target_shape or ())
    return None if leaves is None or dim is None else leaves[dim]


def _numbering(term: LossTerm, samples: Samples, outputs: int | None) -> Reason | None:
    """Labels that do not count from 0; where the data themselves are judged, rules on the data tell."""
    low, high = samples.label_min, samples.label_max
    if term.name not in INDEX_LOSSES or samples.renumbered or samples.target_kind != "class-index" or low is None:
        return None
    if low < 0 and low != ignored_label(term):
        return f"labels go down to {low}", "class numbers from 0", "number the classes from 0"
    roomy = outputs is not None and high is not None and outputs > high
    if not roomy and counts_from_one(term, samples):
        return f"the labels run from 1 to {high}; classes count from 0", "class numbers from 0", "subtract 1 from the labels"
    return None


def _form(term: LossTerm, samples: Samples) -> Reason | None:
    """Targets in a form that the loss cannot read."""
    kind = samples.target_kind
    low, high = _range(samples)
    if term.name in INDEX_LOSSES - {"cross_entropy"} and kind in {"one-hot", "probabilities"}:
        return f"the targets are {kind} rows", "the number of the class", "cross_entropy as the loss, or leave out one_hot"
    if term.name == "cross_entropy" and kind in {"one-hot", "multi-hot"} and samples.integer_targets:
        return "the one-hot targets are whole numbers", "class numbers, or rows of floats", "give class numbers"
    several = kind == "class-index" and (samples.classes or 0) > 2
    if (
        term.name in YES_NO_LOSSES
        and not several
        and low is not None
        and high is not None
        and not (low >= 0.0 and high <= 1.0)
    ):
        return f"targets go from {low:g} to {high:g}", "0 to 1", "(y + 1) / 2 for signs; subtract 1 from labels 1 and 2"
    if term.name in SIGN_LOSSES and low == 0.0 and high == 1.0 and kind in WHOLE | {"numbers", "counts"}:
        return "the targets are 0 and 1", "1 and -1", "bce_with_logits as the loss, which takes 0 and 1; or 2 · y - 1"
    if term.name == "kl_div":
        logarithms = term.arguments.get("log_target") is True
        if logarithms and high is not None and high > 0.0:
            return f"targets go up to {high:g}", "logarithms of probabilities", "leave out log_target"
        if not logarithms and ((low is not None and low < 0.0) or kind == "class-index"):
            return "the targets are no probabilities", "probabilities", "softmax the targets, or log_target: true"
    return None


def _range(samples: Samples) -> tuple[float | None, float | None]:
    if samples.target_min is not None or samples.target_max is not None:
        return samples.target_min, samples.target_max
    if samples.renumbered:
        return None, None
    return samples.label_min, samples.label_max


def _change(term: LossTerm, advice: str) -> Evidence:
    """The loss that reads the targets as they are."""
    loss, _, rest = advice.partition(" ")
    return put(term.key, loss) if rest.startswith("as the loss") and term.name != "hinge_embedding" else {}
