"""SPC101 softmax-before-cross-entropy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Architecture, Objective
from dltool.core.measurements import Measurements, Output, Task
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import drop
from dltool.rules.spec.graph import NO_END, Graph, called, place_of
from dltool.rules.spec.losses import applies_softmax
from dltool.rules.spec.ranges import SOFTMAXES
from dltool.rules.spec.softmax_dim import softmax_size

ADVICE = ("drop the last softmax", "say cross_entropy: {from_logits: false}")


class SoftmaxBeforeCrossEntropy(Rule):
    """The model ends in a softmax, and the loss applies another one.

    What it measures: whether the layers end in a softmax while the loss expects logits; in training also whether the
    outputs on real samples are non-negative rows that sum to one, however they were made.

    Why it is bad: cross-entropy applies a log-softmax itself. On probabilities it can never fall below ln(1 + (K - 1) / e),
    1.46 for ten classes, and its gradient is weak wherever the softmax is sure.

    How to fix: drop the last softmax and keep it for prediction, or tell the loss (`cross_entropy: {from_logits: false}`).

    When it is wrong: log_softmax before cross-entropy changes nothing and is not reported. A single output unit always
    sums to one and is another rule's matter; a softmax inside the model (attention, a gate) is nobody's.

    References: PyTorch documentation, "CrossEntropyLoss" (input: unnormalised logits); PyTorch forum thread 43814.
    """

    id = "SPC101"
    name = "softmax-before-cross-entropy"
    severity = Severity.ERROR
    needs = ()
    explains: ClassVar[tuple[str, ...]] = (
        "vanishing-gradient",
        "learning-rate-too-low",
        "learning-rate-too-high",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        designed = self._judge_design(measured) if Architecture in measured and Objective in measured else None
        if designed:
            return designed
        if Output in measured and Task in measured:
            return self._judge_outputs(measured[Output], measured[Task])
        return Skip(NO_END if Architecture in measured else "not measured: output") if designed is None else ()

    def _judge_design(self, measured: Measurements) -> list[Finding] | None:
        """None where it cannot be told."""
        graph, terms = Graph(measured[Architecture]), measured[Objective].terms
        ends = [(term, end) for term in terms if (end := graph.end(term)) is not None]
        if not ends:
            return None
        return [
            self.finding(
                f"{called(end)} gives probabilities already, and cross_entropy applies another softmax to them",
                where=place_of(end),
                cause=f"the last layer is {end.kind}, and the loss takes logits",
                evidence={"final_activation": end.kind, "loss": term.name, "loss_key": term.key, **drop(end.key)},
                limit={"loss_expects": term.expects},
                advice=ADVICE,
            )
            for term, end in ends
            if applies_softmax(term) and end.kind in SOFTMAXES and softmax_size(end) != 1
        ]

    def _judge_outputs(self, output: Output, task: Task) -> Iterable[Finding] | Skip:
        if output.loss_expects == "unknown" or output.rows_sum_to_one is None:
            return Skip("what the loss expects, or whether the outputs are rows of class scores, is not known")
        if "cross_entropy" not in task.loss or output.loss_expects != "logits":
            return ()
        if not (output.rows_sum_to_one and output.non_negative):
            return ()
        return [
            self.finding(
                "the outputs are probabilities already, and cross-entropy applies another softmax to them",
                where=Where(phase="loss", module=output.final_module),
                cause=None if output.final_activation is None else f"the last activation is {output.final_activation}",
                evidence={"rows_sum_to_one": True, "final_activation": output.final_activation},
                limit={"loss_expects": output.loss_expects},
                advice=ADVICE,
            )
        ]
