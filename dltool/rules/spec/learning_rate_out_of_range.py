"""SPC119 learning-rate-out-of-range."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Architecture, Objective, Plan, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import Evidence, put
from dltool.rules.spec.losses import VALUE_LOSSES
from dltool.rules.spec.rate_limits import RATES, lower, upper

LARGE_UNITS = 10.0
"""Inputs or targets that spread more than this ask for rates as much smaller."""


class LearningRateOutOfRange(Rule):
    """The learning rate is far outside of what its optimizer is used with.

    What it measures: the highest rate of the plan (the peak of a one-cycle schedule) against limits for its optimizer:
    for sgd over 1 - momentum, for adam and its kin against the size that weights start with in the widest layer.

    Why it is bad: too high, the first steps throw the weights farther than they are large, and the loss jumps or becomes
    NaN; too low, nothing has moved when the epochs are over. A rate of 0, NaN or Inf cannot train at all (an error).

    How to fix: sgd with momentum 0.1 to 0.01, adam and adamw 1e-3 to 1e-4, adadelta 1.0, lbfgs 1.0; or ask `dltool lr-find`.

    When it is wrong: normalisation layers, large batches and clipping bear higher rates, which the limits follow; summed
    losses, fine-tuning and data in large units want lower ones, which are then not judged.

    References: Smith & Topin 2018, Super-convergence; Goyal et al. 2017, Accurate, large minibatch SGD; UMLAUT (Schoop et
    al. 2021), learning rates above 0.01 and below 1e-7; Kingma & Ba 2015, section 2.1 (step at most the rate).
    """

    id = "SPC119"
    name = "learning-rate-out-of-range"
    severity = Severity.WARNING
    needs = (Plan,)
    thresholds: ClassVar[tuple[Threshold, ...]] = RATES

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        plan = measured[Plan]
        if plan.lr is None:
            return Skip("the learning rate is not known")
        if not math.isfinite(plan.lr) or plan.lr <= 0.0:
            return [self._told(plan, f"a learning rate of {plan.lr:g} cannot train", Severity.ERROR, {}, {})]
        high = upper(plan, plan.lr, measured.get(Architecture), self.limits)
        low = lower(plan, self.limits)
        if high is None or low is None:
            return Skip(f"no limits are known for the optimizer {plan.optimizer}")
        if not high.value <= high.limit:
            told = f"a learning rate of {plan.lr:g} is too high for {plan.optimizer}"
            return [self._told(plan, told, None, {high.name: high.value}, {high.name: high.limit})]
        if plan.lr < low[1] and not _wants_low(plan, measured):
            told = f"a learning rate of {plan.lr:g} is too low for {plan.optimizer}"
            return [self._told(plan, told, None, {}, {low[0]: low[1]})]
        return ()

    def _told(
        self, plan: Plan, message: str, severity: Severity | None, evidence: dict[str, float], limit: dict[str, float]
    ) -> Finding:
        return self.finding(
            message,
            where=Where(phase="optimizer", key=plan.keys.get("lr")),
            severity=severity,
            evidence={"lr": plan.lr, "optimizer": plan.optimizer, "momentum": plan.momentum, **evidence, **_change(plan)},
            limit=limit,
            advice=(ADVICE.get(plan.optimizer or "", "sgd 0.01 to 0.1, adam 1e-4 to 1e-3"), "dltool lr-find tries rates"),
        )


ADVICE = {
    "sgd": "0.01 to 0.1 with momentum",
    **dict.fromkeys(("adam", "adamw", "nadam", "rmsprop"), "1e-4 to 1e-3, up to 1e-2 for small nets"),
    "adagrad": "0.01 to 0.1",
    "adadelta": "1.0, the paper's",
    "lbfgs": "1.0",
}


USUAL = {
    "sgd": 0.05,
    "adagrad": 0.01,
    "adadelta": 1.0,
    "lbfgs": 1.0,
    **dict.fromkeys(("adam", "adamw", "nadam", "rmsprop"), 1e-3),
}


def _change(plan: Plan) -> Evidence:
    usual = USUAL.get(plan.optimizer or "")
    return {} if usual is None else put(plan.keys.get("lr"), usual)


def _wants_low(plan: Plan, measured: Measurements) -> bool:
    """Whether something else makes the steps long, or they are meant to be short."""
    objective, samples = measured.get(Objective), measured.get(Samples) or Samples()
    terms = () if objective is None else objective.terms
    unknown_units = samples.target_std is None and any(term.name in VALUE_LOSSES for term in terms)
    spreads = (samples.input_std or 0.0, samples.target_std or 0.0)
    summed = any(term.reduction != "mean" for term in terms)
    return plan.pretrained or summed or unknown_units or any(not spread <= LARGE_UNITS for spread in spreads)
