"""SPC101 softmax-before-cross-entropy."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import DesignedLayer, LossTerm
from dltool.core.measured.task import Output, Task
from dltool.rules.base import Skip
from dltool.rules.spec.applied_twice import AppliedTwice
from dltool.rules.spec.losses import applies_softmax
from dltool.rules.spec.ranges import SOFTMAXES
from dltool.rules.spec.softmax_dim import softmax_size


class SoftmaxBeforeCrossEntropy(AppliedTwice):
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
    function = "softmax"
    advice = ("drop the last softmax", "say cross_entropy: {from_logits: false}")

    def applied(self, term: LossTerm, end: DesignedLayer) -> bool:
        return applies_softmax(term) and end.kind in SOFTMAXES and softmax_size(end) != 1

    def judge_outputs(self, output: Output, task: Task) -> Iterable[Finding] | Skip:
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
                advice=self.advice,
            )
        ]
