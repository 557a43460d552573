"""What layers ask of the shape that arrives, and what they say where it does not suit them."""

from __future__ import annotations

import math
from typing import Any

from dltool.specs.misfit import MisfitError, shape_text
from dltool.specs.schema.layer_base import Layer
from dltool.specs.shapes.incoming import Incoming

CHANNELS = {1: "(channels, length)", 2: "(channels, height, width)", 3: "(channels, depth, height, width)"}


def sized(layer: Layer, argument: str, arrives: int) -> int:
    """The size that arrives; MisfitError where the spec insists on another."""
    given = getattr(layer, argument)
    if given is not None and given != arrives:
        raise MisfitError(f"{argument} does not match what arrives", value=given, expected=f"{arrives}, or leave it out")
    return arrives


def needs_channels(kind: str, incoming: Incoming, dims: int) -> None:
    """MisfitError unless a sample is channels with ``dims`` dimensions behind them."""
    shape, form = incoming.shape, CHANNELS[dims]
    if len(shape) == dims:
        advice = f"add `reshape: [1, {', '.join(map(str, shape))}]` before it for a single channel"
    elif len(shape) < dims:
        advice = f"add `reshape: [{form[1:-1]}]` before it"
    else:
        advice = f"use the layer for {len(shape) - 1} dimensions" if len(shape) <= 4 else "add `reshape` before it"
    _needs(kind, incoming, dims + 1, form, advice)


def needs_steps(kind: str, incoming: Incoming) -> None:
    """MisfitError unless a sample is steps of features."""
    if len(incoming.shape) == 1 and incoming.integers:
        advice = "add an `embedding` before it"
    elif len(incoming.shape) == 1:
        advice = "add `reshape: [steps, features]` before it (`reshape: [-1, 1]`: one feature a step)"
    else:
        advice = "add `reshape: [steps, features]` before it"
    _needs(kind, incoming, 2, "(steps, features)", advice)


def _needs(kind: str, incoming: Incoming, rank: int, form: str, advice: str) -> None:
    if len(incoming.shape) != rank:
        raise MisfitError(f"{kind} needs samples of shape {form}; {advice}", value=shape_text(incoming.shape), expected=form)


def needs_features(kind: str, incoming: Incoming) -> None:
    """MisfitError for samples of a single number."""
    if not incoming.shape:
        raise MisfitError(
            f"{kind} needs features or channels; add `reshape: [1]` before it", value="()", expected="(features, ...)"
        )


def divides(count: int, size: int, message: str) -> None:
    """MisfitError with ``message`` unless ``count`` divides ``size``."""
    if size % count:
        raise MisfitError(message, value=count, expected=f"a divisor of {size}")


def dimension(dim: int, incoming: Incoming) -> int:
    """``dim`` of a batch, counted from the front; MisfitError where there is none such."""
    rank = len(incoming.shape) + 1
    if not -rank <= dim < rank:
        raise MisfitError(
            f"dim is out of range: samples of shape {shape_text(incoming.shape)} make a batch of {rank} dimensions",
            value=dim,
            expected=f"{-rank} to {rank - 1} (0 is the batch)",
        )
    return dim % rank


def mixes_samples(kind: str, incoming: Incoming) -> MisfitError:
    """The layer puts the samples of a batch together."""
    return MisfitError(
        f"{kind} mixes the samples of a batch: its first dimension is no longer theirs",
        value=shape_text(incoming.shape),
        expected="dimension 0 left alone",
    )


class NothingLeftError(MisfitError):
    """The layer's window is larger than what it slides over."""


def nothing_left(kind: str, incoming: Incoming) -> NothingLeftError:
    """What to raise where a window does not fit in."""
    return NothingLeftError(
        f"{kind} leaves nothing of what arrives, {shape_text(incoming.shape)}: its window does not fit in",
        value=shape_text(incoming.shape),
        expected="fewer or smaller windows and strides before it, padding, or a larger input",
    )


def spread(value: int | tuple[int, ...], dims: int) -> tuple[int, ...]:
    """One number for each dimension."""
    return (value,) * dims if isinstance(value, int) else tuple(value)


def product(sizes: Any) -> int:
    """How many values there are."""
    return math.prod(sizes)
