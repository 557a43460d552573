"""SPC116 excessive-regularisation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import ClassVar

from dltool.core.finding import Finding, Severity, Where
from dltool.core.measured.design import Architecture, Plan
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip, Threshold
from dltool.rules.spec.change import put
from dltool.rules.spec.graph import WEIGHTED, Graph

DECOUPLED = frozenset({"adamw"})
USUAL = {"l1": 1e-5, "l2": 1e-4, "weight_decay": 1e-2, "max_norm": 3.0}


class ExcessiveRegularisation(Rule):
    """Penalties hold the weights down so hard that the data have no say.

    What it measures: l1 and l2 (with the optimizer's coupled weight decay added), each over its limit, the two shares
    summed; for decoupled decay (adamw) rate times decay, the share of each weight that goes at every step; and max_norm.

    Why it is bad: past a point the weights shrink to zero whatever the data say, the outputs are constant, and the loss
    stays at that of a guess.

    How to fix: l2 of 1e-5 to 1e-2, l1 of 1e-6 to 1e-3, adamw with 0.01 to 0.3, max_norm of 3 to 4.

    When it is wrong: ridge and lasso regressions have one layer, convex and often strongly penalised: models of a single
    layer with weights are not judged. A short run ends before decoupled decay has done its work.

    References: Srivastava et al. 2014, section 5.1 (max-norm 3 to 4); Loshchilov & Hutter 2019, Decoupled weight decay;
    Krogh & Hertz 1992, A simple weight decay can improve generalization.
    """

    id = "SPC116"
    name = "excessive-regularisation"
    severity = Severity.WARNING
    needs = (Plan,)
    thresholds: ClassVar[tuple[Threshold, ...]] = (
        Threshold(
            name="l2",
            default=0.05,
            unit="factor of half the squared norm in the loss",
            source="digits, two hidden layers, three seeds: 0.03 keeps 94 to 99 % accuracy, 0.1 leaves 84 to 88, 0.3 chance",
        ),
        Threshold(
            name="l1",
            default=5e-3,
            unit="factor of the sum of absolute weights in the loss",
            source="digits, two hidden layers, three seeds: 0.003 keeps 94 to 98 % accuracy, 0.01 leaves chance",
        ),
        Threshold(
            name="decay",
            default=1e-2,
            unit="share of each weight that decoupled decay takes at a step",
            source="arithmetic: above it half of what was learnt is gone after 69 steps; ViT takes 3e-4, GPT-3 6e-5",
        ),
        Threshold(
            name="max_norm",
            default=0.5,
            unit="largest norm of a unit's weights",
            source="arithmetic: below it every layer at least halves its signal; Srivastava et al. 2014 take 3 to 4",
        ),
    )
    explains: ClassVar[tuple[str, ...]] = (
        "vanishing-gradient",
        "collapsed-representation",
        "dead-relu",
        "learning-rate-too-low",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        plan = measured[Plan]
        if plan.optimizer is None and plan.l1 is None and plan.l2 is None and plan.max_norm is None:
            return Skip("no penalty is known")
        if Architecture in measured:
            graph = Graph(measured[Architecture])
            weighted = [layer for layer in graph.layers if layer.kind in WEIGHTED]
            if graph.complete and len(weighted) == 1:
                return ()
        return list(self._found(plan))

    def _found(self, plan: Plan) -> Iterator[Finding]:
        decay = plan.weight_decay or 0.0
        coupled = 0.0 if plan.optimizer in DECOUPLED else decay
        l1, l2 = plan.l1 or 0.0, (plan.l2 or 0.0) + coupled
        if not l1 / self.limits["l1"] + l2 / self.limits["l2"] <= 1.0:
            field = _heaviest(l1 / self.limits["l1"], (plan.l2 or 0.0) / self.limits["l2"], coupled / self.limits["l2"])
            parts = [f"l1 of {l1:g}"] * (l1 > 0.0) + [f"l2 of {l2:g}"] * (l2 > 0.0)
            yield self._told(
                plan, field, f"{' and '.join(parts) or 'the penalty'} leaves the data no say", {"l1": l1, "l2": l2}
            )
        if plan.optimizer in DECOUPLED and plan.lr is not None:
            share, steps = plan.lr * decay, (plan.epochs or 0) * (plan.steps_per_epoch or 0)
            if not share <= self.limits["decay"] and (steps == 0 or not share * steps <= 1.0):
                told = f"{share:.1%} of every weight goes at each step, rate times weight_decay"
                yield self._told(plan, "weight_decay", told, {"decay": share})
        if plan.max_norm is not None and not plan.max_norm >= self.limits["max_norm"]:
            told = f"max_norm of {plan.max_norm:g} shrinks the signal at every layer"
            yield self._told(plan, "max_norm", told, {"max_norm": plan.max_norm})

    def _told(self, plan: Plan, field: str, message: str, evidence: dict[str, float]) -> Finding:
        return self.finding(
            message,
            where=Where(phase="optimizer", key=plan.keys.get(field)),
            evidence={**evidence, "weight_decay": plan.weight_decay or 0.0, **put(plan.keys.get(field), USUAL[field])},
            limit={name: self.limits[name] for name in evidence if name in self.limits},
            advice=("l2 of 1e-5 to 1e-2, l1 of 1e-6 to 1e-3, adamw with 0.01 to 0.3, max_norm of 3 to 4",),
        )


def _heaviest(l1: float, l2: float, decay: float) -> str:
    return max((("l1", l1), ("l2", l2), ("weight_decay", decay)), key=lambda pair: pair[1])[0]
