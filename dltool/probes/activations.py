"""Activations of one forward pass: mean and standard deviation by place, and which units were idle for which sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from dltool.probes.hooks import Run, visiting, watched_modules
from dltool.probes.nested import first_tensor, tensors
from dltool.probes.places import Key, Place, describe, fused_activations, key_of
from dltool.probes.saturation import judge_of

MOST_CALLS = 32
"""Runs of one module within a pass that get places of their own."""


class Network:
    """The watched modules of a model, and the places where they ran, in order of first sight."""

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.modules = watched_modules(model)
        self.fused = fused_activations(model)
        self.places: dict[Key, Place] = {}
        self.outputs: set[Key] = set()
        """Places whose tensor, or a view of it, is an output of the model."""
        self._last: Place | None = None
        self._batch: int | None = None
        self._storages: dict[int, Key] = {}

    @contextmanager
    def learning_places(self, batch: int | None) -> Iterator[None]:
        """Forward passes within note every place that was not seen before; ``batch`` is their number of samples."""
        self.begin(batch)
        with visiting({"": self.model}, on_output=self._note_outputs), visiting(self.modules, on_output=self.note):
            yield

    def begin(self, batch: int | None) -> None:
        """A forward pass of ``batch`` samples begins, whose runs will be noted one by one."""
        self._last, self._batch = None, batch
        self._storages.clear()

    def final(self) -> Place | None:
        """The place that makes the model's output; None where something else, a function, comes after every module."""
        return next((self.places[key] for key in reversed(self.places) if key in self.outputs), None)

    def judged(self, path: str) -> nn.Module:
        """The module that makes the activation at ``path``: itself, or the function that its parent applies after it."""
        return self.fused.get(path, self.modules[path])

    def state_dict(self) -> dict[str, Any]:
        """The places as JSON values, so that a resumed run files what it sees in the same order."""
        return {"places": [asdict(place) for place in self.places.values()], "outputs": sorted(map(list, self.outputs))}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        places = [Place(**(known | {"output_shape": tuple(known["output_shape"])})) for known in state["places"]]
        self.places = {place.key: place for place in places}
        self.outputs = {(path, call) for path, call in state["outputs"]}

    def note(self, run: Run) -> None:
        """Add the place of this run if it was not seen before."""
        if run.call >= MOST_CALLS:
            return
        known = self.places.get(key_of(run))
        if known is None:
            known = describe(run, self._last, self.fused.get(run.path), self._batch)
            if known is None:
                return
            self.places[known.key] = known
        self._last = known
        for tensor in tensors(run.output):
            self._storages[tensor.untyped_storage().data_ptr()] = known.key

    def _note_outputs(self, run: Run) -> None:
        # Memory that was freed can only have been taken again by what ran later, which then stands in the table.
        keys = (self._storages.get(tensor.untyped_storage().data_ptr()) for tensor in tensors(run.output))
        self.outputs.update(key for key in keys if key is not None)


class Moments:
    """Mean and standard deviation of every place's output in one pass, over samples, positions and units together.

    A shared layer that runs several times is seen at its first run.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._means: dict[Key, Tensor] = {}
        self._lengths: dict[Key, Tensor] = {}
        self._sizes: dict[Key, int] = {}

    @contextmanager
    def watching(self, batch: int | None) -> Iterator[None]:
        """Measure the forward pass of ``batch`` samples within; places that are new to the network are added to it."""
        self._network.begin(batch)
        with visiting(self._network.modules, on_output=self._see):
            yield

    def _see(self, run: Run) -> None:
        self._network.note(run)
        key = key_of(run)
        output = first_tensor(run.output)
        if (
            output is None
            or run.call >= MOST_CALLS
            or key in self._means
            or not output.is_floating_point()
            or not output.numel()
        ):
            return
        self._means[key], self._lengths[key] = centred(output)
        self._sizes[key] = output.numel()

    def values(self) -> dict[Key, tuple[float, float]]:
        """Mean and (population) standard deviation by place, fetched from the device at once."""
        if not self._means:
            return {}
        numbers = torch.stack([*self._means.values(), *self._lengths.values()]).tolist()
        means, lengths = numbers[: len(self._means)], numbers[len(self._means) :]
        return {
            key: (mean, length / size**0.5)
            for (key, size), mean, length in zip(self._sizes.items(), means, lengths, strict=True)
        }


def centred(values: Tensor) -> tuple[Tensor, Tensor]:
    """The mean, and the norm of what remains without it.

    Two passes, which do not cancel where the mean is large; ``torch.var_mean`` is many times as slow on the CPU.
    """
    values = values.detach()
    values = values.float() if values.element_size() == 2 else values
    mean = values.mean()
    return mean, torch.linalg.vector_norm(values - mean)


class IdleCounts:
    """For every unit of every activation, on how many samples it was not idle, summed over many batches.

    One sample is one observation, however many pixels or time steps it has, for those are correlated. A relu unit fires on
    a sample when it is positive anywhere; a unit is saturated on a sample when more than half its positions are. Reads the
    network's places, so these have to be known before.
    """

    def __init__(self, network: Network) -> None:
        self._network = network
        self._samples = 0
        self.observations: dict[Key, int] = {}
        self.alive: dict[Key, Tensor] = {}
        self.idle_values: dict[Key, Tensor] = {}
        self._jumbled: set[Key] = set()

    @contextmanager
    def counting(self, samples: int) -> Iterator[None]:
        """Count the forward pass of ``samples`` samples within."""
        self._samples = samples
        with (
            visiting(self._select("output"), on_output=self._after),
            visiting(self._select("input"), on_input=self._before),
        ):
            yield

    def _select(self, side: str) -> Mapping[str, nn.Module]:
        selected = {}
        for path, module in self._network.modules.items():
            judge = judge_of(self._network.judged(path))
            seen = "output" if path in self._network.fused else judge and judge.sees
            if seen == side:
                selected[path] = module
        return selected

    def _after(self, run: Run) -> None:
        self._count(run, first_tensor(run.output))

    def _before(self, run: Run) -> None:
        self._count(run, first_tensor(run.inputs))

    def _count(self, run: Run, value: Tensor | None) -> None:
        key = key_of(run)
        place = self._network.places.get(key)
        if value is None or place is None or key in self._jumbled or value.ndim < 2 or not value.numel():
            return
        judged = self._network.judged(run.path)
        judge = judge_of(judged)
        assert judge is not None
        idle = by_sample(judge.idle(judged, value), place, self._samples)
        otherwise = ~idle.all(2) if judge.state == "dead" else idle.float().mean(2) <= 0.5
        self._add(key, otherwise, idle.float().mean())

    def _add(self, key: Key, otherwise: Tensor, idle_ratio: Tensor) -> None:
        samples, units = otherwise.shape
        alive = self.alive.setdefault(key, torch.zeros(units, dtype=torch.long, device=otherwise.device))
        if len(alive) != units:  # positions, not units: their number follows the data
            self._jumbled.add(key)
            del self.alive[key], self.observations[key], self.idle_values[key]
            return
        alive += otherwise.sum(0)
        total = self.idle_values.setdefault(key, torch.zeros((), dtype=torch.float64, device=otherwise.device))
        total += idle_ratio.double() * samples
        self.observations[key] = self.observations.get(key, 0) + samples


def by_sample(values: Tensor, place: Place, samples: int) -> Tensor:
    """Rearrange to (samples, units, positions).

    Where samples were merged with another dimension (N·T, F), each run of T rows goes back to its sample; where that cannot
    be, every row counts as a sample.
    """
    sample_dim = min(place.sample_dim, values.ndim - 1)
    unit_dim = min(place.unit_dim, values.ndim - 1)
    if sample_dim == unit_dim:
        sample_dim, unit_dim = 0, 1
    rows = values.movedim((sample_dim, unit_dim), (0, 1)).flatten(2) if values.ndim > 2 else values.unsqueeze(2)
    if samples and len(rows) != samples and len(rows) % samples == 0:
        rows = rows.reshape(samples, -1, *rows.shape[1:]).movedim(1, 3).flatten(2)
    return rows
