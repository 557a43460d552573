"""Sizes layer by layer: gradients, updates, weights and signals as factors, idle units as shares.

Compared are medians over the looks of a run; the last look alone scatters by factors of ten. A factor is noise where runs
that differ in their seed alone stay within it (benchmarks/compare.py, seeds 0 to 5): there single parameters differed by
factors of up to 2.8 in gradients, 3.6 in updates and 2.9 in weights (of biases, which start near 0), layers by 1.7 in
signals; the mean over all of a model by less; shares of units by 0.12.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from dltool.core.measured.compare import Change
from dltool.core.measured.init_stats import InitLayer, InitLayers
from dltool.core.measured.training import LayerRecord, Layers, Parameters, Summary, UnitShare
from dltool.core.measurements import Measurements
from dltool.diagnostics.compare.change import Quantity, change_of

GRADIENT_FACTOR = 5.0
UPDATE_FACTOR = 5.0
WEIGHT_FACTOR = 4.0
SIGNAL_FACTOR = 3.0
GRADIENT_FACTOR_OF_ALL = 3.5
UPDATE_FACTOR_OF_ALL = 2.5
WEIGHT_FACTOR_OF_ALL = 2.0
SHARE = 0.25
START_FACTOR = 4.0
"""At initialisation: seeds 0 to 3 of the healthy samples differed by factors of up to 3.0 (a head of three units)."""

ALL = "all parameters"
BASIS = "more than any two seeds differed by in benchmarks/compare.py"

LayerT = TypeVar("LayerT", LayerRecord, InitLayer)

PARAMETER_SIZES = (
    ("gradient_norm", GRADIENT_FACTOR, GRADIENT_FACTOR_OF_ALL),
    ("update_ratio", UPDATE_FACTOR, UPDATE_FACTOR_OF_ALL),
    ("weight_norm", WEIGHT_FACTOR, WEIGHT_FACTOR_OF_ALL),
)


def layer_changes(before: Measurements, after: Measurements) -> Iterator[Change]:
    """Everything that training measured of parameters and layers that both have."""
    first, second = before.get(Parameters), after.get(Parameters)
    if first is not None and second is not None:
        others = {record.name: record for record in second.parameters}
        both = [(record, others[record.name]) for record in first.parameters if record.name in others]
        for size, factor, factor_of_all in PARAMETER_SIZES:
            medians = {one.name: _medians(getattr(one, size), getattr(two, size)) for one, two in both}
            if len(medians) > 1:
                yield from _flow(size, "parameters", ALL, _means(medians.values()), factor_of_all)
            for one, _ in both:
                yield from _flow(size, "parameters", one.name, medians[one.name], factor * _few(one.shape))
    layers, others_ = before.get(Layers), after.get(Layers)
    if layers is not None and others_ is not None:
        matched = list(_matched(layers.layers, others_.layers))
        for one_, two_ in matched:
            values = _medians(one_.activation_std, two_.activation_std)
            yield from _flow("activation_std", "layers", one_.name, values, SIGNAL_FACTOR)
        yield from _units(matched)


def start_changes(before: Measurements, after: Measurements) -> Iterator[Change]:
    """The same at initialisation (``init-stats``)."""
    first, second = before.get(InitLayers), after.get(InitLayers)
    if first is None or second is None:
        return
    matched = list(_matched(first.layers, second.layers))
    for size in ("signal_std", "gradient_norm", "weight_gradient_norm"):
        for one, two in matched:
            values = (getattr(one, size), getattr(two, size))
            yield from _flow(size, "layers", one.name, values, START_FACTOR)
    yield from _units(matched)


def _units(matched: Iterable[tuple[LayerRecord | InitLayer, LayerRecord | InitLayer]]) -> Iterator[Change]:
    for state in ("dead", "saturated"):
        for one, two in matched:
            first: UnitShare | None = getattr(one, state)
            second: UnitShare | None = getattr(two, state)
            if first is not None and second is not None:
                name = f"{state} units"
                what = Quantity(group="units", name=name, key=f"layers.{state}", place=one.name)
                change = change_of(what, first.share, second.share, noise=SHARE, basis=BASIS)
                if change is not None:
                    yield change


def _flow(name: str, key: str, place: str, values: tuple[float | None, float | None], factor: float) -> Iterator[Change]:
    what = Quantity(group="flow", name=name, key=f"{key}.{name}", place=place, scale="ratio", better="neither")
    change = change_of(what, *values, noise=factor, basis=BASIS)
    if change is not None:
        yield change


def _medians(one: Summary | None, two: Summary | None) -> tuple[float | None, float | None]:
    return (None, None) if one is None or two is None else (one.median, two.median)


def _few(shape: Sequence[int]) -> float:
    """How much more the norm of few numbers scatters: the logarithm of a norm of n has a standard deviation of 1 / √(2n).

    That is of normal numbers (the χ distribution), on two sides, three times.
    """
    return math.exp(3.0 / math.sqrt(max(1, math.prod(shape))))


def _means(pairs: Iterable[tuple[float | None, float | None]]) -> tuple[float | None, float | None]:
    """Geometric means over those that are sizes on both sides: what vanished or is not finite is told on its own."""
    sizes = [(a, b) for a, b in pairs if a is not None and b is not None and 0 < a < math.inf and 0 < b < math.inf]
    if not sizes:
        return None, None
    first, second = (math.exp(math.fsum(map(math.log, side)) / len(sizes)) for side in zip(*sizes, strict=True))
    return first, second


def _matched(first: Iterable[LayerT], second: Iterable[LayerT]) -> Iterator[tuple[LayerT, LayerT]]:
    """Layers of one name, kind and call; a layer that was exchanged for one of another kind is another layer."""
    others: Mapping[tuple[str, str, int], LayerT] = {(layer.name, layer.kind, layer.call): layer for layer in second}
    for layer in first:
        if (key := (layer.name, layer.kind, layer.call)) in others:
            yield layer, others[key]
