"""Convolutions and pools: how many places a window has."""

from __future__ import annotations

from typing import Any

from dltool.specs.misfit import MisfitError, shape_text
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.sizes import divides, needs_channels, nothing_left, sized, spread

Sizes = tuple[int, ...]


def convolved(layer: Any, incoming: Incoming, dims: int) -> Sizes:
    """The shape behind a convolution over ``dims`` dimensions.

    Source: torch.nn.Conv2d, section "Shape".
    """
    needs_channels(layer.kind, incoming, dims)
    channels = sized(layer, "in_channels", incoming.shape[0])
    divides(layer.groups, channels, f"the {channels} channels that arrive must be divisible by groups")
    divides(layer.groups, layer.out_channels, f"out_channels, {layer.out_channels}, must be divisible by groups")
    kernel, stride, dilation = (spread(part, dims) for part in (layer.kernel_size, layer.stride, layer.dilation))
    reach = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    if layer.padding == "same" and set(stride) != {1}:
        raise MisfitError("padding: same keeps the size, which a stride does not", value=layer.stride, expected="stride 1")
    sides = _padding(layer.padding, reach)
    _pads(layer, incoming, sides)
    places = tuple(
        (size + before + after - far - 1) // step + 1
        for size, (before, after), far, step in zip(incoming.shape[1:], sides, reach, stride, strict=True)
    )
    if min(places) < 1:
        raise nothing_left(layer.kind, incoming)
    return (layer.out_channels, *places)


def _padding(padding: int | Sizes | str, reach: Sizes) -> list[tuple[int, int]]:
    """How much is added before and after each dimension."""
    if padding == "same":
        return [(far // 2, far - far // 2) for far in reach]
    width = 0 if padding == "valid" else padding
    assert not isinstance(width, str)
    return [(side, side) for side in spread(width, len(reach))]


def _pads(layer: Any, incoming: Incoming, sides: list[tuple[int, int]]) -> None:
    """MisfitError where padding by reflection or by going round asks for more than there is."""
    room = {"reflect": -1, "circular": 0}.get(layer.padding_mode)
    if room is None:
        return
    if any(max(pair) > size + room for pair, size in zip(sides, incoming.shape[1:], strict=True)):
        raise MisfitError(
            f"padding_mode {layer.padding_mode} cannot take more from {shape_text(incoming.shape[1:])} than there is",
            value=layer.padding,
            expected="less padding, a larger input, or padding_mode zeros",
        )


def pooled(layer: Any, incoming: Incoming, dims: int) -> Sizes:
    """The shape behind a pool over ``dims`` dimensions.

    Source: torch.nn.MaxPool2d and AvgPool2d, sections "Shape"; pooling_output_shape in ATen/native/Pool.h.
    """
    needs_channels(layer.kind, incoming, dims)
    kernel = spread(layer.kernel_size, dims)
    stride = kernel if layer.stride is None else spread(layer.stride, dims)
    padding, dilation = spread(layer.padding, dims), spread(getattr(layer, "dilation", 1), dims)
    reach = tuple(d * (k - 1) for d, k in zip(dilation, kernel, strict=True))
    if any(pad > width // 2 for pad, width in zip(padding, kernel, strict=True)):
        raise MisfitError(
            "padding should be at most half of the window", value=layer.padding, expected=f"half of {shape_text(kernel)}"
        )
    places = []
    for size, pad, far, step in zip(incoming.shape[1:], padding, reach, stride, strict=True):
        rounding = step - 1 if layer.ceil_mode else 0
        place = (size + 2 * pad - far - 1 + rounding) // step + 1
        if layer.ceil_mode and (place - 1) * step >= size + pad:  # no window begins in the padding at the end
            place -= 1
        places.append(place)
    whole = layer.kind != "avg_pool3d" or all(w <= size for w, size in zip(kernel, incoming.shape[1:], strict=True))
    if min(places) < 1 or not whole:  # which alone wants its window to fit in without padding
        raise nothing_left(layer.kind, incoming)
    return (incoming.shape[0], *places)


def adapted(layer: Any, incoming: Incoming, dims: int) -> Sizes:
    """The shape behind an adaptive pool: the sizes asked for, where None keeps the one that arrives."""
    needs_channels(layer.kind, incoming, dims)
    wanted = (layer.output_size,) * dims if isinstance(layer.output_size, int) else layer.output_size
    return (
        incoming.shape[0],
        *(old if new is None else new for old, new in zip(incoming.shape[1:], wanted, strict=True)),
    )
