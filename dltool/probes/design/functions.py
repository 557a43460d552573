"""Torch functions by the names that specs have for layers, with those of their arguments that layers have too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from dltool.core.measured.design import Argument
from dltool.probes.design.calls import words
from dltool.probes.design.layers import ACTIVATION_ARGUMENTS, AVG_POOL, SPELLED, plain

DEFAULTS: Mapping[str, Argument] = {
    "negative_slope": 0.01,
    "alpha": 1.0,
    "approximate": "none",
    "beta": 1.0,
    "threshold": 20.0,
    "lambd": 0.5,
    "min_val": -1.0,
    "max_val": 1.0,
    "lower": 0.125,
    "upper": 1.0 / 3.0,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "groups": 1,
    "ceil_mode": False,
    "count_include_pad": True,
    "start_dim": 1,
    "end_dim": -1,
    "p": 0.5,
    "training": True,
    "eps": 1e-5,
    "momentum": 0.1,
}
"""Of functions in C++; ``start_dim`` is the layer's, the function's is 0."""

ACTIVATIONS = words(
    """relu relu6 leaky_relu prelu rrelu elu celu selu gelu silu mish softplus softsign sigmoid logsigmoid hardsigmoid tanh
    tanhshrink hardtanh hardswish softshrink hardshrink threshold glu softmax softmin log_softmax"""
)
CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})
POOLS: Mapping[str, tuple[str, ...]] = {
    **{f"max_pool{n}d": ("kernel_size", "stride", "padding", "dilation", "ceil_mode") for n in (1, 2, 3)},
    "avg_pool1d": AVG_POOL,
    "avg_pool2d": (*AVG_POOL, "divisor_override"),
    "avg_pool3d": (*AVG_POOL, "divisor_override"),
    **{f"adaptive_{kind}_pool{n}d": ("output_size",) for kind in ("avg", "max") for n in (1, 2, 3)},
}
LAYER_LIKE = frozenset({"embedding", "dropout", "batch_norm", "layer_norm", "group_norm", "rms_norm", "instance_norm"})
RECURRENT: Mapping[str, str] = {
    "lstm": "lstm",
    "gru": "gru",
    "rnn_tanh": "rnn",
    "rnn_relu": "rnn",
    "lstm_cell": "lstm_cell",
    "gru_cell": "gru_cell",
    "rnn_tanh_cell": "rnn_cell",
    "rnn_relu_cell": "rnn_cell",
}


def layer_of(name: str, given: Mapping[str, Any]) -> tuple[str, dict[str, Argument]] | None:
    """The layer that a function computes, and its arguments; None for a function that is none."""
    if name in ACTIVATIONS:
        return SPELLED.get(name, name), _activation(name, given)
    if name == "gumbel_softmax":
        return "softmax", {"dim": plain(given.get("dim", -1))}
    if name == "linear":
        out_features, in_features = _sizes(given.get("weight"), 2)
        return "linear", {"in_features": in_features, "out_features": out_features, "bias": given.get("bias") is not None}
    if name in CONVOLUTIONS:
        return name, _convolution(name, given)
    if name in POOLS:
        return name, _pool(name, given)
    if name in RECURRENT:
        return RECURRENT[name], _recurrent(name, given)
    if name in LAYER_LIKE:
        return name, LAYER_ARGUMENTS[name](given)
    if name == "multi_head_attention_forward":
        return "multihead_attention", {
            "embed_dim": plain(given.get("embed_dim_to_check")),
            "num_heads": plain(given.get("num_heads")),
            "dropout": plain(given.get("dropout_p")),
            "bias": given.get("in_proj_bias") is not None,
        }
    return None


def _argument(given: Mapping[str, Any], name: str) -> Argument:
    return plain(given[name]) if name in given else DEFAULTS.get(name)


def _activation(name: str, given: Mapping[str, Any]) -> dict[str, Argument]:
    found = {argument: _argument(given, argument) for argument in ACTIVATION_ARGUMENTS.get(SPELLED.get(name, name), ())}
    if name == "prelu":
        weight = given.get("weight")
        found["num_parameters"] = weight.numel() if isinstance(weight, Tensor) else None
    if name in {"softmax", "softmin", "log_softmax"} and found["dim"] is None:
        found["dim"] = implied_dim(given.get("input"))
    if name == "glu" and "dim" not in given:
        found["dim"] = -1
    return found


def implied_dim(tensor: Any) -> Argument:
    """The dimension that torch's softmax takes where none is given (and warns)."""
    if not isinstance(tensor, Tensor):
        return None
    return 0 if tensor.ndim in {0, 1, 3} else 1


def _convolution(name: str, given: Mapping[str, Any]) -> dict[str, Argument]:
    weight = given.get("weight")
    groups = _argument(given, "groups")
    first, second, *kernel = _sizes(weight, 3)
    transposed = "transpose" in name
    into, out = (first, second) if transposed else (second, first)
    if isinstance(groups, int) and isinstance(into, int) and isinstance(out, int):
        into, out = (into, out * groups) if transposed else (into * groups, out)
    return {
        "in_channels": into,
        "out_channels": out,
        "kernel_size": tuple(size for size in kernel if size is not None) or None,
        **{argument: _argument(given, argument) for argument in ("stride", "padding", "dilation", "groups")},
        "bias": given.get("bias") is not None,
        "padding_mode": "zeros",
    }


def _pool(name: str, given: Mapping[str, Any]) -> dict[str, Argument]:
    found = {argument: _argument(given, argument) for argument in POOLS[name]}
    if "stride" in found and (given.get("stride") is None or given.get("stride") == []):
        found["stride"] = found["kernel_size"]
    return found


def _recurrent(name: str, given: Mapping[str, Any]) -> dict[str, Argument]:
    into = given.get("input")
    found: dict[str, Argument] = {"input_size": into.shape[-1] if isinstance(into, Tensor) and into.ndim else None}
    weights = [given.get("w_hh")] if name.endswith("cell") else list(given.get("params") or ())[1:2]
    found["hidden_size"] = weights[0].shape[-1] if weights and isinstance(weights[0], Tensor) else None
    for argument in ("num_layers", "dropout", "bidirectional", "batch_first"):
        if argument in given:
            found[argument] = plain(given[argument])
    if name.startswith("rnn"):
        found["nonlinearity"] = name.split("_")[1]
    return found


def _embedding(given: Mapping[str, Any]) -> dict[str, Argument]:
    entries, width = _sizes(given.get("weight"), 2)
    return {"num_embeddings": entries, "embedding_dim": width, "padding_idx": plain(given.get("padding_idx"))}


def _dropout(given: Mapping[str, Any]) -> dict[str, Argument]:
    return {"p": _argument(given, "p"), "training": plain(given.get("training", given.get("train", True)))}


def _batch_norm(given: Mapping[str, Any]) -> dict[str, Argument]:
    into = given.get("input")
    return {
        "num_features": into.shape[1] if isinstance(into, Tensor) and into.ndim > 1 else None,
        "eps": _argument(given, "eps"),
        "momentum": _argument(given, "momentum"),
        "affine": given.get("weight") is not None,
        "track_running_stats": given.get("running_mean") is not None,
        "bias": given.get("bias") is not None,
        "training": plain(given.get("training", given.get("use_input_stats", False))),
    }


def _last_dims_norm(given: Mapping[str, Any]) -> dict[str, Argument]:
    return {
        "normalized_shape": plain(tuple(given.get("normalized_shape") or ())),
        "eps": _argument(given, "eps"),
        "elementwise_affine": given.get("weight") is not None,
        "bias": given.get("bias") is not None,
    }


def _group_norm(given: Mapping[str, Any]) -> dict[str, Argument]:
    into = given.get("input")
    return {
        "num_groups": plain(given.get("num_groups")),
        "num_channels": into.shape[1] if isinstance(into, Tensor) and into.ndim > 1 else None,
        "eps": _argument(given, "eps"),
        "affine": given.get("weight") is not None,
        "bias": given.get("bias") is not None,
    }


LAYER_ARGUMENTS = {
    "embedding": _embedding,
    "dropout": _dropout,
    "batch_norm": _batch_norm,
    "instance_norm": _batch_norm,
    "layer_norm": _last_dims_norm,
    "rms_norm": _last_dims_norm,
    "group_norm": _group_norm,
}


def _sizes(weight: Any, at_least: int) -> list[int | None]:
    """The shape of a weight, filled up with None."""
    shape: list[int | None] = list(weight.shape) if isinstance(weight, Tensor) else []
    return shape + [None] * max(0, at_least - len(shape))
