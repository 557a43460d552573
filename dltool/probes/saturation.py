"""When an activation passes no gradient: units that are off, and units far out on a flat tail.

"Off" is a derivative of exactly zero (relu and its kin): if it holds for every sample, the weights before the unit can never
move again. "Flat" is a derivative below ``FLAT_RATIO`` of the largest one that the activation has. For tanh that begins at
|x| = 2.99, for sigmoid at |x| = 5.99; DeepDiagnosis (Wardat et al., ICSE 2022) draws the line at |x| = 5 for both.
Derivatives come from the output where it determines them (sigmoid: y(1 - y)), else from the input.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

FLAT_RATIO = 0.01
"""Share of the activation's largest derivative below which a value counts as saturated."""

Idle = Callable[[Any, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class Judge:
    """How to see that one value of an activation is idle.

    ``idle`` takes the module and its input or output (``sees``) and gives a boolean tensor of the shape of the output;
    NaN is never idle.
    """

    state: Literal["dead", "saturated"]
    sees: Literal["input", "output"]
    idle: Idle


def judge_of(module: nn.Module) -> Judge | None:
    """How ``module`` can idle; None where it always passes a gradient (leaky relu) or is no activation."""
    return next((JUDGES[cls] for cls in type(module).__mro__ if cls in JUDGES), None)


def activation_name(module: nn.Module) -> str | None:
    """The name that torch.nn.functional has for this activation; None where the module is none."""
    return next((NAMES[cls] for cls in type(module).__mro__ if cls in NAMES), None)


def _off_outside(low: float, high: float) -> Idle:
    return lambda _, y: (y <= low) | (y >= high)


def _flat(slope: Callable[[Any, Tensor], Tensor], largest: float) -> Idle:
    """Idle where ``slope``, the derivative, is below ``FLAT_RATIO`` of its ``largest`` absolute value."""
    return lambda module, value: slope(module, value.float()).abs() < FLAT_RATIO * largest


def _flat_softmax(_: Any, probabilities: Tensor, dim: int) -> Tensor:
    """A row is flat when its largest probability p is so near 1 that p(1 - p), the largest slope there, is below 1 % of 1/4.

    Many classes make every p(1 - p) small without any saturation, hence the test of the largest p alone.
    """
    top = probabilities.float().amax(dim, keepdim=True)
    return ((top > 0.5) & (top * (1 - top) < FLAT_RATIO / 4)).expand_as(probabilities)


def _softmax_dim(module: nn.Softmax, y: Tensor) -> int:
    if module.dim is not None:
        return module.dim
    return 0 if y.ndim in (0, 1, 3) else 1


def _gelu_slope(module: nn.GELU, x: Tensor) -> Tensor:
    if module.approximate == "none":
        density = torch.exp(-0.5 * x * x) / math.sqrt(2 * math.pi)
        return 0.5 * (1 + torch.erf(x / math.sqrt(2))) + x * density
    scale = math.sqrt(2 / math.pi)
    t = torch.tanh(scale * (x + 0.044715 * x**3))
    return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * scale * (1 + 3 * 0.044715 * x * x)


def _silu_slope(_: nn.SiLU, x: Tensor) -> Tensor:
    gate = torch.sigmoid(x)
    return gate * (1 + x * (1 - gate))


def _mish_slope(_: nn.Mish, x: Tensor) -> Tensor:
    t = torch.tanh(nn.functional.softplus(x))
    return t + x * (1 - t * t) * torch.sigmoid(x)


def _hardswish_slope(_: nn.Hardswish, x: Tensor) -> Tensor:
    return torch.where(x <= -3, 0.0, torch.where(x >= 3, 1.0, x / 3 + 0.5))


def _elu_slope(module: nn.ELU, y: Tensor) -> Tensor:
    """Below zero alpha · exp(x) = y + alpha; as a share of the largest slope, which is alpha where that is above 1."""
    return torch.where(y < 0, y + module.alpha, 1.0) / max(1.0, module.alpha)


def _selu_slope(_: nn.SELU, y: Tensor) -> Tensor:
    return torch.where(y < 0, y + SELU_SCALE * SELU_ALPHA, SELU_SCALE)


SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

JUDGES: dict[type[nn.Module], Judge] = {
    nn.ReLU: Judge("dead", "output", lambda _, y: y <= 0),
    nn.ReLU6: Judge("dead", "output", _off_outside(0.0, 6.0)),
    nn.Threshold: Judge("dead", "input", lambda module, x: x <= module.threshold),
    nn.Sigmoid: Judge("saturated", "output", _flat(lambda _, y: y * (1 - y), 0.25)),
    nn.Tanh: Judge("saturated", "output", _flat(lambda _, y: 1 - y * y, 1.0)),
    nn.Softmax: Judge("saturated", "output", lambda module, y: _flat_softmax(module, y, _softmax_dim(module, y))),
    nn.Softmax2d: Judge("saturated", "output", lambda module, y: _flat_softmax(module, y, -3)),
    nn.Hardtanh: Judge("saturated", "output", lambda module, y: (y <= module.min_val) | (y >= module.max_val)),
    nn.Hardsigmoid: Judge("saturated", "output", _off_outside(0.0, 1.0)),
    nn.Softsign: Judge("saturated", "output", _flat(lambda _, y: (1 - y.abs()) ** 2, 1.0)),
    nn.GELU: Judge("saturated", "input", _flat(_gelu_slope, 1.129)),
    nn.SiLU: Judge("saturated", "input", _flat(_silu_slope, 1.0998)),
    nn.Mish: Judge("saturated", "input", _flat(_mish_slope, 1.0885)),
    nn.Hardswish: Judge("saturated", "input", _flat(_hardswish_slope, 1.5)),
    nn.ELU: Judge("saturated", "output", _flat(_elu_slope, 1.0)),
    nn.SELU: Judge("saturated", "output", _flat(_selu_slope, SELU_SCALE * SELU_ALPHA)),
    nn.CELU: Judge("saturated", "output", _flat(lambda module, y: torch.where(y < 0, y / module.alpha + 1, 1.0), 1.0)),
    nn.Softplus: Judge("saturated", "input", _flat(lambda module, x: torch.sigmoid(module.beta * x), 1.0)),
    nn.LogSigmoid: Judge("saturated", "input", _flat(lambda _, x: torch.sigmoid(-x), 1.0)),
}
"""By class; a subclass takes its nearest base's."""

NAMES: dict[type[nn.Module], str] = {
    nn.CELU: "celu",
    nn.ELU: "elu",
    nn.GELU: "gelu",
    nn.GLU: "glu",
    nn.Hardshrink: "hardshrink",
    nn.Hardsigmoid: "hardsigmoid",
    nn.Hardswish: "hardswish",
    nn.Hardtanh: "hardtanh",
    nn.LeakyReLU: "leaky_relu",
    nn.LogSigmoid: "logsigmoid",
    nn.LogSoftmax: "log_softmax",
    nn.Mish: "mish",
    nn.PReLU: "prelu",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.RReLU: "rrelu",
    nn.SELU: "selu",
    nn.Sigmoid: "sigmoid",
    nn.SiLU: "silu",
    nn.Softmax: "softmax",
    nn.Softmax2d: "softmax",
    nn.Softmin: "softmin",
    nn.Softplus: "softplus",
    nn.Softshrink: "softshrink",
    nn.Softsign: "softsign",
    nn.Tanh: "tanh",
    nn.Tanhshrink: "tanhshrink",
    nn.Threshold: "threshold",
}
