"""Leaves and operators of a trace as events, in plain numbers."""

from __future__ import annotations

from collections.abc import Mapping

from dltool.core.finding import Phase
from dltool.core.measured.non_finite import NonFiniteEvent, TensorFacts
from dltool.probes.paths import seen_from_here
from dltool.probes.trace.record import Leaf, Operation

LEAF_PHASE: Mapping[str, Phase] = {
    "input": "input",
    "target": "input",
    "parameter": "parameter",
    "buffer": "buffer",
    "state": "optimizer",
}


def event_of_leaf(leaf: Leaf, step: int) -> NonFiniteEvent:
    """What was bad before the step."""
    held = leaf.kind in {"parameter", "buffer", "state"}
    name = leaf.name.rpartition("/")[0] if leaf.kind == "state" else leaf.name
    return NonFiniteEvent(
        phase=LEAF_PHASE[leaf.kind],
        step=step,
        value="nan" if leaf.facts.nan else "inf",
        count=_bad_in(leaf.facts),
        module=name.rpartition(".")[0] if held else None,
        parameter=name if held else None,
        output=leaf.facts,
        source=leaf.name.rpartition("/")[2] if leaf.kind == "state" else leaf.kind,
    )


def event_of_birth(operation: Operation, step: int, phase: Phase, parameter: str | None = None) -> NonFiniteEvent:
    """A birth, told in ``phase``; with ``parameter`` it is that which went bad, and its module that is named."""
    output = operation.output
    return NonFiniteEvent(
        phase=phase,
        step=step,
        value="nan" if output.nan or not _bad_in(output) else "inf",
        count=_bad_in(output),
        module=operation.module if parameter is None else parameter.rpartition(".")[0],
        parameter=parameter,
        op=operation.op,
        file=None if operation.file is None else seen_from_here(operation.file),
        line=operation.line,
        aten=operation.aten,
        forward_op=operation.forward_op,
        inputs=operation.inputs,
        output=output,
        index=operation.index,
        operands=operation.operands,
        makers=operation.makers,
        names=operation.names,
        finite_again=operation.finite_again,
        arguments=operation.arguments,
    )


def _bad_in(given: TensorFacts) -> int:
    return given.nan + given.positive_inf + given.negative_inf
