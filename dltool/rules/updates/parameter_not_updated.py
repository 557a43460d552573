"""OPT103 parameter-not-updated."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import ParameterRecord, Parameters
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.gradients.by_module import by_module, names_of, where_of


class ParameterNotUpdated(Rule):
    """Weights that the optimizer was given and that are, bit for bit, what they were; or nothing to train at all.

    What it measures: whether each parameter in the optimizer differs at all from its first value after the last step, and
    whether any parameter is trainable.

    Why it is bad: what does not move does not learn. Everything frozen, a rate of zero, gradients that are exactly zero
    (all units behind it dead), or updates below the rounding of the weights (1e-7 of them in float32) all look alike
    from outside.

    How to fix: unfreeze what should learn; give it a rate above zero; cure the layer that lets no gradient through.

    When it is wrong: a branch that no sample of this run went through. With gradients of exactly zero the finding is
    therefore lowered to a warning. Frozen parameters are healthy as long as others learn.

    References: PyTorch documentation, "Autograd mechanics: requires_grad"; Micikevicius et al. 2018, Mixed precision
    training, section 3.1 (updates lost to rounding).
    """

    id = "OPT103"
    name = "parameter-not-updated"
    severity = Severity.ERROR
    needs = (Parameters,)
    explains: ClassVar[tuple[str, ...]] = (
        "collapsed-representation",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        section = measured[Parameters]
        if not any(p.requires_grad for p in section.parameters):
            return [self._all_frozen(section)]
        if section.steps < 1:
            return Skip("no optimizer step was taken")
        given = [p for p in section.parameters if p.in_optimizer and p.requires_grad]
        if given and not any(p.moved for p in given):
            return [self._none_moved(section)]
        # What no gradient reaches is GRD105's to tell.
        still = [p for p in given if not p.moved and p.gradient != "none"]
        return [self._still(group) for group in by_module(still)]

    def _all_frozen(self, section: Parameters) -> Finding:
        if not section.parameters:
            return self.finding(
                "nothing is trainable: the model has no parameters",
                where=Where(phase="optimizer"),
                evidence={"parameters": 0, "steps": section.steps},
                advice=(
                    "keep layers in nn.ModuleList or nn.ModuleDict: a plain list or dict hides them from the optimizer",
                ),
            )
        return self.finding(
            f"nothing is trainable: all {len(section.parameters)} parameters are frozen",
            where=Where(phase="optimizer"),
            cause="requires_grad is off everywhere",
            evidence={"parameters": len(section.parameters), "steps": section.steps},
            advice=("unfreeze at least the last layer (frozen: false, or a narrower pretrained.freeze pattern)",),
        )

    def _none_moved(self, section: Parameters) -> Finding:
        return self.finding(
            f"not one parameter moved in {section.steps} steps",
            where=Where(phase="optimizer"),
            evidence={"parameters": len(section.parameters), "steps": section.steps},
            advice=("check that the learning rate is above zero and that gradients reach the parameters",),
        )

    def _still(self, group: list[ParameterRecord]) -> Finding:
        without = all(p.gradient == "zero" for p in group)
        cause = "their gradient was exactly zero at every look" if without else None
        return self.finding(
            f"{names_of(group)} never moved, although the optimizer has it",
            severity=Severity.WARNING if without else self.severity,
            where=where_of(group),
            cause=cause,
            evidence={"parameters": [p.name for p in group], "gradient": sorted({p.gradient for p in group})},
            advice=("look for dead or saturated units behind it, a rate of zero, or a branch that is never used",),
        )
