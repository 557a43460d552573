"""One judgement for a module that runs at several places of a net."""

from __future__ import annotations

from collections.abc import Iterable

from dltool.core.measurements import LayerRecord, UnitShare


def worst_calls(watched: Iterable[tuple[LayerRecord, UnitShare]]) -> list[tuple[LayerRecord, UnitShare]]:
    """For every module the call with the largest proven share, in the order of the net."""
    worst: dict[str, tuple[LayerRecord, UnitShare]] = {}
    for layer, share in watched:
        if layer.name not in worst or not share.lower <= worst[layer.name][1].lower:
            worst[layer.name] = (layer, share)
    return list(worst.values())
