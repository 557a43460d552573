"""From the recorder's series to the records of the report: one for every layer and one for every parameter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from dltool.core.measured.training import LayerRecord, Layers, ParameterRecord, Summary, UnitShare
from dltool.probes.activations import Network
from dltool.probes.confidence import dead_share, saturated_share
from dltool.probes.parameters import NO_GRADIENT, Named, total_norm
from dltool.probes.places import Key, Place, parameter_count
from dltool.probes.residual import Residuals
from dltool.probes.saturation import judge_of
from dltool.training.recorder_audit import Audit
from dltool.training.recorder_series import ParameterSeries, columns, summarise


@dataclass(slots=True)
class ActivationSeries:
    """Mean and standard deviation of every place's output, look by look."""

    values: dict[Key, list[tuple[float, float]]] = field(default_factory=dict)

    def add(self, look: Mapping[Key, tuple[float, float]]) -> None:
        """Take the values of one look."""
        for key, pair in look.items():
            self.values.setdefault(key, []).append(pair)

    def state_dict(self) -> dict[str, Any]:
        """Tensors by place, in order."""
        return {
            "keys": [list(key) for key in self.values],
            "values": [torch.tensor(pairs, dtype=torch.float64) for pairs in self.values.values()],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        rows = ([(mean, std) for mean, std in pairs.tolist()] for pairs in state["values"])
        self.values = {(path, call): pairs for (path, call), pairs in zip(state["keys"], rows, strict=True)}


def layer_records(  # noqa: PLR0917 - all that a record is made of
    network: Network,
    residuals: Residuals,
    parameters: Sequence[Named],
    series: ParameterSeries,
    activations: ActivationSeries,
    audit: Audit,
    idle_at_start: Mapping[Key, float],
) -> Layers:
    """Every place where a module ran, in the order of the first pass."""
    owned: dict[str, list[int]] = {}
    for index, parameter in enumerate(parameters):
        owned.setdefault(parameter.owner, []).append(index)
    outputs = network.outputs or set(list(network.places)[-1:])
    records = []
    for depth, (key, place) in enumerate(network.places.items()):
        count, trainable = parameter_count(place.path, network.modules)
        indices = owned.get(place.path, [])
        moments = activations.values.get(key, [])
        dead, saturated = _idle(network, place, audit)
        records.append(
            LayerRecord(
                name=place.path,
                kind=place.kind,
                depth=depth,
                activation=place.activation,
                output_shape=place.sample_shape,
                parameters=count,
                trainable=trainable,
                gradient_norm=summarise(_gradient_norms(columns(series.gradients, indices))),
                weight_norm=summarise([total_norm(row) for row in columns(series.weights, indices) if row]),
                update_ratio=summarise(_ratios(columns(series.updates, indices), columns(series.weights, indices))),
                activation_mean=summarise([mean for mean, _ in moments]),
                activation_std=summarise([std for _, std in moments]),
                dead=dead,
                saturated=saturated,
                saturated_values=_saturated_values(network, place, audit),
                idle_at_start=idle_at_start.get(key),
                is_output=key in outputs,
                residual=residuals.holds(place.path),
                call=place.call,
            )
        )
    return Layers(layers=tuple(records))


def idle_shares(network: Network, audit: Audit) -> dict[Key, float]:
    """By place, the share of units that were seen dead or saturated."""
    shares = {}
    for key, place in network.places.items():
        share = next((s for s in _idle(network, place, audit) if s is not None), None)
        if share is not None:
            shares[key] = share.share
    return shares


def parameter_records(
    network: Network,
    parameters: Sequence[Named],
    series: ParameterSeries,
    optimised: AbstractSet[int],
    moved: Mapping[str, bool],
) -> tuple[ParameterRecord, ...]:
    """Every parameter, in the model's order."""
    depths = _depths(network)
    return tuple(
        ParameterRecord(
            name=parameter.name,
            module=parameter.owner,
            shape=tuple(parameter.tensor.shape),
            role=parameter.role,
            depth=depths.get(parameter.owner),
            requires_grad=parameter.tensor.requires_grad,
            in_optimizer=id(parameter.tensor) in optimised,
            gradient=_gradient_state([row[index] for row in series.gradients]),
            moved=moved.get(parameter.name, False),
            gradient_norm=_gradient_summary(series, index),
            gradient_rms=_gradient_summary(series, index, scale=1.0 / math.sqrt(max(1, parameter.tensor.numel()))),
            weight_norm=summarise([row[index] for row in series.weights]),
            update_ratio=summarise(_ratios(columns(series.updates, [index]), columns(series.weights, [index]))),
        )
        for index, parameter in enumerate(parameters)
    )


def _depths(network: Network) -> dict[str, int]:
    """Depth of every watched module at its first run; a container's own parameters act where its first child runs."""
    depths: dict[str, int] = {}
    for depth, (path, _) in enumerate(network.places):
        names = path.split(".")
        for length in range(len(names) + 1):
            depths.setdefault(".".join(names[:length]), depth)
    return depths


def _gradient_state(norms: Sequence[float]) -> Literal["none", "zero", "present", "unseen"]:
    if not norms:
        return "unseen"
    seen = [norm for norm in norms if norm != NO_GRADIENT]
    if not seen:
        return "none"
    return "zero" if all(norm == 0.0 for norm in seen) else "present"


def _gradient_summary(series: ParameterSeries, index: int, scale: float = 1.0) -> Summary | None:
    return summarise([row[index] * scale for row in series.gradients if row[index] != NO_GRADIENT])


def _gradient_norms(rows: Sequence[Sequence[float]]) -> list[float]:
    return [total_norm(row) for row in rows if any(norm != NO_GRADIENT for norm in row)]


def _ratios(updates: Sequence[Sequence[float]], weights: Sequence[Sequence[float]]) -> list[float]:
    """‖Δw‖ / ‖w‖ look by look; left out where the weights were all zero, as a bias is at the start."""
    pairs = [(total_norm(update), total_norm(weight)) for update, weight in zip(updates, weights, strict=True) if weight]
    return [update / weight for update, weight in pairs if weight != 0.0]


def _idle(network: Network, place: Place, audit: Audit) -> tuple[UnitShare | None, UnitShare | None]:
    if place.path in audit.gates.unsaturated:
        gates = audit.gates
        counts = gates.unsaturated[place.path].tolist()
        return None, saturated_share(counts, gates.observations[place.path], all_samples=False)
    judge = judge_of(network.judged(place.path))
    if judge is None or place.key not in audit.idle.alive:
        return None, None
    counts, observations = audit.idle.alive[place.key].tolist(), audit.idle.observations[place.key]
    if judge.state == "dead":
        return dead_share(counts, observations, all_samples=audit.all_samples), None
    return None, saturated_share(counts, observations, all_samples=audit.all_samples)


def _saturated_values(network: Network, place: Place, audit: Audit) -> float | None:
    if place.path in audit.gates.saturated_values:
        return float(audit.gates.saturated_values[place.path]) / audit.gates.observations[place.path]
    judge = judge_of(network.judged(place.path))
    if judge is None or judge.state == "dead" or place.key not in audit.idle.idle_values:
        return None
    return float(audit.idle.idle_values[place.key]) / audit.idle.observations[place.key]
