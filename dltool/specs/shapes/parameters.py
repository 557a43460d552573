"""The parameters that each layer will own, by name and shape, in the order of ``named_parameters()``. Torch-free."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import prod
from typing import Any

from dltool.specs.shapes.sizes import spread

Shapes = dict[str, tuple[int, ...]]
Arguments = Mapping[str, Any]

GATES = {"rnn": 1, "gru": 3, "lstm": 4}


def parameters_of(kind: str, arguments: Arguments) -> Shapes:
    """Shapes by name, seen from the layer's own module; {} for a layer without weights."""
    make = MAKERS.get(kind)
    return {} if make is None else make(kind, arguments)


def count_parameters(kind: str, arguments: Arguments) -> int:
    """How many numbers a layer learns."""
    return sum(prod(shape) for shape in parameters_of(kind, arguments).values())


def _linear(_: str, given: Arguments) -> Shapes:
    bias = {"bias": (given["out_features"],)} if given["bias"] else {}
    return {"weight": (given["out_features"], given["in_features"]), **bias}


def _conv(kind: str, given: Arguments) -> Shapes:
    kernel = spread(given["kernel_size"], int(kind[-2]))
    bias = {"bias": (given["out_channels"],)} if given["bias"] else {}
    return {"weight": (given["out_channels"], given["in_channels"] // given["groups"], *kernel), **bias}


def _embedding(_: str, given: Arguments) -> Shapes:
    return {"weight": (given["num_embeddings"], given["embedding_dim"])}


def _norm(size: str, learns: str) -> Callable[[str, Arguments], Shapes]:
    def make(_: str, given: Arguments) -> Shapes:
        if not given[learns]:
            return {}
        shape = spread(given[size], 1)
        return {"weight": shape, "bias": shape} if given.get("bias", False) else {"weight": shape}

    return make


def _recurrent(kind: str, given: Arguments) -> Shapes:
    hidden, projected, gates = given["hidden_size"], given.get("proj_size", 0), GATES[kind]
    directions = ("", "_reverse") if given["bidirectional"] else ("",)
    fed = projected or hidden
    shapes: Shapes = {}
    for layer in range(given["num_layers"]):
        arrives = given["input_size"] if layer == 0 else fed * len(directions)
        for direction in directions:
            end = f"l{layer}{direction}"
            shapes |= {f"weight_ih_{end}": (gates * hidden, arrives), f"weight_hh_{end}": (gates * hidden, fed)}
            if given["bias"]:
                shapes |= {f"bias_ih_{end}": (gates * hidden,), f"bias_hh_{end}": (gates * hidden,)}
            if projected:
                shapes |= {f"weight_hr_{end}": (projected, hidden)}
    return {f"{kind}.{name}": shape for name, shape in shapes.items()}


def _attention(_: str, given: Arguments) -> Shapes:
    return {f"attention.{name}": shape for name, shape in _heads(given["embed_dim"], given).items()}


def _heads(size: int, given: Arguments) -> Shapes:
    bias = given["bias"]
    shapes: Shapes = {"in_proj_weight": (3 * size, size)}
    shapes |= {"in_proj_bias": (3 * size,)} if bias else {}
    shapes |= {"bias_k": (1, 1, size), "bias_v": (1, 1, size)} if given.get("add_bias_kv") else {}
    shapes |= {"out_proj.weight": (size, size)}
    return shapes | ({"out_proj.bias": (size,)} if bias else {})


def _encoder_layer(_: str, given: Arguments) -> Shapes:
    size, wide, bias = given["d_model"], given["dim_feedforward"], given["bias"]
    shapes = {f"self_attn.{name}": shape for name, shape in _heads(size, given).items()}
    for name, rows, columns in (("linear1", wide, size), ("linear2", size, wide)):
        shapes |= {f"{name}.weight": (rows, columns)} | ({f"{name}.bias": (rows,)} if bias else {})
    for name in ("norm1", "norm2"):
        shapes |= {f"{name}.weight": (size,)} | ({f"{name}.bias": (size,)} if bias else {})
    return shapes


MAKERS: Mapping[str, Callable[[str, Arguments], Shapes]] = {
    "linear": _linear,
    "drop_connect": _linear,
    "conv1d": _conv,
    "conv2d": _conv,
    "conv3d": _conv,
    "embedding": _embedding,
    "batch_norm": _norm("num_features", "affine"),
    "group_norm": _norm("num_channels", "affine"),
    "layer_norm": _norm("normalized_shape", "elementwise_affine"),
    "rms_norm": _norm("normalized_shape", "elementwise_affine"),
    "rnn": _recurrent,
    "lstm": _recurrent,
    "gru": _recurrent,
    "multihead_attention": _attention,
    "transformer_encoder_layer": _encoder_layer,
    "prelu": lambda _, given: {"weight": (given["num_parameters"],)},
}
