"""Runs a small step under the tracer and makes the event of its first birth, with the numbers that torch really gives."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import nn

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.probes.trace.record import Operation
from dltool.probes.trace.suspects import suspects
from dltool.probes.trace.tracer import Tracer


class Weighted(nn.Module):
    """One parameter, and a function of it that may also be a loss already."""

    def __init__(self, weight: torch.Tensor, function: Any) -> None:
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.function = function

    def forward(self, _: object) -> Any:
        return self.function(self.weight)


def weights(*values: Any, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.tensor(values, dtype=dtype)


def event_of(function: Any, weight: torch.Tensor, *, at: str | None = None, **more: Any) -> NonFiniteEvent:
    """The event of a forward and backward pass of ``function(weight)``, summed up: its first birth, or that of ``at``."""
    model = Weighted(weight.clone(), function)
    tracer = Tracer(model)
    with tracer.tracing(None, None, {}):
        output = model(None)
        loss = output if output.ndim == 0 else output.sum()
        value = loss.item()
        if math.isfinite(value):
            loss.backward()
    if at is not None:
        return from_operation(next(o for o in tracer.operations.values() if o.born and o.aten == at), **more)
    sinks = tracer.flow.sources(model.weight.grad) if math.isfinite(value) else tracer.last_item
    found = suspects(tracer.operations, sinks, loss_is_finite=math.isfinite(value))
    assert found, "the step is healthy"
    return from_operation(found[0].operations[0], **more)


def updated(
    make: Any, weight: torch.Tensor, gradient: float, *, state: dict[str, float] | None = None, at: str = ""
) -> NonFiniteEvent:
    """The event of an optimizer's step (its first birth, or that in ``at``), its settings as the hunt fills them in."""
    weight = nn.Parameter(weight.clone())
    optimizer = make([weight])
    if state is not None:
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        for key, value in state.items():
            optimizer.state[weight][key].fill_(value)
    weight.grad = torch.full_like(weight, gradient)
    before, used = weight.detach().clone(), weight.grad.clone()
    tracer = Tracer(nn.Module())
    with tracer.tracing(None, None, {}):
        optimizer.step()
    born = next(operation for operation in tracer.operations.values() if operation.born and at in operation.aten)
    group = {key: value for key, value in optimizer.param_groups[0].items() if isinstance(value, int | float | tuple)}
    settings = {
        "optimizer": type(optimizer).__name__,
        **group,
        "clip_norm": None,
        "parameter_dtype": str(weight.dtype).removeprefix("torch."),
        "gradient": _facts(used),
        "before": _facts(before),
        "state": {key: _facts(value) for key, value in optimizer.state[weight].items() if value.ndim},
    }
    return from_operation(born, phase="optimizer", parameter="weight", settings=settings)


def from_operation(born: Operation, **more: Any) -> NonFiniteEvent:
    facts = {name: getattr(born, name) for name in SAME}
    value = "nan" if born.output.nan else "inf"
    count = born.output.nan + born.output.positive_inf + born.output.negative_inf
    return NonFiniteEvent(**{**facts, "step": 3, "value": value, "count": count, **more})


def _facts(tensor: torch.Tensor) -> dict[str, float]:
    return {
        "minimum": float(tensor.min()),
        "maximum": float(tensor.max()),
        "nan": int(tensor.isnan().sum()),
        "inf": int(tensor.isinf().sum()),
    }


SAME = (
    "phase", "op", "aten", "module", "forward_op", "inputs", "output", "arguments", "index", "operands", "makers",
    "names", "finite_again",
)  # fmt: skip
