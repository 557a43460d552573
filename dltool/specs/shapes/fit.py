"""Every layer of the spec fitted to what arrives: its sizes filled in, and the shape that leaves it. Torch-free.

Building takes its sizes from here, so that a spec is judged by the same arithmetic whether it runs or not; tests compare
the shapes with those that the built modules give.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from dltool.specs.misfit import MisfitError, shape_text
from dltool.specs.schema.activations import ACTIVATIONS as ACTIVATION_MODELS
from dltool.specs.schema.layer_base import Layer
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.sizes import (
    dimension,
    divides,
    mixes_samples,
    needs_channels,
    needs_features,
    needs_steps,
    product,
    sized,
)
from dltool.specs.shapes.windows import adapted, convolved, pooled

Sizes = tuple[int, ...]
Fit = tuple[dict[str, Any], Sizes]
"""Arguments that were inferred, and the shape that leaves."""
Fitter = Callable[[Any, Incoming], Fit]

ACTIVATIONS = frozenset(member.kind for member in ACTIVATION_MODELS)
OVER_CLASSES = frozenset({"softmax", "softmin", "log_softmax"})
KEEPS_SEQUENCE = ACTIVATIONS | {
    "linear", "drop_connect", "dropout", "gaussian_noise", "batch_norm", "layer_norm", "rms_norm",
}  # fmt: skip
MAKES_SEQUENCE = frozenset({"embedding", "rnn", "lstm", "gru", "multihead_attention", "transformer_encoder_layer"})
POOLS_TIME = frozenset({"global_avg_pool", "global_max_pool"})


@dataclass(frozen=True, slots=True)
class Fitted:
    """A layer whose sizes are known. ``arguments`` are torch's own, and for ``rnn`` and its kin the spec's ``output``."""

    arguments: Mapping[str, Any]
    leaves: Incoming


def fit(layer: Layer, incoming: Incoming) -> Fitted:
    """The layer's arguments and what leaves it, for samples like ``incoming``.

    Raises:
        MisfitError: the layer cannot take what arrives.
    """
    _refuse_padding(layer, incoming)
    inferred, shape = FITTERS[layer.kind](layer, incoming)
    ended = layer.kind in POOLS_TIME or getattr(layer, "output", None) == "last"
    sequence = not ended and (layer.kind in MAKES_SEQUENCE or (incoming.sequence and layer.kind in KEEPS_SEQUENCE))
    return Fitted(arguments(layer) | inferred, Incoming(shape, sequence, padded=incoming.padded and not ended))


def arguments(layer: Layer) -> dict[str, Any]:
    """The layer's own arguments, as torch names them; sizes that are inferred may be None."""
    return {
        name: getattr(layer, name)
        for name in type(layer).model_fields
        if name not in {"name", "l2", "frozen"} and not (name == "init" and layer.kind != "prelu")
    }


def _refuse_padding(layer: Layer, incoming: Incoming) -> None:
    apart = (KEEPS_SEQUENCE | MAKES_SEQUENCE | POOLS_TIME) - {"softmax2d"}
    flat = layer.kind in {"batch_norm", *POOLS_TIME} and len(incoming.shape) != 2
    if incoming.padded and (layer.kind not in apart or flat):
        raise MisfitError(
            f"{layer.kind} would mix the padding of sequences of unequal length into their data",
            expected="the last step of a recurrent layer, or global pooling, before it",
        )


def _same(_: Any, incoming: Incoming) -> Fit:
    return {}, incoming.shape


def _linear(layer: Any, incoming: Incoming) -> Fit:
    if not 1 <= len(incoming.shape) <= 2:
        advice = "add `flatten` before it" if incoming.shape else "add `reshape: [1]` before it"
        raise MisfitError(
            f"{layer.kind} needs vectors, or sequences of them; {advice}",
            value=shape_text(incoming.shape),
            expected="(features,) or (steps, features)",
        )
    features = sized(layer, "in_features", incoming.shape[-1])
    return {"in_features": features}, (*incoming.shape[:-1], layer.out_features)


def _conv(dims: int) -> Fitter:
    return lambda layer, incoming: ({"in_channels": incoming.shape[0]}, convolved(layer, incoming, dims))


def _pool(dims: int) -> Fitter:
    return lambda layer, incoming: ({}, pooled(layer, incoming, dims))


def _adaptive_pool(dims: int) -> Fitter:
    return lambda layer, incoming: ({}, adapted(layer, incoming, dims))


def _global_pool(layer: Any, incoming: Incoming) -> Fit:
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
        raise MisfitError(f"{layer.kind} pools padded sequences over time", value=layer.dim, expected="1")
    if not dims or not all(1 <= d <= rank for d in dims) or len(set(dims)) != len(dims):
        raise MisfitError("dim names no dimension of a sample (0 is the batch)", value=layer.dim, expected=f"1 to {rank}")
    return {"dim": dims}, tuple(size for at, size in enumerate(incoming.shape, start=1) if at not in dims)


def _flatten(layer: Any, incoming: Incoming) -> Fit:
    start, end = dimension(layer.start_dim, incoming), dimension(layer.end_dim, incoming)
    if start > end:
        raise MisfitError("start_dim comes after end_dim", value=f"{layer.start_dim} and {layer.end_dim}")
    if start == 0:
        if product(incoming.shape[:end]) != 1:
            raise mixes_samples(layer.kind, incoming)
        return {}, incoming.shape[end:]
    sizes = incoming.shape
    return {}, (*sizes[: start - 1], product(sizes[start - 1 : end]), *sizes[end:])


def _reshape(layer: Any, incoming: Incoming) -> Fit:
    shape: Sizes = (layer.shape,) if isinstance(layer.shape, int) else layer.shape
    free = sum(1 for size in shape if size == -1)
    total, wanted = product(incoming.shape), product(size for size in shape if size != -1)
    fits = wanted > 0 and (total % wanted == 0 if free else total == wanted)
    if free > 1 or any(size < 1 and size != -1 for size in shape) or not fits:
        raise MisfitError(
            f"the {total} values of a sample of shape {shape_text(incoming.shape)} do not fit",
            value=shape_text(shape),
            expected=f"sizes whose product is {total}, at most one of them -1",
        )
    return {"shape": shape}, tuple(total // wanted if size == -1 else size for size in shape)


def _batch_norm(layer: Any, incoming: Incoming) -> Fit:
    rank = len(incoming.shape)
    if not 1 <= rank <= 4:
        raise MisfitError(
            "batch_norm needs (features,) or (channels, ...) with at most three further dimensions",
            value=shape_text(incoming.shape),
        )
    features = incoming.shape[-1 if incoming.sequence and rank == 2 else 0]
    return {"num_features": sized(layer, "num_features", features)}, incoming.shape


def _group_norm(layer: Any, incoming: Incoming) -> Fit:
    needs_features(layer.kind, incoming)
    channels = sized(layer, "num_channels", incoming.shape[0])
    divides(layer.num_groups, channels, "num_groups does not divide the channels")
    return {"num_channels": channels}, incoming.shape


def _last_dims_norm(layer: Any, incoming: Incoming) -> Fit:
    needs_features(layer.kind, incoming)
    given = layer.normalized_shape
    shape = incoming.shape[-1:] if given is None else (given,) if isinstance(given, int) else given
    if not shape or incoming.shape[-len(shape) :] != shape:
        raise MisfitError(
            "normalized_shape does not match the last dimensions of what arrives",
            value=shape_text(shape),
            expected=f"{shape_text(incoming.shape[-max(1, len(shape)) :])}, or leave it out",
        )
    if incoming.padded and len(shape) >= len(incoming.shape):
        raise MisfitError(f"{layer.kind} over time would mix in the padding", value=shape_text(shape))
    return {"normalized_shape": shape}, incoming.shape


def _embedding(layer: Any, incoming: Incoming) -> Fit:
    if not incoming.integers:
        raise MisfitError(
            "embedding looks up integers, but real numbers arrive", expected="integer inputs, first in the model"
        )
    count = layer.num_embeddings
    if layer.padding_idx is not None and not -count <= layer.padding_idx < count:
        raise MisfitError(
            "padding_idx is none of the numbers that are looked up", value=layer.padding_idx, expected=f"0 to {count - 1}"
        )
    return {}, (*incoming.shape, layer.embedding_dim)


def _recurrent(layer: Any, incoming: Incoming) -> Fit:
    needs_steps(layer.kind, incoming)
    if layer.dropout > 0 and layer.num_layers == 1:
        raise MisfitError(
            "dropout acts between layers: with one there is nothing between", expected="num_layers of 2 or more"
        )
    projected = getattr(layer, "proj_size", 0)
    if projected >= layer.hidden_size:
        raise MisfitError("proj_size must be smaller than hidden_size", value=projected, expected=f"< {layer.hidden_size}")
    size = sized(layer, "input_size", incoming.shape[-1])
    features = (projected or layer.hidden_size) * (2 if layer.bidirectional else 1)
    return {"input_size": size}, (features,) if layer.output == "last" else (incoming.shape[0], features)


def _attention(size_name: str, heads_name: str) -> Fitter:
    def fitted(layer: Any, incoming: Incoming) -> Fit:
        needs_steps(layer.kind, incoming)
        size = sized(layer, size_name, incoming.shape[-1])
        divides(getattr(layer, heads_name), size, f"{heads_name} does not divide the features that arrive")
        return {size_name: size}, incoming.shape

    return fitted


def _over_classes(layer: Any, incoming: Incoming) -> Fit:
    """Softmax and its kin: over the classes of (N, C, H, W) where nothing else is said."""
    dim = 1 if "dim" not in layer.model_fields_set and len(incoming.shape) >= 3 else layer.dim
    dimension(dim, incoming)
    return {"dim": dim}, incoming.shape


def _glu(layer: Any, incoming: Incoming) -> Fit:
    dim = dimension(layer.dim, incoming)
    if dim == 0:
        raise mixes_samples(layer.kind, incoming)
    if incoming.shape[dim - 1] % 2:
        which = "the last dimension" if layer.dim == -1 else f"dimension {layer.dim}"
        raise MisfitError(f"glu halves {which}", value=shape_text(incoming.shape), expected="an even size")
    return {}, (*incoming.shape[: dim - 1], incoming.shape[dim - 1] // 2, *incoming.shape[dim:])


def _softmax2d(layer: Any, incoming: Incoming) -> Fit:
    needs_channels(layer.kind, incoming, 2)
    return {}, incoming.shape


def _prelu(layer: Any, incoming: Incoming) -> Fit:
    channels = incoming.shape[0] if incoming.shape else 1
    if layer.num_parameters not in {1, channels}:
        raise MisfitError(
            "num_parameters is neither one for all nor one for each channel",
            value=layer.num_parameters,
            expected=f"1 or {channels}",
        )
    return {}, incoming.shape


def _ordered(low: str, high: str, *, strictly: bool) -> Fitter:
    def fitted(layer: Any, incoming: Incoming) -> Fit:
        below, above = getattr(layer, low), getattr(layer, high)
        if below > above or (strictly and below == above):
            raise MisfitError(f"{low} is not below {high}", value=f"{below:g} and {above:g}", expected=f"{low} < {high}")
        return {}, incoming.shape

    return fitted


FITTERS: Mapping[str, Fitter] = {
    **dict.fromkeys((*ACTIVATIONS, "dropout", "gaussian_noise"), _same),
    **dict.fromkeys(OVER_CLASSES, _over_classes),
    "glu": _glu,
    "softmax2d": _softmax2d,
    "prelu": _prelu,
    "hardtanh": _ordered("min_val", "max_val", strictly=True),
    "rrelu": _ordered("lower", "upper", strictly=False),
    "linear": _linear,
    "drop_connect": _linear,
    **{f"conv{dims}d": _conv(dims) for dims in (1, 2, 3)},
    **{f"{kind}_pool{dims}d": _pool(dims) for kind in ("max", "avg") for dims in (1, 2, 3)},
    **{f"adaptive_{kind}_pool{dims}d": _adaptive_pool(dims) for kind in ("max", "avg") for dims in (1, 2, 3)},
    "global_avg_pool": _global_pool,
    "global_max_pool": _global_pool,
    "flatten": _flatten,
    "reshape": _reshape,
    "batch_norm": _batch_norm,
    "layer_norm": _last_dims_norm,
    "rms_norm": _last_dims_norm,
    "group_norm": _group_norm,
    "embedding": _embedding,
    "rnn": _recurrent,
    "lstm": _recurrent,
    "gru": _recurrent,
    "multihead_attention": _attention("embed_dim", "num_heads"),
    "transformer_encoder_layer": _attention("d_model", "nhead"),
}
"""By the layer's name in the spec; residual, which holds layers itself, is fitted where layers are put in a row."""
