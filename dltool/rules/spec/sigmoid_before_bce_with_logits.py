"""SPC103 sigmoid-before-bce-with-logits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Architecture, Objective
from dltool.core.measurements import Measurements, Output, Task
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import drop
from dltool.rules.spec.graph import NO_END, Graph, called, place_of
from dltool.rules.spec.losses import applies_sigmoid
from dltool.rules.spec.ranges import SIGMOIDS

ADVICE = ("drop the last sigmoid", "bce as the loss, which takes probabilities")


class SigmoidBeforeBceWithLogits(Rule):
    """The model ends in a sigmoid, and the loss applies another one.

    What it measures: whether the layers end in a sigmoid while the loss (bce_with_logits, multilabel_soft_margin,
    soft_margin) takes logits; in training also whether the last module to act is a sigmoid and all outputs are shares.

    Why it is bad: the second sigmoid sees numbers between 0 and 1 alone and makes 0.5 to 0.73 of them: no sample can be
    called a sure no, and the loss stays above 0.69 for every one of them.

    How to fix: drop the sigmoid and keep it for prediction, or take `bce`, which expects probabilities.

    When it is wrong: a sigmoid inside the model (a gate, squeeze-and-excitation, attention) is healthy, as is one before
    `bce`, before `mse`, or before a layer that scales it.

    References: PyTorch documentation, "BCEWithLogitsLoss" (combines a Sigmoid layer and the BCELoss); Wardat et al. 2021,
    DeepLocalize.
    """

    id = "SPC103"
    name = "sigmoid-before-bce-with-logits"
    severity = Severity.ERROR
    needs = ()
    explains: ClassVar[tuple[str, ...]] = (
        "vanishing-gradient",
        "learning-rate-too-low",
        "learning-rate-too-high",
        "saturated-activation",
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
                f"{called(end)} gives probabilities already, and {term.name} applies another sigmoid to them",
                where=place_of(end),
                cause=f"the last layer is {end.kind}, and the loss takes logits",
                evidence={"final_activation": end.kind, "loss": term.name, "loss_key": term.key, **drop(end.key)},
                limit={"loss_expects": "logits"},
                advice=ADVICE,
            )
            for term, end in ends
            if applies_sigmoid(term) and end.kind in SIGMOIDS
        ]

    def _judge_outputs(self, output: Output, task: Task) -> Iterable[Finding]:
        if "bce_with_logits" not in task.loss or output.final_activation != "sigmoid" or not output.within_unit_interval:
            return ()
        return [
            self.finding(
                "the outputs are probabilities already, and the loss applies another sigmoid to them",
                where=Where(phase="loss", module=output.final_module),
                cause="the last module to act is a sigmoid, and every output lies between 0 and 1",
                evidence={"within_unit_interval": True, "final_activation": output.final_activation},
                limit={"loss_expects": output.loss_expects},
                advice=ADVICE,
            )
        ]
