"""How the gradient changes from the output towards the input, fitted over the layers of a net."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from dltool.core.measured.training import ParameterRecord, Parameters
from dltool.core.statistics import mann_kendall_z, theil_sen_slope

LEAST_LAYERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthTrend:
    """log10 of the gradient's RMS over depth, fitted by Theil and Sen's slope, which a few odd layers do not move.

    ``factor`` is the fitted gradient of the first layer over that of the last (below 1: it vanishes towards the input) and
    ``per_layer`` that of one layer; ``consistency_z`` is Mann and Kendall's z of the trend. ``first`` is the weight nearest
    the input, ``update_ratio`` the fastest median ‖Δw‖/‖w‖ in the third of the layers nearest to it (None where unseen).
    """

    factor: float
    per_layer: float
    consistency_z: float
    layers: int
    first: ParameterRecord
    update_ratio: float | None


def depth_trend(parameters: Parameters, when: Literal["first", "median"]) -> DepthTrend | None:
    """The trend over trainable layers, from biases where every layer has one, else from weights; None for under four layers.

    A bias sees the backward signal itself; a weight sees it times the layer's input, which may grow as the signal shrinks.
    Embeddings and normalisation are left out: their gradients live on another scale.
    """
    weights = _trainable(parameters, "weight")
    if len(weights) < LEAST_LAYERS:
        return None
    biases = {record.module: record for record in _trainable(parameters, "bias")}
    paired = [biases[w.module] for w in weights if w.module in biases]
    records = paired if len(paired) == len(weights) and all(_rms(r, when) for r in paired) else weights
    values = [_rms(record, when) for record in records]
    if not all(math.isfinite(v) for v in values):
        return None
    logs = [math.log10(max(v, 1e-45)) for v in values]
    slope = theil_sen_slope(range(len(logs)), logs)
    early = [w.update_ratio.median for w in weights[: max(1, len(weights) // 3)] if w.update_ratio is not None]
    return DepthTrend(
        factor=10.0 ** (-slope * (len(logs) - 1)),
        per_layer=10.0**-slope,
        consistency_z=mann_kendall_z(logs),
        layers=len(logs),
        first=weights[0],
        update_ratio=max(early) if early else None,
    )


def _trainable(parameters: Parameters, role: str) -> list[ParameterRecord]:
    kept: Iterable[ParameterRecord] = (
        p
        for p in parameters.parameters
        if p.role == role and p.requires_grad and p.depth is not None and p.gradient_rms is not None
    )
    return sorted(kept, key=lambda p: p.depth or 0)


def _rms(record: ParameterRecord, when: Literal["first", "median"]) -> float:
    assert record.gradient_rms is not None
    return record.gradient_rms.first if when == "first" else record.gradient_rms.median
