"""Layers whose units begin as copies of each other: whether their gradients, and then their weights, tell them apart."""

from __future__ import annotations

from typing import Any

from torch import nn

from dltool.core.measured.training import SymmetricUnits, Symmetry
from dltool.probes.symmetry import UnitLayer, distinct_rows, distinct_weights, unit_layers


class SymmetryWatch:
    """Compares at the start, at the first gradients and at the end; a model without such layers costs one pass."""

    def __init__(self, model: nn.Module) -> None:
        self._layers = {layer.parameter: layer for layer in unit_layers(model)}
        self._weights: dict[str, int] = {}
        self._gradients: dict[str, int] = {}

    def start(self) -> None:
        """Find the layers with at least two units that hold the same weights."""
        counts = {name: distinct_weights(layer) for name, layer in self._layers.items()}
        self._weights = {name: count for name, count in counts.items() if count < self._layers[name].units}

    def see_gradients(self) -> None:
        """Count distinct gradients, once."""
        if self._gradients:
            return
        self._gradients = {name: distinct_rows(self._layers[name].rows(gradients=True)) for name in self._weights}

    def section(self) -> Symmetry:
        """What became of them."""
        return Symmetry(layers=tuple(self._record(self._layers[name]) for name in self._weights))

    def _record(self, layer: UnitLayer) -> SymmetricUnits:
        return SymmetricUnits(
            module=layer.module,
            parameter=layer.parameter,
            units=layer.units,
            distinct_weights=self._weights[layer.parameter],
            distinct_gradients=self._gradients.get(layer.parameter, 0),
            distinct_weights_last=distinct_rows(layer.rows()),
        )

    def state_dict(self) -> dict[str, Any]:
        """The counts so far."""
        return {"weights": dict(self._weights), "gradients": dict(self._gradients)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._weights, self._gradients = dict(state["weights"]), dict(state["gradients"])
