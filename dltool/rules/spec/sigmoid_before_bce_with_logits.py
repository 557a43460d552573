"""SPC103 sigmoid-before-bce-with-logits."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import DesignedLayer, LossTerm
from dltool.core.measured.task import Output, Task
from dltool.rules.base import Skip
from dltool.rules.spec.applied_twice import AppliedTwice
from dltool.rules.spec.losses import applies_sigmoid
from dltool.rules.spec.ranges import SIGMOIDS


class SigmoidBeforeBceWithLogits(AppliedTwice):
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
    function = "sigmoid"
    advice = ("drop the last sigmoid", "bce as the loss, which takes probabilities")

    def applied(self, term: LossTerm, end: DesignedLayer) -> bool:
        return applies_sigmoid(term) and end.kind in SIGMOIDS

    def judge_outputs(self, output: Output, task: Task) -> Iterable[Finding] | Skip:
        if "bce_with_logits" not in task.loss or output.final_activation != "sigmoid" or not output.within_unit_interval:
            return ()
        return [
            self.finding(
                "the outputs are probabilities already, and the loss applies another sigmoid to them",
                where=Where(phase="loss", module=output.final_module),
                cause="the last module to act is a sigmoid, and every output lies between 0 and 1",
                evidence={"within_unit_interval": True, "final_activation": output.final_activation},
                limit={"loss_expects": output.loss_expects},
                advice=self.advice,
            )
        ]
