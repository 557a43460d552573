"""GRD105 parameter-without-gradient."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.training import Parameters
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.gradients.by_module import by_module, names_of, where_of


class ParameterWithoutGradient(Rule):
    """A trainable parameter that the loss does not depend on.

    What it measures: whether a parameter with `requires_grad` ever had a gradient at the steps that were looked at. No
    gradient at all means that no path leads from the loss back to it; zeros are another matter.

    Why it is bad: the parameter keeps its initial values for ever. Often a module is built but not called, or its output is
    detached, turned into numpy and back, or overwritten.

    How to fix: call the module in `forward`, drop the `detach()` on the way, or freeze the parameter to say that it is
    meant.

    When it is wrong: a branch that only runs now and then, and in none of the steps that were looked at. Freeze it, or
    ignore the rule with that reason.

    References: PyTorch documentation, "Autograd mechanics"; open-mmlab/mmcv pull request 1547 for the same check.
    """

    id = "GRD105"
    name = "parameter-without-gradient"
    severity = Severity.WARNING
    needs = (Parameters,)
    explains: ClassVar[tuple[str, ...]] = (
        "parameter-not-updated",
        "underfitting",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        lonely = [p for p in measured[Parameters].parameters if p.requires_grad and p.gradient == "none"]
        for group in by_module(lonely):
            yield self.finding(
                f"no gradient ever reached {names_of(group)}",
                where=where_of(group),
                cause="no path leads from the loss back to it",
                evidence={"parameters": [p.name for p in group]},
                advice=("use the module in the forward pass, without detach() on the way", "freeze it, if that is meant"),
            )
