"""SPC108 loss-task-mismatch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, LossTerm, Objective, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.change import put
from dltool.rules.spec.graph import NO_LOSS, Graph, place_of_term
from dltool.rules.spec.losses import INDEX_LOSSES, VALUE_LOSSES, YES_NO_LOSSES
from dltool.rules.spec.ranges import SIGMOIDS, SOFTMAXES

Reason = tuple[str, str, Severity]


class LossTaskMismatch(Rule):
    """The loss is made for another kind of target than the data hold.

    What it measures: the loss against the task and the targets: a distance (`mse`, `l1`) for class numbers, a class loss for
    measured numbers, a yes-or-no loss for three classes and more, a count loss for negative numbers.

    Why it is bad: a distance tells the net that class 3 lies between 2 and 4; a class loss needs classes; a Poisson
    loss of a negative count has no lower end.

    How to fix: `cross_entropy` for one of several classes, `bce_with_logits` for yes or no, `mse` or `huber` for numbers;
    say `data: {task: regression}` where the order of whole numbers means something.

    When it is wrong: ratings and counts that are regressed on purpose; mse on two classes or on one-hot targets (the Brier
    score) trains well, and behind a softmax or sigmoid, where it learns slowly, it is information alone.

    References: Zhang et al. 2021, AUTOTRAINER ("improper loss"); Hui & Belkin 2021, Evaluation of neural architectures
    trained with square loss; Golik et al. 2013, Cross-entropy vs. squared error; Zhang & Sabuncu 2018, section 3.1.
    """

    id = "SPC108"
    name = "loss-task-mismatch"
    severity = Severity.ERROR
    needs = (Objective,)
    explains: ClassVar[tuple[str, ...]] = (
        "non-finite-loss",
        "unnormalised-target",
        "surprising-initial-loss",
        "learning-rate-too-low",
        "underfitting",
        "not-converged",
        "diverged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        objective, samples = measured[Objective], measured.get(Samples)
        terms = [term for term in objective.terms if term.expects != "unknown"]
        if not terms:
            return Skip(NO_LOSS)
        if objective.task is None and (samples is None or samples.target_kind == "unknown"):
            return Skip("neither the task nor the kind of the targets is known")
        graph = Graph(measured[Architecture]) if Architecture in measured else None
        return list(self._found(terms, objective.task, samples or Samples(), graph))

    def _found(self, terms: list[LossTerm], task: str | None, samples: Samples, graph: Graph | None) -> Iterator[Finding]:
        only_term = len(terms) == 1
        for term in terms:
            end = None if graph is None else graph.end(term)
            shares = end is not None and end.kind in SOFTMAXES | SIGMOIDS
            reason = _against_targets(term, samples) or (_value_loss(term, task, samples, shares) if only_term else None)
            reason = reason or _against_task(term, task, samples)
            if reason is not None:
                yield self.finding(
                    reason[0],
                    where=place_of_term(term),
                    severity=reason[2],
                    cause=f"the task is {task}" if task else f"the targets are {samples.target_kind}",
                    evidence={
                        "loss": term.name,
                        "task": task,
                        "target_kind": samples.target_kind,
                        "classes": samples.classes,
                        "target_min": samples.target_min,
                        **(put(term.key, reason[1]) if reason[1] in {"cross_entropy", "mse"} else {}),
                    },
                    advice=(reason[1],),
                )


def _against_targets(term: LossTerm, samples: Samples) -> Reason | None:
    kind, classes, low = samples.target_kind, samples.classes or 0, samples.target_min
    if term.name in YES_NO_LOSSES | {"soft_margin"} and kind == "class-index" and classes > 2:
        return (
            f"{term.name} tells two classes apart, but the targets have {classes}",
            "cross_entropy with one output for each class (or one_hot targets, one yes or no a class)",
            Severity.ERROR,
        )
    if term.name in INDEX_LOSSES and (kind in {"numbers", "counts"} and not samples.integer_targets):
        return f"{term.name} needs classes, but the targets are measured numbers", "mse, or huber", Severity.ERROR
    if term.name == "cross_entropy" and kind == "multi-hot":
        return (
            "cross_entropy looks for one class a sample, but samples have several labels (or none)",
            "bce_with_logits: a yes or no for each label",
            Severity.WARNING,
        )
    if term.name == "poisson_nll" and low is not None and low < 0.0:
        return (
            f"poisson_nll is for counts, but targets go down to {low:.3g}",
            "mse",
            Severity.ERROR,
        )
    return None


def _value_loss(term: LossTerm, task: str | None, samples: Samples, shares: bool) -> Reason | None:  # noqa: FBT001
    """A distance, as the only loss, for what are classes."""
    if term.name not in VALUE_LOSSES or task == "regression":
        return None
    kind, classes = samples.target_kind, samples.classes or (samples.target_shape or (0,))[-1]
    if kind in {"class-index", "counts"} and classes > 2 and (samples.renumbered or task == "classification"):
        told = f"{term.name} takes the numbers of the {classes} classes for amounts"
        return f"{told}: class 2 is not twice class 1", "cross_entropy with one output for each class", Severity.ERROR
    if kind == "one-hot" and term.name == "l1" and classes > 2:
        told = "l1 on one-hot targets gives every sample the same weight, and learns the easy classes alone"
        return told, "cross_entropy", Severity.WARNING
    if kind == "one-hot" and shares:
        return (
            f"{term.name} behind a softmax or sigmoid learns slowly where it is sure and wrong",
            "cross_entropy",
            Severity.INFO,
        )
    return None


def _against_task(term: LossTerm, task: str | None, samples: Samples) -> Reason | None:
    if task == "regression" and term.name in INDEX_LOSSES:
        return f"{term.name} needs classes, but the task is regression", "mse, or huber", Severity.ERROR
    unknown = samples.target_kind == "unknown"
    if task == "classification" and term.name in {"poisson_nll", "gaussian_nll"} and unknown:
        return f"{term.name} is for numbers, but the task is classification", "cross_entropy", Severity.ERROR
    return None
