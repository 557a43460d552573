"""Runs one plain step under a Tracer and hands back what the tests ask about."""

import math
from types import SimpleNamespace

import torch

from dltool.probes.nested import batch_size, tensors
from dltool.probes.trace.suspects import suspects
from dltool.probes.trace.tracer import NOTHING, Tracer


def traced(model, x, y, loss_of, *, optimizer=None, mend=NOTHING, allow=()):
    """A step as a user's loop takes it; ``suspects`` are those of the first thing that went bad."""
    optimizer = optimizer or torch.optim.SGD(model.parameters(), lr=0.1)
    tracer = Tracer(model, samples=batch_size(y), mend=mend)
    error = None
    value = math.nan
    states = {f"{i}/{key}": v for i, state in enumerate(optimizer.state.values()) for key, v in state.items()}
    with tracer.tracing(x, y, states):
        try:
            loss = loss_of(model(x), y)
            value = loss.item()
            if math.isfinite(value):
                loss.backward()
                optimizer.step()
        except (RuntimeError, ValueError) as raised:
            error = raised
    sinks = _sinks(model, optimizer, tracer, value, error)
    found = suspects(tracer.operations, sinks, loss_is_finite=math.isfinite(value), allow=allow)
    first = found[0] if found else None
    return SimpleNamespace(
        tracer=tracer,
        loss=value,
        error=error,
        sinks=sinks,
        suspects=found,
        births=[o for s in found for o in s.operations],
        leaves=[s.leaf for s in found if s.leaf],
        first=first.leaf or first.operations[0] if first else None,
    )


def _sinks(model, optimizer, tracer, value, error):
    if error is not None:
        return tracer.last_taken
    if not math.isfinite(value):
        return tracer.last_item
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    states = [t for state in optimizer.state.values() for t in tensors(state)]
    for kind in (gradients, list(model.parameters()), states, list(model.buffers())):
        found = [source for tensor in kind for source in tracer.flow.sources(tensor)]
        if found:
            return found
    return []
