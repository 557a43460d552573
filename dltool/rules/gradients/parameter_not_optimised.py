"""GRD106 parameter-not-optimised."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.training import Parameters
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule
from dltool.rules.gradients.by_module import by_module, names_of, where_of


class ParameterNotOptimised(Rule):
    """A trainable parameter that gets gradients but was never given to the optimizer.

    What it measures: parameters with `requires_grad` and a gradient that are in none of the optimizer's groups; and
    parameters in the graph of the first loss that are not even the model's.

    Why it is bad: they cost a backward pass and stay as they were initialised. Typical causes: the optimizer was built
    before a layer was replaced, or from one part of the model only; layers kept in a plain list or dict, where
    `model.parameters()` does not find them.

    How to fix: build the optimizer after the model is complete, from `model.parameters()`; or set `requires_grad_(False)` on
    what should stay as it is.

    When it is wrong: parameters that another optimizer moves (a GAN's other half). Ignore the rule with that reason.

    References: PyTorch documentation, "torch.optim: Constructing it".
    """

    id = "GRD106"
    name = "parameter-not-optimised"
    severity = Severity.ERROR
    needs = (Parameters,)
    explains: ClassVar[tuple[str, ...]] = (
        "parameter-not-updated",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding]:
        if hidden := measured[Parameters].unregistered:
            yield self.finding(
                f"the loss depends on {len(hidden)} parameters that neither the model nor the optimizer knows of",
                where=Where(phase="optimizer"),
                cause="layers in a plain list, dict or closure are not registered with the model",
                evidence={"shapes": [list(shape) for shape in hidden]},
                advice=(
                    "keep layers in nn.ModuleList, nn.ModuleDict or nn.Sequential, and weights in nn.ParameterList",
                    "give the optimizer the parameters of a loss that has some",
                ),
            )
        left_out = [
            p
            for p in measured[Parameters].parameters
            if p.requires_grad and not p.in_optimizer and p.gradient in {"present", "zero"}
        ]
        for group in by_module(left_out):
            yield self.finding(
                f"{names_of(group)} can be trained, and the optimizer was not given {'it' if len(group) == 1 else 'them'}",
                where=where_of(group),
                evidence={"parameters": [p.name for p in group]},
                advice=(
                    "build the optimizer from model.parameters() after the model is complete",
                    "freeze it, if that is meant",
                ),
            )
