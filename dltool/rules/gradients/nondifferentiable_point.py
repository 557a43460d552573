"""GRD102 nondifferentiable-point."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.gradcheck import CheckedInputs, CheckedParameters, CheckedPoints, GradientRecord
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.gradients.compared import not_compared


class NondifferentiablePoint(Rule):
    """The loss has a kink exactly where it was checked.

    What it measures: elements at which the slopes to both sides stay apart however small the step, and tensors whose
    disagreement with autograd is gone at every point nearby.

    Why it is bad: it seldom is. There is no gradient at such a point, and autograd returns one of several slopes. But a
    model that starts exactly on kinks often holds zeros where values were meant: zero weights before a relu, constant
    inputs before max pooling.

    How to fix: nothing, as a rule. Check again with `--after-steps 10`; give biases that start on a kink a small value.

    When it is wrong: a function that bends very sharply within a step of 1e-8 looks like a kink.

    References: CS231n notes, neural-networks-3, "Kinks in the objective"; Goodfellow et al. 2016, Deep Learning, §6.3.
    """

    id = "GRD102"
    name = "nondifferentiable-point"
    severity = Severity.INFO
    needs = (CheckedParameters, CheckedPoints)

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        inputs = measured.get(CheckedInputs)
        records = {**measured[CheckedParameters].parameters, **({} if inputs is None else inputs.inputs)}
        by_module: dict[str, dict[str, GradientRecord]] = {}
        for name, record in records.items():
            if record.kinks or record.only_at_point:
                by_module.setdefault(record.module, {})[name] = record
        return not_compared(measured[CheckedPoints]) or list(self._findings(by_module.values()))

    def _findings(self, groups: Iterable[dict[str, GradientRecord]]) -> Iterator[Finding]:
        for group in groups:
            name, first = next(iter(group.items()))
            elements = sum(record.kinks for record in group.values())
            evidence: dict[str, object] = {"parameters": list(group), "elements": elements}
            for kink in first.kink_examples[:1]:
                evidence |= {"element": list(kink.index), "left": kink.left, "right": kink.right, "analytic": kink.analytic}
            what = f"{elements} elements of " if elements > 1 else "an element of " if elements else ""
            yield self.finding(
                f"the loss has a kink at {what}{', '.join(group)}",
                where=Where(phase="backward", module=first.module, parameter=name, step=first.after_steps),
                cause="a relu or an absolute value at 0, or tied maxima: there is no gradient to compare with",
                evidence=evidence,
                advice=("check again a few steps away from this point: --after-steps 10",),
            )
