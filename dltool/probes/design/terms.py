"""The terms of a loss, from what was seen of it on its way from the model's output to the number that is trained on."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from dltool.core.measured.design import LossExpects, LossTerm
from dltool.probes.design.follow import Followed
from dltool.probes.design.losses import EXPECTS, LossCall
from dltool.probes.design.nodes import INPUT, Graph
from dltool.probes.nested import Loss

CUSTOM = "custom"
TOLERANCE = 1e-4
"""How near a loss must come, relative to its size, to a known one for both made-up outputs."""

Reduction = Literal["mean", "sum", "unknown"]


def terms_of(followed: Followed, loss: Loss) -> tuple[LossTerm, ...]:
    """What the loss is made of; ``takes`` are nodes of the graph.

    A term that no function of torch.nn.functional was seen in is compared with those by value, on made-up outputs (call this
    while model and loss are left as they were found); what is left is "custom".
    """
    if followed.terms is None:
        return (LossTerm(name=loss.name, expects=EXPECTS.get(loss.name, "unknown"), reduction="unknown"),)
    found: list[LossTerm] = []
    for name, ends in followed.terms.items():
        calls, loose = _calls_before(followed, ends)
        found.extend(_term(followed.tracer.record.graph, call) for call in calls)
        if loose or not calls:
            found.append(_written_out(followed, loss, name, loose, alone=not calls))
    return tuple(found)


def _calls_before(followed: Followed, ends: Iterable[int]) -> tuple[list[LossCall], tuple[int, ...]]:
    """Loss functions that ``ends`` depend on, and the model's own nodes that they depend on otherwise."""
    by_node = {call.node: call for call in followed.tracer.losses}
    nodes = followed.tracer.record.graph.nodes
    calls: dict[int, LossCall] = {}
    loose: set[int] = set()
    seen: set[int] = set()
    waiting = list(ends)
    while waiting:
        number = waiting.pop()
        if number in seen:
            continue
        seen.add(number)
        if number in by_node:
            calls[number] = by_node[number]
        elif number == INPUT or not nodes[number].loss:
            loose.add(number)
        else:
            waiting.extend(nodes[number].follows)
    if calls:  # the input is compared with, as a target is
        loose.discard(INPUT)
    return [calls[number] for number in sorted(calls)], tuple(sorted(loose))


def _term(graph: Graph, call: LossCall) -> LossTerm:
    return LossTerm(
        name=call.kind.name,
        expects=call.expects,
        reduction=_reduction(graph, call),
        arguments=call.arguments,
        class_weights=call.class_weights,
        takes=call.takes,
        target_shape=call.target_shape,
        file=call.file,
        line=call.line,
    )


def _reduction(graph: Graph, call: LossCall) -> Reduction:
    """How values become one: by the function itself, or by what came after it. A sum that is divided is a mean."""
    after = [i for i in range(call.node + 1, len(graph.nodes)) if graph.depends(i, call.node)]
    divided = any(graph.nodes[i].kind in {"scale", "div"} for i in after)
    reduction = call.reduction
    if reduction == "none":
        reduction = next((graph.nodes[i].kind for i in after if graph.nodes[i].kind in {"mean", "sum"}), "unknown")
    if reduction == "sum":
        return "mean" if divided else "sum"
    return "mean" if reduction == "mean" else "unknown"


def _written_out(followed: Followed, loss: Loss, name: str, loose: tuple[int, ...], *, alone: bool) -> LossTerm:
    """A term that its author wrote out himself."""
    takes = loose or None
    first = next((node for node in followed.tracer.record.graph.nodes if node.loss and node.file is not None), None)
    file, line = (None, None) if first is None else (first.file, first.line)
    known = _recognised(lambda output, target: loss.term_values(output, target)[name], followed) if alone else None
    if known is None:
        return LossTerm(name=CUSTOM, expects="unknown", reduction="unknown", takes=takes, file=file, line=line)
    kind, expects, reduction = known
    shape = tuple(followed.target.shape[1:])
    return LossTerm(name=kind, expects=expects, reduction=reduction, takes=takes, target_shape=shape, file=file, line=line)


def _of_probabilities(output: Tensor, target: Tensor, *, reduction: str) -> Tensor:
    return F.nll_loss(output.log(), target, reduction=reduction)


KNOWN: tuple[tuple[str, LossExpects, Callable[..., Tensor]], ...] = (
    ("cross_entropy", "logits", F.cross_entropy),
    ("cross_entropy", "probabilities", _of_probabilities),
    ("nll", "log-probabilities", F.nll_loss),
    ("bce_with_logits", "logits", F.binary_cross_entropy_with_logits),
    ("bce", "probabilities", F.binary_cross_entropy),
    ("mse", "values", F.mse_loss),
    ("l1", "values", F.l1_loss),
    ("huber", "values", F.huber_loss),
)


def _recognised(
    function: Callable[[Tensor, Tensor], Tensor], followed: Followed
) -> tuple[str, LossExpects, Reduction] | None:
    """The loss of torch's that gives the same values for two made-up outputs, what it expects, and its reduction."""
    output, target = followed.output, followed.target
    if not isinstance(output, Tensor) or not isinstance(target, Tensor) or not output.is_floating_point():
        return None
    generator = torch.Generator().manual_seed(0)
    tries = [torch.rand(output.shape, generator=generator).mul(0.8).add(0.1).to(output) for _ in range(2)]
    given = [_value(function, each, target) for each in tries]
    if None in given:
        return None
    reductions: tuple[Reduction, ...] = ("mean", "sum")
    for name, expects, known in KNOWN:
        for reduction in reductions:
            same = partial(known, reduction=reduction)
            there = [_value(same, each, target) or _value(same, each, target.to(output)) for each in tries]
            if all(_alike(a, b) for a, b in zip(given, there, strict=True)):
                return name, expects, reduction
    return None


def _value(function: Callable[[Tensor, Tensor], Tensor], output: Tensor, target: Tensor) -> float | None:
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            value = float(function(output.clone(), target.clone()))
    except Exception:  # noqa: BLE001 - a loss that does not take this pair is not the one looked for
        return None
    return value if math.isfinite(value) else None


def _alike(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and math.isclose(one, other, rel_tol=TOLERANCE)
