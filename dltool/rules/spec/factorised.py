"""Pairs of linear layers that are one map taken apart on purpose: low rank, depthwise separable, one direction each."""

from __future__ import annotations

import math

from dltool.core.measured.design import DesignedLayer
from dltool.rules.spec.graph import CONVS, INPUT, SUMS, WEIGHTED, Graph, numbers


def is_bottleneck(before: DesignedLayer, after: DesignedLayer) -> bool:
    """Whether the pair is a factorisation of lower rank than a single layer would have."""
    (enters, between), (_, leaves) = _width(before), _width(after)
    return enters is None or between is None or leaves is None or between < min(enters, leaves)


def is_separable(before: DesignedLayer, after: DesignedLayer) -> bool:
    """Whether the two convolutions share one window's work: by channels, or by directions."""
    if before.kind not in CONVS or after.kind not in CONVS:
        return False
    if any(layer.arguments.get("groups", 1) != 1 for layer in (before, after)):
        return True
    dims = int(before.kind[4])
    one, other = (numbers(layer.arguments.get("kernel_size"), dims) for layer in (before, after))
    if one is None or other is None:
        return True
    apart = all(1 in pair for pair in zip(one, other, strict=True))
    return apart and math.prod(one) > 1 and math.prod(other) > 1


def ends_separable(graph: Graph, index: int) -> bool:
    """Whether a convolution of one place mixes what a grouped one made: the two are one, linear at its end."""
    kind = graph.layers[index].kind
    size = numbers(graph.layers[index].arguments.get("kernel_size"), int(kind[4])) if kind in CONVS else None
    if size is None or math.prod(size) != 1:
        return False
    waiting, seen = list(graph.layers[index].follows), set[int]()
    while waiting:
        at = waiting.pop()
        if at == INPUT or at in seen:
            continue
        seen.add(at)
        layer = graph.layers[at]
        if layer.kind in CONVS and layer.arguments.get("groups", 1) != 1:
            return True
        if layer.kind not in WEIGHTED | SUMS:
            waiting.extend(layer.follows)
    return False


def begins_separable(graph: Graph, index: int) -> bool:
    """Whether a convolution of one place widens what only grouped ones read: the start of an inverted residual block."""
    layer = graph.layers[index]
    size = numbers(layer.arguments.get("kernel_size"), int(layer.kind[4])) if layer.kind in CONVS else None
    if size is None or math.prod(size) != 1:
        return False
    behind = [graph.layers[reader] for reader, _ in graph.next_weighted(index)]
    return bool(behind) and all(each.kind in CONVS and each.arguments.get("groups", 1) != 1 for each in behind)


def _width(layer: DesignedLayer) -> tuple[int | None, int | None]:
    """Features or channels in and out."""
    names = ("in_channels", "out_channels") if layer.kind in CONVS else ("in_features", "out_features")
    enters, leaves = (layer.arguments.get(name) for name in names)
    return enters if isinstance(enters, int) else None, leaves if isinstance(leaves, int) else None
