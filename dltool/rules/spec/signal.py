"""How a signal's size, and a gradient's, change at a layer that starts at random: the mean-field theory of wide nets.

q' = fan_in · var(w) · E[f(√q z)²] and χ = fan_out · var(w) · E[f'(√q z)²] for z ~ N(0, 1) (Poole et al. 2016; Schoenholz et
al. 2017, Deep information propagation, eqs. 3 and 7).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache

from dltool.core.measured.design import DesignedInit, DesignedLayer
from dltool.rules.spec.graph import CONVS, number, numbers

STEPS, REACH, SLOPE = 400, 8.0, 1e-4
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
GAINS: Mapping[str, float] = {"tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
"""torch.nn.init.calculate_gain; 1 for linear, sigmoid and convolutions."""


def _sigmoid(z: float) -> float:
    return 1.0 / (1.0 + math.exp(-z)) if z > -700.0 else 0.0


FUNCTIONS: Mapping[str, Callable[[float, float], float]] = {
    "": lambda z, _: z,
    "relu": lambda z, _: max(z, 0.0),
    "relu6": lambda z, _: min(max(z, 0.0), 6.0),
    "leaky_relu": lambda z, slope: z if z > 0.0 else slope * z,
    "elu": lambda z, _: z if z > 0.0 else math.expm1(z),
    "selu": lambda z, _: SELU_SCALE * (z if z > 0.0 else SELU_ALPHA * math.expm1(z)),
    "gelu": lambda z, _: z * 0.5 * (1.0 + math.erf(z / math.sqrt(2.0))),
    "silu": lambda z, _: z * _sigmoid(z),
    "tanh": lambda z, _: math.tanh(z),
    "sigmoid": lambda z, _: _sigmoid(z),
    "softsign": lambda z, _: z / (1.0 + abs(z)),
    "softplus": lambda z, _: max(z, 0.0) + math.log1p(math.exp(-abs(z))),
}
"""Activations as functions of one number; the second is a leaky ReLU's slope."""


@cache
def moments(activation: str, slope: float, size: float) -> tuple[float, float]:
    """E[f(√q z)²] and E[f'(√q z)²] for z ~ N(0, 1) and q = ``size``, by the midpoint rule."""
    function, root, width = FUNCTIONS[activation], math.sqrt(size), 2.0 * REACH / STEPS
    square = derivative = 0.0
    for step in range(STEPS):
        z = -REACH + (step + 0.5) * width
        weight = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi) * width
        at = root * z
        square += weight * function(at, slope) ** 2
        derivative += weight * ((function(at + SLOPE, slope) - function(at - SLOPE, slope)) / (2.0 * SLOPE)) ** 2
    return square, derivative


def fans(layer: DesignedLayer) -> tuple[float, float] | None:
    """Fan in and fan out as torch counts them; None where a size is not known."""
    given = layer.arguments
    if layer.kind in CONVS:
        kernel = numbers(given.get("kernel_size"), int(layer.kind[4]))
        groups = number(given.get("groups"), 1.0)
        enters, leaves = number(given.get("in_channels"), 0.0) / groups, number(given.get("out_channels"), 0.0)
        field = 0 if kernel is None else math.prod(kernel)
        return (enters * field, leaves * field) if enters > 0 and leaves > 0 and field else None
    enters, leaves = number(given.get("in_features"), 0.0), number(given.get("out_features"), 0.0)
    return (enters, leaves) if enters > 0 and leaves > 0 else None


def variance(init: DesignedInit, fan_in: float, fan_out: float) -> float | None:
    """The variance of weights that start so; None for an initialiser that fits itself, or is no random one."""
    given = init.arguments
    if init.name == "default":  # kaiming_uniform with a = √5
        return 1.0 / (3.0 * fan_in)
    if init.name in {"xavier_uniform", "xavier_normal"}:
        return number(given.get("gain"), 1.0) ** 2 * 2.0 / (fan_in + fan_out)
    if init.name in {"kaiming_uniform", "kaiming_normal"}:
        return _kaiming_gain(given) ** 2 / (fan_out if given.get("mode") == "fan_out" else fan_in)
    if init.name in {"lecun_uniform", "lecun_normal"}:
        return 1.0 / fan_in
    if init.name == "orthogonal":
        return number(given.get("gain"), 1.0) ** 2 / max(fan_in, fan_out)
    if init.name in {"normal", "truncated_normal"} and number(given.get("mean"), 0.0) == 0.0:
        return number(given.get("std"), 1.0) ** 2
    if init.name == "uniform" and given.get("a") is not None and given.get("b") is not None:
        low, high = number(given.get("a"), 0.0), number(given.get("b"), 1.0)
        return (high - low) ** 2 / 12.0 if low == -high else None
    return None


def _kaiming_gain(given: Mapping[str, object]) -> float:
    nonlinearity = given.get("nonlinearity", "leaky_relu")
    if nonlinearity == "leaky_relu":
        return math.sqrt(2.0 / (1.0 + number(given.get("a"), 0.0) ** 2))
    return GAINS.get(str(nonlinearity), 1.0)
