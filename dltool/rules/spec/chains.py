"""Plain stacks of layers: each reads the one before it, through at most one activation and nothing that rescales."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from dltool.core.measured.design import DesignedLayer
from dltool.rules.spec.graph import AFFINE, KEEPS_RANGE, Graph, number
from dltool.rules.spec.signal import FUNCTIONS, fans, moments, variance

CENTRED = frozenset(FUNCTIONS) - {"sigmoid", "softplus"}
"""Activations that are 0 at 0: their second moment is that of the signal."""


@dataclass(frozen=True, slots=True)
class Link:
    """A layer and the activation on its output ("" for none)."""

    layer: DesignedLayer
    activation: str
    slope: float


@dataclass(frozen=True, slots=True)
class Growth:
    """What becomes of the signal's size from the first hidden layer of a stack to the last, and of the gradient's back."""

    links: tuple[Link, ...]
    forward: float | None
    backward: float


def chains(graph: Graph) -> Iterator[tuple[Link, ...]]:
    """Every longest stack, from its first layer to its last."""
    steps = {index: step for index in range(len(graph.layers)) if (step := _step(graph, index)) is not None}
    later = {after for _, after in steps.values()}
    for first in steps.keys() - later:
        at, links = first, list[Link]()
        while at in steps:
            link, at = steps[at]
            links.append(link)
        yield (*links, Link(graph.layers[at], "", 0.0))


def _step(graph: Graph, index: int) -> tuple[Link, int] | None:
    """The layer at ``index`` with its activation, and the next layer of its stack."""
    layer, found = graph.layers[index], None
    if layer.kind not in AFFINE:
        return None
    at = graph.only_reader(index)
    while at is not None and len(graph.layers[at].follows) == 1:
        here = graph.layers[at]
        if here.kind in AFFINE:
            slope = 0.0 if found is None else number(found.arguments.get("negative_slope"), 0.01)
            return Link(layer, "" if found is None else found.kind, slope), at
        if here.kind in FUNCTIONS and found is None:
            found = here
        elif here.kind not in KEEPS_RANGE:
            return None
        at = graph.only_reader(at)
    return None


def growth_of(links: tuple[Link, ...]) -> Growth | None:
    """Signal and gradient over the hidden layers of a stack, of inputs of unit size; None where a start is not known."""
    size, sizes, gradient, slope = 1.0, list[float](), 1.0, 1.0
    for at, link in enumerate(links[:-1]):
        fan, init = fans(link.layer), link.layer.init
        spread = None if fan is None or init is None else variance(init, *fan)
        if fan is None or spread is None:
            return None
        size = min(max(size * fan[0] * spread, 1e-30), 1e30)
        sizes.append(size)
        if at > 0:
            gradient *= fan[1] * spread * slope
        size, slope = moments(link.activation, link.slope, size)
    centred = all(link.activation in CENTRED for link in links[:-1])
    forward = math.sqrt(sizes[-1] / sizes[0]) if centred and sizes else None
    return Growth(links, forward, math.sqrt(gradient)) if sizes else None
