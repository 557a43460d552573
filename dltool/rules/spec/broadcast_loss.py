"""SPC111 broadcast-loss."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from dltool.core.finding import Finding, Severity
from dltool.core.measured.design import Architecture, Objective, Samples
from dltool.core.measurements import Measurements
from dltool.rules.base import Rule, Skip
from dltool.rules.spec.graph import NO_LOSS, Graph, place_of_term
from dltool.rules.spec.losses import ELEMENTWISE, as_given, knows_a_loss, terms_named, without_last_one
from dltool.rules.spec.output_sizes import cure
from dltool.rules.spec.shapes import broadcasts


class BroadcastLoss(Rule):
    """Output and target have different shapes that torch makes equal by repeating values.

    What it measures: the shape of one sample's output against its target's, for losses that compare number with number:
    (N, 1) against (N,) becomes N times N, each output compared with every target.

    Why it is bad: every output is drawn towards the mean of all targets. The loss falls a little and stops, and torch
    only warns.

    How to fix: `output.squeeze(-1)` or `target.unsqueeze(-1)`; in a spec, a last layer of as many outputs as targets.

    When it is wrong: a loss of a spec counts (N, 1) and (N,) as the same numbers and is not accused; it refuses other shapes
    that differ. A mask of the user's own that is meant to be broadcast is inside the loss, and not seen.

    References: PyTorch documentation, "MSELoss" (Shape: same shape); pytorch issue 4938.
    """

    id = "SPC111"
    name = "broadcast-loss"
    severity = Severity.ERROR
    needs = (Architecture, Objective)
    explains: ClassVar[tuple[str, ...]] = (
        "batch-mixing",
        "collapsed-representation",
        "underfitting",
        "not-converged",
        "plateau",
        "no-better-than-trivial",
        "ignores-input",
    )

    def judge(self, measured: Measurements) -> Iterable[Finding] | Skip:
        terms = list(terms_named(measured[Objective], ELEMENTWISE))
        if not terms:
            return () if knows_a_loss(measured[Objective]) else Skip(NO_LOSS)
        graph, samples = Graph(measured[Architecture]), measured.get(Samples) or Samples()
        shapes = [(term, graph.leaves(term), as_given(term, samples).target_shape) for term in terms]
        known = [(t, output, target) for t, output, target in shapes if output is not None and target is not None]
        if not known:
            return Skip("the shapes of output and target are not both known")
        return [
            self.finding(
                f"{term.name} compares outputs of shape {_batch(output)} with targets of shape {_batch(target)}, "
                f"which torch makes equal by repeating them",
                where=place_of_term(term),
                cause="a dimension of size 1 on one side alone",
                evidence={
                    "output_shape": output,
                    "target_shape": target,
                    **cure(term, graph.end(term), _advice(output, target)),
                },
                advice=(_advice(output, target),),
            )
            for term, output, target in known
            if broadcasts(output, target) and (term.key is None or without_last_one(output) != without_last_one(target))
        ]


def _advice(output: tuple[int, ...], target: tuple[int, ...]) -> str:
    if without_last_one(output) == without_last_one(target):
        return "squeeze the output or unsqueeze the target"
    count = target[-1] if target else 1
    return f"end in {count} {'output' if count == 1 else 'outputs'}"


def _batch(shape: tuple[int, ...]) -> str:
    return f"(N, {', '.join(map(str, shape))})" if shape else "(N,)"
