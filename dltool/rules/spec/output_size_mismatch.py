"""SPC110 output-size-mismatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, LossTerm, Objective, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.graph import Graph, place_of, place_of_term
from dltool.rules.spec.losses import ELEMENTWISE, INDEX_LOSSES, as_given, class_dim, classes_of, without_last_one
from dltool.rules.spec.shapes import broadcasts

Reason = tuple[str, str, Severity]
PARTS = {"gaussian_nll": 2, "margin_ranking": 2}
"""How many numbers of the output the loss takes for one of the target."""


class OutputSizeMismatch(Rule):
    """The model returns more or fewer numbers than the targets need.

    What it measures: the shape of one sample's output against its target: as many scores as classes, as many numbers as
    targets, two for each where the loss wants a mean and a variance; and class weights against the outputs.

    Why it is bad: a label without an output is an error at best and a crash on a GPU at worst; shapes that do not fit
    stop the first step.

    How to fix: set the size of the last layer to what the finding says; one output and bce_with_logits, or two outputs and
    cross_entropy, for two classes.

    When it is wrong: more outputs than classes (a padding class, a pretrained head of 1,000 classes) work and are
    information alone; where only some of the labels were read, more are not mentioned at all.

    References: PyTorch documentation, "CrossEntropyLoss" (Shape); pytorch issues 1204 and 18014 (a label out of range is an
    opaque CUDA assertion).
    """

    id = "SPC110"
    name = "output-size-mismatch"
    severity = Severity.ERROR
    needs = (Architecture, Objective)
    explains: ClassVar[tuple[str, ...]] = ("label-out-of-range", "missing-class", "surprising-initial-loss")

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        objective, samples = measured[Objective], measured.get(Samples) or Samples()
        graph = Graph(measured[Architecture])
        shaped = [(term, leaves) for term in objective.terms if (leaves := graph.leaves(term)) is not None]
        if not shaped:
            return Skip("the shape of the output is not known")
        if (
            samples.target_kind == "unknown"
            and samples.target_shape is None
            and not any(t.class_weights for t in objective.terms)
        ):
            return Skip("the targets were not looked at")
        return list(self._found(graph, shaped, samples))

    def _found(self, graph: Graph, shaped: list[tuple[LossTerm, tuple[int, ...]]], samples: Samples) -> Iterator[Finding]:
        for term, leaves in shaped:
            end = graph.end(term)
            samples = as_given(term, samples)
            reason = _scores(term, leaves, samples) if term.name in INDEX_LOSSES else _values(term, leaves, samples)
            reason = reason or _weights(term, leaves, samples)
            if reason is not None:
                yield self.finding(
                    reason[0],
                    where=place_of_term(term) if end is None or "weights" in reason[0] else place_of(end),
                    severity=reason[2],
                    cause=f"the last layer returns {leaves} a sample",
                    evidence={
                        "outputs": leaves,
                        "target_shape": samples.target_shape,
                        "classes": samples.classes,
                        "label_max": samples.label_max,
                        "loss": term.name,
                    },
                    advice=(reason[1],),
                )


def _scores(term: LossTerm, leaves: tuple[int, ...], samples: Samples) -> Reason | None:
    """Scores of classes against class numbers, or against one row of shares each."""
    if samples.target_kind != "class-index":
        wanted = samples.target_shape
        if samples.target_kind not in {"one-hot", "probabilities"} or wanted is None or wanted == leaves:
            return None
        return (
            f"the output has shape {leaves} a sample, the targets {wanted}",
            f"end in {wanted[-1]} outputs",
            Severity.ERROR,
        )
    labels = () if samples.target_shape is None else samples.target_shape
    dim = class_dim(leaves, labels)
    if dim is None and samples.target_shape is None:
        return None
    if dim is None:
        hint = "add flatten (or pool over time) before the last layer" if not labels else "one row of scores for each label"
        return f"the output has shape {leaves} a sample, the labels {labels}", hint, Severity.ERROR
    outputs, needed = leaves[dim], classes_of(samples, term)
    if needed is None or outputs == needed:
        return None
    if outputs < needed:
        one = outputs == 1 and needed == 2
        advice = "bce_with_logits as the loss, or two outputs" if one else f"end in {needed} outputs"
        counted = f"{needed} classes" if samples.renumbered else f"labels up to {needed - 1}"
        return f"the model has {_count(outputs, 'output')} for {counted}", advice, Severity.ERROR
    if not samples.all_read or (samples.label_min == 1 and samples.classes == needed - 1):
        return None
    told = f"the model has {_count(outputs, 'output')} for {needed} classes: the others are never right"
    return told, f"{needed} outputs, unless more classes are to come", Severity.INFO


def _values(term: LossTerm, leaves: tuple[int, ...], samples: Samples) -> Reason | None:
    """Numbers against numbers; shapes that broadcast are another rule's matter."""
    wanted = samples.target_shape
    if wanted is None:
        return None
    if term.name in PARTS:
        parts = PARTS[term.name]
        half = (*leaves[:-1], leaves[-1] // parts) if leaves else ()
        if leaves and leaves[-1] % parts == 0 and without_last_one(half) == without_last_one(wanted):
            return None
        numbers = parts * (wanted[-1] if wanted else 1)
        return (
            f"{term.name} takes {parts} numbers of the output for each target",
            f"end in {numbers} outputs",
            Severity.ERROR,
        )
    if term.name not in ELEMENTWISE or without_last_one(leaves) == without_last_one(wanted) or broadcasts(leaves, wanted):
        return None
    advice = f"end in {_count(wanted[-1] if wanted else 1, 'output')}"
    if term.name in {"bce", "bce_with_logits"} and samples.target_kind == "class-index":
        advice += ", or cross_entropy as the loss"
    return f"the output has shape {leaves} a sample, the targets {wanted}", advice, Severity.ERROR


def _weights(term: LossTerm, leaves: tuple[int, ...], samples: Samples) -> Reason | None:
    if term.class_weights is None or not leaves:
        return None
    dim = class_dim(leaves, samples.target_shape or ()) if term.name in INDEX_LOSSES else len(leaves) - 1
    outputs = None if dim is None else leaves[dim]
    if outputs is None or term.class_weights == outputs or (term.class_weights == 1 and term.name not in INDEX_LOSSES):
        return None
    told = f"{term.name} has {term.class_weights} class weights for {_count(outputs, 'output')}"
    return told, "one weight for each class", Severity.ERROR


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
