"""The variance that weights should start with for the activation in use, and the one that they have."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import torch
from torch import Tensor, nn

from dltool.core.measured.init_stats import Theory, WeightScale
from dltool.probes.saturation import activation_name

XAVIER = frozenset({"tanh", "sigmoid", "softsign", "hardtanh", "hardsigmoid"})
"""Activations that saturate on both sides: the ones that Glorot & Bengio 2010 is about."""

LECUN = frozenset({"selu", "softmax", "log_softmax", "softmin", "glu", "logsigmoid"})
"""SELU keeps its own variance (Klambauer et al. 2017); what normalises over units, or gates, wants it kept as well."""

GATES = {"LSTM": 4, "GRU": 3, "LSTMCell": 4, "GRUCell": 3}
POINTS, REACH = 4001, 10.0


def weight_scales(path: str, module: nn.Module, activation: nn.Module | None, *, before_norm: bool) -> list[WeightScale]:
    """The weights of one module, by name; none for vectors, embeddings and normalisations.

    Args:
        path: the module's path.
        module: linear, convolution, recurrent or attention layer.
        activation: what acts on its output; None where nothing does.
        before_norm: a normalisation stands between the two.
    """
    recurrent = isinstance(module, nn.RNNBase | nn.RNNCellBase)
    own: tuple[Theory, float] = ("xavier", 1.0)
    theory, gain = own if recurrent or isinstance(module, nn.MultiheadAttention) else theory_of(activation)
    found = []
    for name, weight, parts in _matrices(module):
        fan_in, fan_out = _fans(weight, parts)
        if not fan_in or not fan_out:
            continue
        variance = gain**2 * (2.0 / (fan_in + fan_out) if theory == "xavier" else 1.0 / fan_in)
        std = float(weight.detach().double().std(correction=0))
        found.append(
            WeightScale(
                parameter=f"{path}.{name}" if path else name,
                std=std,
                expected_std=math.sqrt(variance),
                variance_ratio=std * std / variance,
                theory=theory,
                gain=gain,
                activation=None if activation is None or recurrent else activation_name(activation),
                fan_in=fan_in,
                fan_out=fan_out,
                before_norm=before_norm,
            )
        )
    return found


def theory_of(activation: nn.Module | None) -> tuple[Theory, float]:
    """Which theory suits an activation, and its gain.

    Gains are torch's (``nn.init.calculate_gain``) where it has one; for other activations the one that keeps the second
    moment of a standard normal signal, 1 / √E[f(z)²], of which He's √2 for relu is the special case.
    """
    name = None if activation is None else activation_name(activation)
    if activation is None or name is None or name in LECUN:
        return "lecun", 1.0
    if isinstance(activation, nn.ReLU | nn.ReLU6):
        return "he", nn.init.calculate_gain("relu")
    if isinstance(activation, nn.LeakyReLU):
        return "he", nn.init.calculate_gain("leaky_relu", activation.negative_slope)
    if name in {"tanh", "sigmoid"}:
        return "xavier", nn.init.calculate_gain("tanh" if name == "tanh" else "sigmoid")
    return "xavier" if name in XAVIER else "he", _gain(activation)


def _gain(activation: nn.Module) -> float:
    """1 / √E[f(z)²] for z ~ N(0, 1), by the trapezoidal rule; 1 where ``activation`` is not a function of one number."""
    z = torch.linspace(-REACH, REACH, POINTS)
    with torch.no_grad():
        try:
            values = activation(z.to(next(activation.parameters(), z))).double().cpu()
        except (RuntimeError, IndexError, ValueError):
            return 1.0
    moment = float((values.square() * _density()).sum()) if values.shape == z.shape else 1.0
    return 1.0 / math.sqrt(moment) if moment > 0.0 else 1.0


@cache
def _density() -> Tensor:
    z = torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    return torch.exp(-0.5 * z * z) / math.sqrt(2 * math.pi) * (2 * REACH / (POINTS - 1))


def _matrices(module: nn.Module) -> Iterator[tuple[str, Tensor, int]]:
    """Weights of rank two and more with the number of gates (or of query, key and value) stacked in them."""
    if isinstance(module, nn.MultiheadAttention):
        names = {"in_proj_weight": 3, "q_proj_weight": 1, "k_proj_weight": 1, "v_proj_weight": 1}
        found = {name: getattr(module, name) for name in names}
        yield from ((name, weight, names[name]) for name, weight in found.items() if weight is not None)
        yield "out_proj.weight", module.out_proj.weight, 1
    elif isinstance(module, nn.RNNBase | nn.RNNCellBase):
        gates = GATES.get(type(module).__name__, GATES.get(getattr(module, "mode", ""), 1))
        for name, matrix in module.named_parameters(recurse=False):
            if matrix.ndim == 2:
                yield name, matrix, 1 if name.startswith("weight_hr") else gates
    else:
        own = getattr(module, "weight", None)
        if isinstance(own, Tensor) and own.ndim >= 2 and own.is_floating_point():
            yield "weight", own, 1


def _fans(weight: Tensor, parts: int) -> tuple[int, int]:
    """As torch counts them: (out, in, *kernel)."""
    field = weight[0, 0].numel() if weight.numel() else 0
    return weight.shape[1] * field, weight.shape[0] // parts * field
