"""SPC112 sum-reduction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import LossTerm, Objective, Plan, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import below, put
from dltool.rules.spec.graph import NO_LOSS, place_of_term
from dltool.rules.spec.losses import ELEMENTWISE, as_given

SCALE_FREE = frozenset({"adam", "adamw", "nadam", "rmsprop", "adagrad", "adadelta", "lbfgs"})
"""Optimizers whose steps do not grow with the loss: they divide by the size of the gradient."""


class SumReduction(Rule):
    """The loss is a sum over the batch, and the rate is one for a mean.

    What it measures: the rate times the values that are summed in a batch (samples, and target numbers of each): the rate
    that the mean would need for the same step. It fires above `rate`, for plain gradient descent without clipping.

    Why it is bad: the step is as many times longer as the batch is large, and changes with the batch size.

    How to fix: `reduction: mean`; or divide the rate by the number of values in a batch.

    When it is wrong: Adam and its kin divide by the gradient's size, clipping bounds the step, and a rate that was made
    small for the sum (as in variational autoencoders) stays below the limit: none of them is reported.

    References: PyTorch documentation, "MSELoss" (reduction); Goyal et al. 2017, Accurate, large minibatch SGD, section 3;
    TheDeepChecker (Ben Braiek & Khomh 2023), "loss reduction".
    """

    id = "SPC112"
    name = "sum-reduction"
    severity = Severity.WARNING
    needs = (Objective, Plan)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="rate",
            default=1.0,
            unit="learning rate of a mean with the same step, over 1 - momentum",
            source="digits without normalisation layers: 1.0 trains in 9 of 9 runs, 3.0 in none of 9",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "learning-rate-too-high",
        "surprising-initial-loss",
        "exploding-gradient",
        "dead-relu",
        "saturated-activation",
        "oscillating-loss",
        "non-finite-loss",
        "non-finite-backward",
        "non-finite-update",
        "diverged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        plan, samples = measured[Plan], measured.get(Samples) or Samples()
        terms = measured[Objective].terms
        summed = [term for term in terms if term.reduction == "sum"]
        if not summed:
            return Skip(NO_LOSS) if all(term.reduction == "unknown" for term in terms) else ()
        if plan.optimizer in SCALE_FREE or plan.clip_norm is not None:
            return ()
        batch = samples.train_samples if plan.full_batch else plan.batch_size
        if plan.optimizer is None or plan.lr is None or batch is None:
            return Skip("optimizer, rate or batch size is not known")
        acting = plan.lr / max(1.0 - (plan.momentum or 0.0), 1e-6)
        found = [(term, batch * _values(term, samples)) for term in summed]
        return [
            self.finding(
                f"{term.name} is summed over {count:,} values a batch: a rate of {plan.lr:g} acts as {plan.lr * count:.3g}",
                where=place_of_term(term),
                cause="reduction: sum",
                evidence={
                    "lr": plan.lr,
                    "momentum": plan.momentum,
                    "values": count,
                    "acting_lr": acting * count,
                    **put(below(term.key, term.name, "reduction"), "mean"),
                },
                limit={"rate": self.limits["rate"]},
                advice=("reduction: mean", f"a rate of {plan.lr / count:.1g}"),
            )
            for term, count in found
            if not acting * count <= self.limits["rate"]
        ]


def _values(term: LossTerm, samples: Samples) -> int:
    """Numbers that one sample adds to the sum; 1 where that is not known."""
    shape = as_given(term, samples).target_shape or ()
    if term.name not in ELEMENTWISE and samples.target_kind != "class-index":
        return 1
    return math.prod(shape)
