"""The windows of pools and convolutions, dimension by dimension."""

from __future__ import annotations

from typing import NamedTuple

from dltool.core.measured.design import DesignedLayer
from dltool.rules.spec.graph import CONVS, numbers

POOLS = frozenset({f"{kind}_pool{dims}d" for kind in ("max", "avg") for dims in (1, 2, 3)})
WINDOWED = POOLS | CONVS


class Window(NamedTuple):
    """Along one dimension: ``reach`` is the size of a dilated window, ``arrives`` what it slides over (None: not known)."""

    size: int
    reach: int
    stride: int
    padding: int
    arrives: int | None


def windows_of(layer: DesignedLayer) -> tuple[Window, ...] | None:
    """One for each spatial dimension; None for layers without windows, and where an argument is not known."""
    if layer.kind not in WINDOWED:
        return None
    dims = int(layer.kind[-2])
    given = layer.arguments
    size, dilation = numbers(given.get("kernel_size"), dims), numbers(given.get("dilation", 1), dims)
    stride = size if given.get("stride") is None else numbers(given.get("stride"), dims)
    if size is None or dilation is None or stride is None:
        return None
    reach = tuple(d * (k - 1) + 1 for d, k in zip(dilation, size, strict=True))
    padding = _padding(given.get("padding", 0), reach)
    spatial = layer.arrives[1:] if layer.arrives is not None and len(layer.arrives) == dims + 1 else (None,) * dims
    if padding is None:
        return None
    return tuple(Window(*each) for each in zip(size, reach, stride, padding, spatial, strict=True))


def _padding(given: object, reach: tuple[int, ...]) -> tuple[int, ...] | None:
    """On each side; of ``same`` the larger."""
    if given == "same":
        return tuple(far // 2 for far in reach)
    return (0,) * len(reach) if given == "valid" else numbers(given, len(reach))
