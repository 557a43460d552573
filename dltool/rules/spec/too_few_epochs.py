"""SPC124 too-few-epochs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Plan
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import put


class TooFewEpochs(Rule):
    """The run takes fewer optimizer steps than a net needs to learn anything.

    What it measures: epochs times steps an epoch.

    Why it is bad: it does no harm but to the conclusions: a net that has not begun to learn looks like one that cannot.

    How to fix: more epochs (early stopping ends them in time), or smaller batches.

    When it is wrong: fine-tuning a pretrained net takes few steps, and lbfgs does many in one: neither is reported. One
    epoch over many samples has many steps.

    References: Goodfellow, Bengio & Courville 2016, Deep learning, section 11.4.1 (train long enough, stop early); Zhang et
    al. 2021, AUTOTRAINER ("not converged").
    """

    id = "SPC124"
    name = "too-few-epochs"
    severity = Severity.INFO
    needs = (Plan,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="steps",
            default=100.0,
            unit="optimizer steps in the whole run",
            source="the smallest healthy sample, iris_mlp.yaml with 150 flowers, takes 160",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = ("not-converged",)

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        plan = measured[Plan]
        if plan.epochs is None or plan.steps_per_epoch is None:
            return Skip("the number of epochs, or of steps in one, is not known")
        steps = plan.epochs * plan.steps_per_epoch
        if plan.pretrained or plan.optimizer == "lbfgs" or steps >= self.limits["steps"]:
            return ()
        enough = -(-int(self.limits["steps"]) // max(plan.steps_per_epoch, 1))
        return [
            self.finding(
                f"{steps} steps in all: {plan.epochs} {'epoch' if plan.epochs == 1 else 'epochs'} of {plan.steps_per_epoch}",
                where=Where(phase="optimizer", key=plan.keys.get("epochs")),
                evidence={
                    "epochs": plan.epochs,
                    "steps_per_epoch": plan.steps_per_epoch,
                    "steps": steps,
                    **put(plan.keys.get("epochs"), enough),
                },
                limit=dict(self.limits),
                advice=(
                    f"epochs: {enough} or more",
                    "smaller batches",
                ),
            )
        ]
