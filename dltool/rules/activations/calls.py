"""What the activation rules, and those that judge by them, ask of single layers."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core.measured.training import LayerRecord, Layers, UnitShare
from dltool.core.measurements import Measurements

CUT = 0.95
"""Share of dead units from which a layer may let nothing through."""


def worst_calls(watched: Iterable[tuple[LayerRecord, UnitShare]]) -> list[tuple[LayerRecord, UnitShare]]:
    """For every module the call with the largest proven share, in the order of the net."""
    worst: dict[str, tuple[LayerRecord, UnitShare]] = {}
    for layer, share in watched:
        if layer.name not in worst or not share.lower <= worst[layer.name][1].lower:
            worst[layer.name] = (layer, share)
    return list(worst.values())


def idle_from_start(layer: LayerRecord, share: UnitShare, fraction: float) -> bool | None:
    """Whether most of the units that are idle now, and ``fraction`` of the layer, were so in the first batch.

    None where that was not measured.
    """
    at_start = layer.idle_at_start
    return None if at_start is None else at_start >= fraction and at_start >= 0.5 * share.lower


def died_on_the_way(measured: Measurements) -> bool:
    """Whether a layer that lived in the first batch, before the first step, lets nothing through any more."""
    layers = measured[Layers].layers if Layers in measured else ()
    return any(
        layer.dead is not None
        and layer.dead.lower >= CUT
        and (1.0 if layer.idle_at_start is None else layer.idle_at_start) < CUT
        for layer in layers
        if not layer.is_output
    )
