"""What SPC101 and SPC103 share: the model ends in the very function that its loss applies again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding
from dltool.core.measured.design import Architecture, DesignedLayer, LossTerm, Objective
from dltool.core.measured.task import Output, Task
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import drop
from dltool.rules.spec.graph import NO_END, Graph, called, place_of


class AppliedTwice(Rule):
    """Judged by the structure where that is known, else by the outputs that a run measured."""

    function: ClassVar[str]
    advice: ClassVar[tuple[str, ...]]
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

    @abstractmethod
    def applied(self, term: LossTerm, end: DesignedLayer) -> bool:
        """Whether the loss applies again what the model ends in."""

    @abstractmethod
    def judge_outputs(self, output: Output, task: Task) -> Iterable[Finding] | Skip:
        """The same from what the model returns, however it was made."""

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        designed = self._judge_design(measured) if Architecture in measured and Objective in measured else None
        if designed:
            return designed
        if Output in measured and Task in measured:
            return self.judge_outputs(measured[Output], measured[Task])
        return Skip(NO_END if Architecture in measured else "not measured: output") if designed is None else ()

    def _judge_design(self, measured: Measurements) -> list[Finding] | None:
        """None where it cannot be told."""
        graph, terms = Graph(measured[Architecture]), measured[Objective].terms
        ends = [(term, end) for term in terms if (end := graph.end(term)) is not None]
        if not ends:
            return None
        return [
            self.finding(
                f"{called(end)} gives probabilities already, and {term.name} applies another {self.function} to them",
                where=place_of(end),
                cause=f"the last layer is {end.kind}, and the loss takes logits",
                evidence={"final_activation": end.kind, "loss": term.name, "loss_key": term.key, **drop(end.key)},
                limit={"loss_expects": "logits"},
                advice=self.advice,
            )
            for term, end in ends
            if self.applied(term, end)
        ]
