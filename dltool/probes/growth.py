"""How signals and gradients grow along the trunk of a network, from the records of its layers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise

from dltool.core.measured.init_stats import Growth, InitLayer, SignalGrowth
from dltool.core.statistics import mann_kendall_z, theil_sen_slope

STEADY_Z = 2.326
"""One-sided 1 % point of the normal distribution."""

NOTHING = 1e-300
"""A size at or below it is zero: its square is, in float64."""

Pick = Callable[[InitLayer], float | None]


def signal_growth(layers: Sequence[InitLayer], *, samples: int, input_finite: bool) -> SignalGrowth:
    """Both ways through the network."""
    way = trunk(layers)
    ratios = [w.variance_ratio for layer in way for w in layer.weights if not w.before_norm]
    forward = _growth(way, lambda layer: layer.signal_std)
    gradients = [layer.gradient_norm for layer in way if layer.gradient_norm is not None]
    reaches = any(not norm <= NOTHING for norm in gradients)
    return SignalGrowth(
        forward=forward,
        backward=_growth(way[::-1], lambda layer: layer.gradient_norm) if reaches else None,
        samples=samples,
        zero_head=bool(way) and way[-1].zero_weights,
        input_finite=input_finite,
        variance_ratio=statistics.median(ratios) if ratios else None,
    )


def trunk(layers: Sequence[InitLayer]) -> list[InitLayer]:
    """Layers with weights, and residual blocks, that lie in no other block, each at its first call."""
    return [layer for layer in layers if layer.role in {"weights", "block"} and layer.inside is None and layer.call == 0]


def with_growth(layers: Sequence[InitLayer]) -> tuple[InitLayer, ...]:
    """The records with each layer's growth against its neighbour in the same block, or in the trunk."""
    changed = {(layer.name, layer.call, layer.role): layer for layer in layers}
    for inside in dict.fromkeys(layer.inside for layer in layers):
        keys = [k for k, x in changed.items() if x.inside == inside and x.role in {"weights", "block"} and x.call == 0]
        for before, after in pairwise(keys):
            first, second = changed[before], changed[after]
            changed[after] = replace(second, signal_growth=_ratio(second.signal_std, first.signal_std))
            changed[before] = replace(first, gradient_growth=_ratio(first.gradient_norm, second.gradient_norm))
    return tuple(changed.values())


def _ratio(above: float | None, below: float | None) -> float | None:
    return None if above is None or below is None or below == 0.0 else above / below


def _growth(way: Sequence[InitLayer], pick: Pick) -> Growth | None:
    """The trend of ``pick`` along ``way``; a layer where it is zero counts only if nothing arrives after it either."""
    seen = [(layer, value) for layer in way if (value := pick(layer)) is not None]
    if len(seen) < 2:
        return None
    bad = next((layer.name for layer, value in seen if not math.isfinite(value)), None)
    cut = _cut(seen) if bad is None else None
    places = [index for index, (_, value) in enumerate(seen) if value > NOTHING]
    per_layer, steady = math.inf if bad else 0.0, True
    if bad is None and cut is None:
        if len(places) < 2:
            return None
        logs = [math.log10(seen[index][1]) for index in places]
        per_layer, steady = 10.0 ** theil_sen_slope(places, logs), _steady(logs)
    return Growth(
        factor=per_layer ** (len(seen) - 1),
        per_layer=per_layer,
        steady=steady,
        layers=len(seen),
        blocks=sum(layer.role == "block" for layer, _ in seen),
        start=seen[0][0].name,
        end=seen[-1][0].name,
        cut_at=cut,
        non_finite_at=bad,
    )


def _steady(logs: Sequence[float]) -> bool:
    steps = [after - before for before, after in pairwise(logs)]
    one_way = all(step > 0 for step in steps) or all(step < 0 for step in steps)
    return one_way or abs(mann_kendall_z(logs)) >= STEADY_Z


def _cut(seen: Sequence[tuple[InitLayer, float]]) -> str | None:
    """The first layer of the tail where nothing arrives; a last layer alone may start at zero on purpose."""
    tail = 0
    while tail < len(seen) and seen[-1 - tail][1] <= NOTHING:
        tail += 1
    alone = tail == 1 and (seen[-1][0].zero_weights or seen[-1][0].is_output)
    return None if tail == 0 or alone else seen[-tail][0].name
