"""``--probe``: every sample once through a model and a loss, to find those that give NaN or Inf.

The pass, the search for the samples in a bad batch and the operator at which the value was born are those of
``nan-hunt --inputs-only``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import nn

from dltool.core.errors import TargetError
from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.core.measured.scan_model import Probed, ProbedSample
from dltool.diagnostics.hunt.inputs import pass_inputs
from dltool.training import rng
from dltool.training.experiment import Batch, Criterion, Experiment, TrainSettings
from dltool.training.stop import StopFlag

CPU = torch.device("cpu")
BATCH = 64


class Place(NamedTuple):
    """Where a sample comes from; ``row`` is None for a file of its own."""

    path: str
    file: str
    row: int | None = None


Placed = Iterator[tuple[Sequence[Place], Batch]]
"""Batches, with the place of each of their samples."""


@dataclass(slots=True)
class _Once:
    """A ``BatchSource`` that is read once, in order, and goes on where it was left; it keeps its own random state."""

    batches: Placed
    seed: int
    places: list[Sequence[Place]] = field(default_factory=list)
    ended: bool = False
    samples: int | None = None
    batch_size: int | None = None
    _state: dict[str, object] | None = None

    def __len__(self) -> int:
        return 1

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:  # noqa: ARG002 - the signature of a BatchSource
        """There are no epochs."""
        yield from self.fixed()

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Iterator[Batch]:  # noqa: ARG002
        """What is left."""
        while True:
            if self._state is None:
                with rng.seeded(self.seed, CPU):
                    self._state = rng.capture(CPU)
            with rng.randomness_kept(CPU):
                rng.restore(self._state, CPU)
                found = next(self.batches, None)
                self._state = rng.capture(CPU)
            if found is None:
                self.ended = True
                return
            self.places.append(found[0])
            yield found[1]


def bare_experiment(model: nn.Module, criterion: Criterion, target: str, seed: int, batches: Placed) -> Experiment:
    """What a probe needs of an experiment."""
    return Experiment(
        name="scan",
        target=target,
        model=model,
        train=_Once(batches, seed),
        val=None,
        criterion=criterion,
        optimizer=None,
        schedule=None,
        metrics=(),
        settings=TrainSettings(epochs=1),
        task="other",
        facts=None,
        seed=seed,
        device=CPU,
    )


def of_spec(experiment: Experiment, batches: Placed) -> Experiment:
    """The experiment of a spec, over batches whose samples have a place."""
    return replace(experiment, train=_Once(batches, experiment.seed))


def probe(experiment: Experiment, name: str, told: frozenset[Place], stop: StopFlag) -> Probed:
    """Pass all batches; samples in ``told`` are known to hold NaN or Inf themselves, and are counted only."""
    source = experiment.train
    assert isinstance(source, _Once)
    samples = told_already = not_probed = 0
    reason = None
    groups: dict[tuple[object, ...], list[Place]] = {}
    events: dict[tuple[object, ...], NonFiniteEvent] = {}
    while not source.ended and stop.reason is None:
        source.places.clear()
        try:
            found, born = pass_inputs(experiment, progress=None, stop=stop)
        except TargetError as error:
            not_probed += len(source.places[-1])
            samples += sum(map(len, source.places[:-1]))
            reason = reason or str(error)
            continue
        samples += sum(map(len, source.places))
        for bad, event in zip(found.batches, born, strict=True):
            places = source.places[bad.batch]
            guilty = [places[row] for row in bad.samples if row < len(places)] or list(places)
            fresh = [place for place in guilty if place not in told]
            told_already += len(guilty) - len(fresh)
            for place in fresh:
                whole = place.row is None
                key = (place.path, event.phase, event.op, event.module, event.value if whole else "")
                groups.setdefault(key, []).append(place)
                events.setdefault(key, event)
    return Probed(
        model=name,
        samples=samples,
        bad=tuple(_told(places, events[key]) for key, places in groups.items()),
        told_already=told_already,
        not_probed=not_probed,
        reason_not_probed=reason,
    )


def _told(places: list[Place], event: NonFiniteEvent) -> ProbedSample:
    return ProbedSample(
        path=places[0].path,
        file=places[0].file,
        rows=tuple(sorted(place.row for place in places if place.row is not None)),
        phase=event.phase,
        value=event.value,
        op=event.op,
        module=event.module,
        code=event.code,
    )
