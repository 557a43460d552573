"""GRD101 gradient-mismatch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.gradcheck import (
    FINE,
    WRONG,
    CheckedInputs,
    CheckedParameters,
    CheckedPoints,
    Culprit,
    Culprits,
    GradientRecord,
)
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.gradients.compared import not_compared

SOURCE = "CS231n notes, neural-networks-3, Gradient checks: above 1e-2 is probably wrong, 1e-7 and less is right"
MOST_NAMED = 5


class GradientMismatch(Rule):
    """Autograd's gradient is not the slope of the loss.

    What it measures: the relative error ‖a − n‖ / (‖a‖ + ‖n‖) between autograd's gradient a and two-sided differences n of
    the loss, in float64, with random masks and buffers frozen and penalties in both.

    Why it is bad: training follows a direction that is not downhill. Often the loss still falls, slowly, or stops too high,
    which makes the fault hard to see by its curve.

    How to fix: the finding names the innermost module, or custom autograd.Function, whose own backward disagrees with its
    own forward. Derive that backward again: sign, factor, a missing term, a transposition. Where the gradient is cut, look
    for detach(), no_grad(), .data, .item() or numpy in that forward.

    When it is wrong: a gradient that is meant to differ, such as a stop-gradient branch or a straight-through estimator.
    Name it with `--detached`, or ignore the rule with that reason.

    References: CS231n notes, neural-networks-3, "Gradient checks"; PyTorch documentation, "Gradcheck mechanics".
    """

    id = "GRD101"
    name = "gradient-mismatch"
    severity = Severity.ERROR
    needs = (CheckedParameters, CheckedPoints)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(name="wrong", default=WRONG, unit="relative error above which it is an error", source=SOURCE),
        Threshold(name="suspicious", default=FINE, unit="relative error above which it is a warning", source=SOURCE),
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        return not_compared(measured[CheckedPoints]) or list(self._findings(measured))

    def _findings(self, measured: Measurements) -> Iterator[Finding]:
        inputs = measured.get(CheckedInputs)
        records = {**measured[CheckedParameters].parameters, **({} if inputs is None else inputs.inputs)}
        wrong = {n: r for n, r in records.items() if not r.expected and not r.relative_error <= self.limits["suspicious"]}
        blamed = measured.get(Culprits)
        for culprit in () if blamed is None else blamed.culprits:
            mine = {name: wrong.pop(name) for name in culprit.parameters if name in wrong}
            if mine:
                yield self._found(mine, culprit)
        by_module: dict[str, dict[str, GradientRecord]] = {}
        for name, record in wrong.items():
            by_module.setdefault(record.module, {})[name] = record
        for mine in by_module.values():
            yield self._found(mine, None)

    def _found(self, wrong: Mapping[str, GradientRecord], culprit: Culprit | None) -> Finding:
        name, worst = max(
            wrong.items(), key=lambda item: math.inf if math.isnan(item[1].relative_error) else item[1].relative_error
        )
        grave = not worst.relative_error <= self.limits["wrong"]
        rest = len(wrong) - MOST_NAMED
        names = ", ".join(list(wrong)[:MOST_NAMED]) + (f" and {rest} more" if rest > 0 else "")
        function = None if culprit is None else culprit.function
        evidence: dict[str, object] = {
            "relative_error": worst.relative_error,
            "parameters": list(wrong),
            "after_steps": worst.after_steps,
        }
        if worst.worst:
            element = worst.worst[0]
            evidence |= {"element": list(element.index), "analytic": element.analytic, "numeric": element.numeric}
        return self.finding(
            f"autograd's gradient of {names} is not the slope of the loss (relative error {worst.relative_error:.2g})",
            where=Where(
                phase="loss" if culprit is not None and culprit.module is None else "backward",
                op=None if function is None else f"{function}Backward",
                module=worst.module if culprit is None else culprit.module,
                parameter=name if culprit is None or culprit.module == worst.module else None,
                step=worst.after_steps,
                file=None if culprit is None else culprit.file,
                line=None if culprit is None else culprit.line,
            ),
            severity=Severity.ERROR if grave else Severity.WARNING,
            cause=_cause(worst, culprit),
            evidence=evidence,
            limit={key: self.limits[key] for key in ("wrong", "suspicious")},
            advice=_advice(worst, culprit),
        )


def _cause(worst: GradientRecord, culprit: Culprit | None) -> str:
    cut = worst.gradient == "none" if culprit is None else culprit.gradient == "none"
    place = "the backward pass"
    if culprit is not None:
        place = "the loss" if culprit.module is None else f"module {culprit.module or '(the model)'}"
        place = place if culprit.function is None else f"the autograd.Function {culprit.function} in {place}"
    if cut:
        return f"{place} passes no gradient on, though the loss depends on what is behind it"
    to = "" if culprit is None else f" to {', '.join(culprit.arguments)}"
    return f"{place} passes a wrong gradient on{to}{_by_how_much(worst)}"


def _by_how_much(worst: GradientRecord) -> str:
    """A factor that all of the worst elements share."""
    ratios = [e.analytic / e.numeric for e in worst.worst if e.numeric]
    if len(ratios) < 2 or not max(ratios) - min(ratios) <= 1e-3 * abs(ratios[0]):
        return ""
    return ": its sign is turned" if abs(ratios[0] + 1) < 1e-3 else f": {ratios[0]:.4g} times the true one"


def _advice(worst: GradientRecord, culprit: Culprit | None) -> tuple[str, ...]:
    if (worst.gradient if culprit is None else culprit.gradient) == "none":
        return ("look for detach(), no_grad(), .data, .item() or numpy there", "name it with --detached, if that is meant")
    if culprit is not None and culprit.function is not None:
        return (f"derive {culprit.function}.backward again, and test it with torch.autograd.gradcheck",)
    return ("look at what changes gradients there: hooks, detach(), in-place writes, code under no_grad()",)
