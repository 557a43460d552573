"""From a layer through an activation into the next linear layer: one unit changes, so only its share is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dltool.probes.gradcheck.affine import Deltas, Moves, as_units
from dltool.probes.gradcheck.replay import Call, Recording

ELEMENTWISE: tuple[type[nn.Module], ...] = (
    nn.ReLU,
    nn.LeakyReLU,
    nn.ELU,
    nn.SELU,
    nn.CELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Tanh,
    nn.Sigmoid,
    nn.Softplus,
    nn.Softsign,
    nn.LogSigmoid,
    nn.Hardtanh,
    nn.ReLU6,
)
"""Activations that give each value its own result, whatever stands beside it."""


def onward(recording: Recording, call: Call) -> list[Call]:
    """The calls that take nothing but the output of ``call``: an activation, perhaps a flattening, and a linear layer.

    Empty where that is not what follows.
    """
    following = sorted((c for c in recording.calls if c.start > call.end and not c.inner), key=lambda c: c.start)[:3]
    kinds = [type(c.what) for c in following]
    flattened = nn.Flatten in kinds[1:2]
    following = following[: 3 if flattened else 2]
    shapes = flattened or type(call.what) is nn.Linear
    if not shapes or len(following) < 2 or kinds[0] not in ELEMENTWISE or type(following[-1].what) is not nn.Linear:
        return []
    takers = zip((call, *following[:-1]), following, strict=True)
    return following if all(_once(recording, after) and _hands_over(before, after) for before, after in takers) else []


def _once(recording: Recording, call: Call) -> bool:
    own_hooks = call.what._forward_hooks or call.what._forward_pre_hooks  # noqa: SLF001
    return call.path is not None and sum(c.what is call.what for c in recording.calls) == 1 and not own_hooks


def _hands_over(before: Call, after: Call) -> bool:
    given: Any = after.args[0] if len(after.args) == 1 and not after.kwargs else None
    return isinstance(given, Tensor) and given.shape == before.output.shape and bool(torch.equal(given, before.output))


def deltas_onward(moves: Moves, calls: list[Call]) -> Deltas | None:
    """How a layer's elements change the output of the last of ``calls``; ``moves`` is how they change the layer's own."""
    call, activation, last = calls[0], calls[1], calls[-1]
    units_before, units_after = (as_units(call.what, c.output).transpose(0, 1).contiguous() for c in (call, activation))
    units, _, places = units_before.shape
    weight: Tensor = last.what.weight.detach()
    if weight.shape[1] != units * places:
        return None
    shares = weight.reshape(-1, units, places).permute(1, 2, 0).contiguous()

    def deltas(elements: Tensor, offsets: Tensor) -> Tensor:
        changed_units, moved = moves(elements, offsets)
        changed: Tensor = activation.what(units_before[changed_units] + moved) - units_after[changed_units]
        change: Tensor = changed @ shares[changed_units]
        return change.reshape(len(elements), *last.output.shape)

    return deltas
