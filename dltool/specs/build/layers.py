"""One builder for every layer of the spec: from its arguments and the shape that arrives to an ``nn.Module``."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from dltool.specs.build import modules
from dltool.specs.misfit import MisfitError, shape_text
from dltool.specs.schema.layer_base import Layer


@dataclass(frozen=True, slots=True)
class Incoming:
    """What reaches a layer: one sample's shape, and whether its first dimension is time.

    ``sequence`` holds behind layers that make or keep sequences (embedding, recurrent, attention); ``padded`` where the
    batch comes with lengths.
    """

    shape: tuple[int, ...]
    sequence: bool = False
    padded: bool = False
    integers: bool = False


Builder = Callable[[Any, Incoming], nn.Module]

CHANNELS = {1: "(channels, length)", 2: "(channels, height, width)", 3: "(channels, depth, height, width)"}
KEEPS_SEQUENCE = frozenset(
    {"linear", "drop_connect", "dropout", "gaussian_noise", "batch_norm", "layer_norm", "rms_norm", "residual"}
)
MAKES_SEQUENCE = frozenset({"embedding", "rnn", "lstm", "gru", "multihead_attention", "transformer_encoder_layer"})
POOLS_TIME = frozenset({"global_avg_pool", "global_max_pool"})

ACTIVATIONS: Mapping[str, type[nn.Module]] = {
    "relu": nn.ReLU, "leaky_relu": nn.LeakyReLU, "prelu": nn.PReLU, "rrelu": nn.RReLU, "relu6": nn.ReLU6, "elu": nn.ELU,
    "celu": nn.CELU, "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish, "softplus": nn.Softplus,
    "softsign": nn.Softsign, "sigmoid": nn.Sigmoid, "log_sigmoid": nn.LogSigmoid, "hardsigmoid": nn.Hardsigmoid,
    "tanh": nn.Tanh, "tanhshrink": nn.Tanhshrink, "hardtanh": nn.Hardtanh, "hardswish": nn.Hardswish,
    "softshrink": nn.Softshrink, "hardshrink": nn.Hardshrink, "threshold": nn.Threshold, "glu": nn.GLU,
    "softmax": nn.Softmax, "softmin": nn.Softmin, "log_softmax": nn.LogSoftmax, "softmax2d": nn.Softmax2d,
}  # fmt: skip
OVER_CLASSES = frozenset({"softmax", "softmin", "log_softmax"})


def arguments(layer: Layer, *leave_out: str) -> dict[str, Any]:
    """The layer's own arguments, as torch names them."""
    return {
        name: getattr(layer, name)
        for name in type(layer).model_fields
        if name not in {"name", "l2", "frozen", *leave_out} and not (name == "init" and layer.kind != "prelu")
    }


def _sized(layer: Layer, argument: str, arrives: int) -> int:
    """The size that arrives; MisfitError where the spec insists on another."""
    given = getattr(layer, argument)
    if given is not None and given != arrives:
        raise MisfitError(f"{argument} does not match what arrives", value=given, expected=f"{arrives}, or leave it out")
    return arrives


def _needs(kind: str, incoming: Incoming, rank: int, form: str, advice: str) -> None:
    if len(incoming.shape) != rank:
        raise MisfitError(f"{kind} needs samples of shape {form}; {advice}", value=shape_text(incoming.shape), expected=form)


def _needs_channels(kind: str, incoming: Incoming, dims: int) -> None:
    shape, form = incoming.shape, CHANNELS[dims]
    if len(shape) == dims:
        advice = f"add `reshape: [1, {', '.join(map(str, shape))}]` before it for a single channel"
    elif len(shape) < dims:
        advice = f"add `reshape: [{form[1:-1]}]` before it"
    else:
        advice = f"use the layer for {len(shape) - 1} dimensions" if len(shape) <= 4 else "add `reshape` before it"
    _needs(kind, incoming, dims + 1, form, advice)


def _needs_steps(kind: str, incoming: Incoming) -> None:
    if len(incoming.shape) == 1 and incoming.integers:
        advice = "add an `embedding` before it"
    elif len(incoming.shape) == 1:
        advice = "add `reshape: [steps, features]` before it (`reshape: [-1, 1]`: one feature a step)"
    else:
        advice = "add `reshape: [steps, features]` before it"
    _needs(kind, incoming, 2, "(steps, features)", advice)


def _linear(layer: Any, incoming: Incoming) -> nn.Module:
    if not 1 <= len(incoming.shape) <= 2:
        advice = "add `flatten` before it" if incoming.shape else "add `reshape: [1]` before it"
        raise MisfitError(
            f"{layer.kind} needs vectors, or sequences of them; {advice}",
            value=shape_text(incoming.shape),
            expected="(features,) or (steps, features)",
        )
    given = arguments(layer) | {"in_features": _sized(layer, "in_features", incoming.shape[-1])}
    return nn.Linear(**given) if layer.kind == "linear" else modules.DropConnect(**given)


def _conv(dims: int) -> Builder:
    module: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]

    def build(layer: Any, incoming: Incoming) -> nn.Module:
        _needs_channels(layer.kind, incoming, dims)
        channels = _sized(layer, "in_channels", incoming.shape[0])
        return module(**arguments(layer) | {"in_channels": channels})  # type: ignore[no-any-return]

    return build


def _pool(module: Any, dims: int) -> Builder:
    def build(layer: Any, incoming: Incoming) -> nn.Module:
        _needs_channels(layer.kind, incoming, dims)
        return module(**arguments(layer))  # type: ignore[no-any-return]

    return build


def _global_pool(layer: Any, incoming: Incoming) -> nn.Module:
    rank = len(incoming.shape)
    if rank < 2:
        raise MisfitError(
            f"{layer.kind} needs something to pool over",
            value=shape_text(incoming.shape),
            expected="(channels, ...) or (steps, features)",
        )
    if layer.dim is None:
        dims = (1,) if incoming.sequence else tuple(range(2, rank + 1))
    else:
        dims = tuple(d + rank + 1 if d < 0 else d for d in ((layer.dim,) if isinstance(layer.dim, int) else layer.dim))
    if incoming.padded and dims != (1,):
        raise MisfitError(f"{layer.kind} pools padded sequences over time", value=layer.dim, expected="1", below=())
    if not all(1 <= d <= rank for d in dims) or len(set(dims)) != len(dims):
        raise MisfitError("dim names no dimension of a sample (0 is the batch)", value=layer.dim, expected=f"1 to {rank}")
    return modules.GlobalPool("avg" if layer.kind == "global_avg_pool" else "max", dims)


def _batch_norm(layer: Any, incoming: Incoming) -> nn.Module:
    rank = len(incoming.shape)
    if not 1 <= rank <= 4:
        raise MisfitError(
            "batch_norm needs (features,) or (channels, ...) with at most three further dimensions",
            value=shape_text(incoming.shape),
        )
    if incoming.sequence and rank == 2:
        return modules.SequenceBatchNorm(
            **arguments(layer) | {"num_features": _sized(layer, "num_features", incoming.shape[-1])}
        )
    norm: Any = (nn.BatchNorm1d, nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)[rank - 1]
    features = _sized(layer, "num_features", incoming.shape[0])
    return norm(**arguments(layer) | {"num_features": features})  # type: ignore[no-any-return]


def _group_norm(layer: Any, incoming: Incoming) -> nn.Module:
    channels = _sized(layer, "num_channels", incoming.shape[0])
    if channels % layer.num_groups:
        raise MisfitError(
            "num_groups does not divide the channels", value=layer.num_groups, expected=f"a divisor of {channels}"
        )
    return nn.GroupNorm(**arguments(layer) | {"num_channels": channels})


def _last_dims_norm(module: Any) -> Builder:
    def build(layer: Any, incoming: Incoming) -> nn.Module:
        given = layer.normalized_shape
        shape = incoming.shape[-1:] if given is None else (given,) if isinstance(given, int) else given
        if incoming.shape[-len(shape) :] != shape:
            raise MisfitError(
                "normalized_shape does not match the last dimensions of what arrives",
                value=shape_text(shape),
                expected=f"{shape_text(incoming.shape[-len(shape) :])}, or leave it out",
            )
        if incoming.padded and len(shape) >= len(incoming.shape):
            raise MisfitError(f"{layer.kind} over time would mix in the padding", value=shape_text(shape))
        return module(**arguments(layer) | {"normalized_shape": shape})  # type: ignore[no-any-return]

    return build


def _embedding(layer: Any, incoming: Incoming) -> nn.Module:
    if not incoming.integers:
        raise MisfitError(
            "embedding looks up integers, but real numbers arrive", expected="integer inputs, first in the model"
        )
    return nn.Embedding(**arguments(layer))


def _recurrent(module: Any) -> Builder:
    def build(layer: Any, incoming: Incoming) -> nn.Module:
        _needs_steps(layer.kind, incoming)
        if layer.dropout > 0 and layer.num_layers == 1:
            raise MisfitError(
                "dropout acts between layers: with one there is nothing between", expected="num_layers of 2 or more"
            )
        size = _sized(layer, "input_size", incoming.shape[-1])
        rnn = module(**arguments(layer, "output") | {"input_size": size}, batch_first=True)
        return modules.Recurrent(rnn, last_step=layer.output == "last")

    return build


def _attention(layer: Any, incoming: Incoming) -> nn.Module:
    _needs_steps(layer.kind, incoming)
    size = _sized(layer, "embed_dim", incoming.shape[-1])
    _needs_heads(size, layer.num_heads, "num_heads")
    return modules.SelfAttention(nn.MultiheadAttention(**arguments(layer) | {"embed_dim": size}, batch_first=True))


def _encoder_layer(layer: Any, incoming: Incoming) -> nn.Module:
    _needs_steps(layer.kind, incoming)
    size = _sized(layer, "d_model", incoming.shape[-1])
    _needs_heads(size, layer.nhead, "nhead")
    return modules.TransformerEncoderLayer(**arguments(layer) | {"d_model": size}, batch_first=True)


def _needs_heads(size: int, heads: int, argument: str) -> None:
    if size % heads:
        raise MisfitError(
            f"{argument} does not divide the features that arrive", value=heads, expected=f"a divisor of {size}"
        )


def _activation(layer: Any, incoming: Incoming) -> nn.Module:
    given = arguments(layer)
    if layer.kind in OVER_CLASSES and "dim" not in layer.model_fields_set and len(incoming.shape) >= 3:
        given["dim"] = 1  # the classes of (N, C, H, W)
    if layer.kind == "glu" and incoming.shape[-1] % 2 and layer.dim == -1:
        raise MisfitError("glu halves the last dimension", value=shape_text(incoming.shape), expected="an even size")
    return ACTIVATIONS[layer.kind](**given)


def _reshape(layer: Any, incoming: Incoming) -> nn.Module:
    shape = (layer.shape,) if isinstance(layer.shape, int) else layer.shape
    free = sum(1 for size in shape if size == -1)
    total, wanted = math.prod(incoming.shape), math.prod(size for size in shape if size != -1)
    fits = wanted > 0 and (total % wanted == 0 if free else total == wanted)
    if free > 1 or any(size < 1 and size != -1 for size in shape) or not fits:
        raise MisfitError(
            f"the {total} values of a sample of shape {shape_text(incoming.shape)} do not fit",
            value=shape_text(shape),
            expected=f"sizes whose product is {total}, at most one of them -1",
        )
    return modules.Reshape(shape)


def _plain(module: Any) -> Builder:
    return lambda layer, _: module(**arguments(layer))


BUILDERS: Mapping[str, Builder] = {
    "linear": _linear,
    "drop_connect": _linear,
    "conv1d": _conv(1),
    "conv2d": _conv(2),
    "conv3d": _conv(3),
    "embedding": _embedding,
    "max_pool1d": _pool(nn.MaxPool1d, 1),
    "max_pool2d": _pool(nn.MaxPool2d, 2),
    "max_pool3d": _pool(nn.MaxPool3d, 3),
    "avg_pool1d": _pool(nn.AvgPool1d, 1),
    "avg_pool2d": _pool(nn.AvgPool2d, 2),
    "avg_pool3d": _pool(nn.AvgPool3d, 3),
    "adaptive_avg_pool1d": _pool(nn.AdaptiveAvgPool1d, 1),
    "adaptive_avg_pool2d": _pool(nn.AdaptiveAvgPool2d, 2),
    "adaptive_avg_pool3d": _pool(nn.AdaptiveAvgPool3d, 3),
    "adaptive_max_pool1d": _pool(nn.AdaptiveMaxPool1d, 1),
    "adaptive_max_pool2d": _pool(nn.AdaptiveMaxPool2d, 2),
    "adaptive_max_pool3d": _pool(nn.AdaptiveMaxPool3d, 3),
    "global_avg_pool": _global_pool,
    "global_max_pool": _global_pool,
    "flatten": _plain(nn.Flatten),
    "reshape": _reshape,
    "dropout": _plain(nn.Dropout),
    "gaussian_noise": _plain(modules.GaussianNoise),
    "batch_norm": _batch_norm,
    "layer_norm": _last_dims_norm(nn.LayerNorm),
    "rms_norm": _last_dims_norm(nn.RMSNorm),
    "group_norm": _group_norm,
    "rnn": _recurrent(nn.RNN),
    "lstm": _recurrent(nn.LSTM),
    "gru": _recurrent(nn.GRU),
    "multihead_attention": _attention,
    "transformer_encoder_layer": _encoder_layer,
    **dict.fromkeys(ACTIVATIONS, _activation),
}
"""By the layer's name in the spec; residual, which holds layers itself, is built where layers are put together."""
