"""From a linear layer through an activation into the next linear layer: one unit changes, so only its share is computed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from dltool.probes.gradcheck.affine import Deltas
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
    """The calls of the activation and the linear layer that take nothing but the output of ``call``; empty where none do."""
    if type(call.what) is not nn.Linear:
        return []
    following = sorted((c for c in recording.calls if c.start > call.end and not c.inner), key=lambda c: c.start)[:2]
    if [type(c.what) in ELEMENTWISE for c in following] != [True, False] or type(following[1].what) is not nn.Linear:
        return []
    takers = zip((call, following[0]), following, strict=True)
    taken = all(_once(recording, after) and _hands_over(before, after) for before, after in takers)
    return following if taken else []


def _once(recording: Recording, call: Call) -> bool:
    own_hooks = call.what._forward_hooks or call.what._forward_pre_hooks  # noqa: SLF001
    return call.path is not None and sum(c.what is call.what for c in recording.calls) == 1 and not own_hooks


def _hands_over(before: Call, after: Call) -> bool:
    given: Any = after.args[0] if len(after.args) == 1 and not after.kwargs else None
    return isinstance(given, Tensor) and given.shape == before.output.shape and bool(torch.equal(given, before.output))


def deltas_onward(name: str, call: Call, activation: Call, last: Call) -> Deltas:
    """How elements of the weight or bias (``name``) of the layer of ``call`` change the output of ``last``."""
    features = call.what.in_features
    columns = call.args[0].reshape(-1, features).T.contiguous()
    units_before = call.output.reshape(-1, call.what.out_features).T.contiguous()
    units_after = activation.output.reshape(-1, call.what.out_features).T.contiguous()
    rows = last.what.weight.detach().T.contiguous()

    def deltas(elements: Tensor, offsets: Tensor) -> Tensor:
        units = elements if name == "bias" else elements // features
        moved = offsets.unsqueeze(1) if name == "bias" else offsets.unsqueeze(1) * columns[elements % features]
        changed = activation.what(units_before[units] + moved) - units_after[units]
        return (changed.unsqueeze(2) * rows[units].unsqueeze(1)).reshape(len(elements), *last.output.shape)

    return deltas
