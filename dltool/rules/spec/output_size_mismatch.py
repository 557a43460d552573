"""SPC110 output-size-mismatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, LossTerm, Objective, Samples
from dltool.core.measured.task import DataFacts
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.graph import ARITHMETIC, TRANSPARENT, Graph, place_of, place_of_term
from dltool.rules.spec.losses import as_given
from dltool.rules.spec.output_sizes import cure, size_reason

PRODUCTS = frozenset({"matmul", "einsum", "cdist"})


class OutputSizeMismatch(Rule):
    """The model returns more or fewer numbers than the targets need.

    What it measures: the shape of one sample's output against its target: as many scores as classes, as many numbers as
    targets, two for each where the loss wants a mean and a variance; and class weights against the outputs.

    Why it is bad: a label without an output is an error at best and a crash on a GPU at worst; shapes that do not fit
    stop the first step.

    How to fix: set the size of the last layer to what the finding says; one output and bce_with_logits, or two outputs and
    cross_entropy, for two classes.

    When it is wrong: more outputs than classes (a padding class, a pretrained head of 1,000 classes) work and are
    information alone; where only some of the labels were read, more are not mentioned at all. Similarities among the samples
    of a batch (CLIP, InfoNCE) are as many as the batch is large, and not reported. A few stray labels are no class that the
    model lacks: where all rows were read, they are left to `label-out-of-range`, which names them.

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
        if _few_strays(measured.get(DataFacts), samples.train_samples):
            return ()
        return list(self._found(graph, shaped, samples))

    def _found(self, graph: Graph, shaped: list[tuple[LossTerm, tuple[int, ...]]], samples: Samples) -> Iterator[Finding]:
        for term, leaves in shaped:
            if _compares_samples(graph, term):
                continue
            end = graph.end(term)
            samples = as_given(term, samples)
            reason = size_reason(term, leaves, samples)
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
                        **cure(term, end, reason[1]),
                    },
                    advice=(reason[1],),
                )


def _few_strays(read: DataFacts | None, samples: int | None) -> bool:
    """Whether labels beyond the outputs are fewer than a quarter of what an average class has."""
    if read is None or not read.outputs or not samples:
        return False
    strays = sum(problem.count for problem in read.out_of_range)
    return 0 < strays < 0.25 * samples / read.outputs


def _compares_samples(graph: Graph, term: LossTerm) -> bool:
    """Whether the scores are products of one result of the model with another: as many as there are samples in a batch."""
    end = graph.end(term, ARITHMETIC | TRANSPARENT)
    return end is not None and end.kind in PRODUCTS and len(end.follows) > 1
