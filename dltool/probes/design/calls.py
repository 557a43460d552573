"""A call of a torch function: its plain name, and its arguments by torch's names."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cache
from typing import Any


def words(text: str) -> frozenset[str]:
    """The words of a list that is written as text."""
    return frozenset(text.split())


NAMES: Mapping[str, str] = {
    "truediv": "div",
    "divide": "div",
    "true_divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "negative": "neg",
    "absolute": "abs",
    "concat": "cat",
    "concatenate": "cat",
    "clip": "clamp",
    "special_expit": "sigmoid",
    "special_softmax": "softmax",
    "special_log_softmax": "log_softmax",
    "special_logsumexp": "logsumexp",
    "log_sigmoid": "logsigmoid",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "moveaxis": "movedim",
    "arctan": "atan",
    "threshold_": "threshold",
    "alpha_dropout": "dropout",
    "feature_dropout": "dropout",
    "feature_alpha_dropout": "dropout",
    "dropout1d": "dropout",
    "dropout2d": "dropout",
    "dropout3d": "dropout",
    "upsample": "interpolate",
    "upsample_nearest": "interpolate",
    "upsample_bilinear": "interpolate",
}
"""Other names of the same."""

CONV = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
CONV_TRANSPOSE = ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
POOL = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
MAX_POOL = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
CELL = ("input", "hx", "w_ih", "w_hh", "b_ih", "b_hh")
OVER_DIM = ("input", "dim", "keepdim")

SIGNATURES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("softmax", "log_softmax"), ("input", "dim", "dtype")),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), CONV),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), CONV_TRANSPOSE),
    **dict.fromkeys(("avg_pool1d", "avg_pool2d", "avg_pool3d"), POOL),
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d"), MAX_POOL),
    **{f"adaptive_{kind}_pool{dims}d": ("input", "output_size") for kind in ("avg", "max") for dims in (1, 2, 3)},
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), CELL),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "max", "min", "logsumexp", "var", "std", "nanmean"), OVER_DIM),
    **dict.fromkeys(("add", "sub", "mul", "div", "maximum", "minimum", "__rsub__", "__rdiv__", "rsub"), ("input", "other")),
    "linear": ("input", "weight", "bias"),
    "bilinear": ("input1", "input2", "weight", "bias"),
    "matmul": ("input", "mat2"),
    "mm": ("input", "mat2"),
    "bmm": ("input", "mat2"),
    "mv": ("input", "mat2"),
    "__rmatmul__": ("mat2", "input"),
    "addmm": ("bias", "input", "mat2"),
    "baddbmm": ("bias", "input", "mat2"),
    "prelu": ("input", "weight"),
    "elu": ("input", "alpha"),
    "celu": ("input", "alpha"),
    "leaky_relu": ("input", "negative_slope"),
    "gelu": ("input", "approximate"),
    "softplus": ("input", "beta", "threshold"),
    "hardshrink": ("input", "lambd"),
    "softshrink": ("input", "lambd"),
    "threshold": ("input", "threshold", "value"),
    "hardtanh": ("input", "min_val", "max_val"),
    "glu": ("input", "dim"),
    "clamp": ("input", "min", "max"),
    "clamp_min": ("input", "min"),
    "clamp_max": ("input", "max"),
    "dropout": ("input", "p", "training"),
    "flatten": ("input", "start_dim", "end_dim"),
    "pow": ("input", "exponent"),
    "batch_norm": ("input", "weight", "bias", "running_mean", "running_var", "training", "momentum", "eps"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "embedding": ("weight", "input"),
    "nll_loss": ("input", "target", "weight", "reduction", "ignore_index"),
    "lstm": ("input", "hx", "params", "bias", "num_layers", "dropout", "training", "bidirectional", "batch_first"),
    "gru": ("input", "hx", "params", "bias", "num_layers", "dropout", "training", "bidirectional", "batch_first"),
    "rnn_tanh": ("input", "hx", "params", "bias", "num_layers", "dropout", "training", "bidirectional", "batch_first"),
    "rnn_relu": ("input", "hx", "params", "bias", "num_layers", "dropout", "training", "bidirectional", "batch_first"),
    "pixel_shuffle": ("input", "upscale_factor"),
}
"""Argument names of functions that Python cannot ask: they are written in C++, or choose between two others."""


def plain_name(function: Any) -> str:
    """``relu`` for torch.relu, F.relu_, Tensor.relu and torch.ops.aten.relu alike; double underscores stay."""
    name = str(getattr(function, "__name__", function))
    name = name.removesuffix(".")
    if name.startswith("__"):
        plain = name.strip("_")
        inplace = (
            plain[1:] if plain.startswith("i") and plain[1:] in {"add", "sub", "mul", "div", "truediv", "pow"} else plain
        )
        return name if inplace == plain and plain not in {"truediv", "matmul"} else NAMES.get(inplace, inplace)
    short = name.partition(".")[0].strip("_")
    return NAMES.get(short, short)


def named_arguments(function: Any, name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments by name, defaults filled in where Python knows them; what has no name is left out."""
    signature = _signature(function)
    if signature is not None:
        try:
            bound = signature.bind(*args, **kwargs)
        except TypeError:
            return dict(kwargs)
        bound.apply_defaults()
        return {"input" if key == "self" else key: value for key, value in bound.arguments.items()}
    named = dict(zip(SIGNATURES.get(name, ("input",)), args, strict=False))
    if "self" in kwargs:
        named["input"] = kwargs["self"]
    return named | dict(kwargs)


@cache
def _signature(function: Any) -> inspect.Signature | None:
    """None for functions in C++, and for those whose arguments are gathered in ``*args``."""
    if not inspect.isfunction(function):
        return None
    try:
        signature = inspect.signature(function)
    except ValueError:  # it wraps one in C++
        return None
    kinds = {parameter.kind for parameter in signature.parameters.values()}
    return None if inspect.Parameter.VAR_POSITIONAL in kinds else signature
