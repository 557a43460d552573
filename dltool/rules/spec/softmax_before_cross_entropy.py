"""SPC101 softmax-before-cross-entropy."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measurements import Measurements, Output, Task
from dltool.rules.base import Rule, Skip


class SoftmaxBeforeCrossEntropy(Rule):
    """The model ends in a softmax, and the loss applies another one.

    What it measures: whether the outputs on real samples are non-negative rows that sum to one while the loss expects
    logits.

    Why it is bad: cross-entropy applies a log-softmax itself. On probabilities it can never fall below ln(1 + (K - 1) / e),
    1.46 for ten classes, and its gradient is weak wherever the softmax is sure.

    How to fix: drop the last softmax and keep it for prediction, or tell the loss (`cross_entropy: {from_logits: false}`).

    When it is wrong: log_softmax before cross-entropy changes nothing and is not reported. A single output unit always
    sums to one and is another rule's matter.

    References: PyTorch documentation, "CrossEntropyLoss" (input: unnormalised logits); PyTorch forum thread 43814.
    """

    id = "SPC101"
    name = "softmax-before-cross-entropy"
    severity = Severity.ERROR
    needs = (Output, Task)
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
        output = measured[Output]
        if output.loss_expects == "unknown" or output.rows_sum_to_one is None:
            return Skip("what the loss expects, or whether the outputs are rows of class scores, is not known")
        if "cross_entropy" not in measured[Task].loss or output.loss_expects != "logits":
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
                advice=("drop the last softmax", "say cross_entropy: {from_logits: false}"),
            )
        ]
