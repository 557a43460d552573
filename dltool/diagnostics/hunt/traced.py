"""The bad step once more, with every operator observed: what could have begun it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from torch import Tensor

from dltool.diagnostics.hunt.keepsakes import names_of_constants
from dltool.diagnostics.hunt.rows import layout
from dltool.probes.trace.record import Leaf, Mending, Suspect
from dltool.probes.trace.suspects import only_moved, suspects
from dltool.probes.trace.tracer import NOTHING, Tracer
from dltool.training.experiment import Batch, Experiment
from dltool.training.patrol import Caught
from dltool.training.placement import samples_in
from dltool.training.symptoms import Symptoms, names_of_updated, state_of
from dltool.training.walk import Taken, Walk


@dataclass(frozen=True, slots=True)
class Traced:
    """A step that was run again. ``taken`` is what came of it; ``sinks`` are where its bad values came from."""

    taken: Taken
    tracer: Tracer
    sinks: tuple[int | Leaf, ...]
    suspects: tuple[Suspect, ...]

    @property
    def reproduced(self) -> bool:
        """Whether the repeat went bad too."""
        return bool(self.taken.symptoms)

    @property
    def innocent(self) -> bool:
        """Only buffers or optimizer states are bad, and nothing was computed to make them so: caches, markers, fills."""
        seen = self.taken.symptoms
        matters = seen.error or seen.loss or seen.gradients or seen.parameters
        return self.reproduced and not matters and only_moved(self.tracer.operations, self.sinks)


def trace(
    caught: Caught,
    batches: Sequence[Batch] | None = None,
    *,
    edit: Callable[[], object] | None = None,
    mend: Mending = NOTHING,
) -> Traced:
    """Repeat the step that was caught, traced; the walk is left where the repeat ended.

    With other ``batches``, after an ``edit`` or with operators mended it is a repaired step, whose new births were latent.
    """
    walk, experiment = caught.walk, caught.walk.experiment
    found_layout = layout(caught.batches[-1])
    samples = samples_in(caught.batches[-1].target) if found_layout is None else found_layout.samples
    tracer = Tracer(experiment.model, samples=samples, mend=mend)
    given = caught.batches if batches is None else batches
    taken = walk.repeat(caught.moment, given, context=_tracing(tracer, walk), edit=edit)
    sinks = tuple(dict.fromkeys(_sinks(experiment, tracer, taken.symptoms)))
    found = suspects(
        tracer.operations,
        sinks,
        loss_is_finite=not taken.symptoms.loss and not taken.symptoms.error,
        allow=experiment.allow_nonfinite,
    )
    return Traced(taken, tracer, sinks, tuple(_in_order_of_names(experiment, found)))


def mending(walk: Walk, mend: Mending) -> AbstractContextManager[None]:
    """For a repeat: these operators, as ``trace`` numbered and placed them, give finite values."""
    return _tracing(Tracer(walk.experiment.model, mend=mend), walk)


@contextmanager
def _tracing(tracer: Tracer, walk: Walk) -> Iterator[None]:
    inputs = tuple(batch.input for batch in walk.placed)
    targets = tuple(batch.target for batch in walk.placed)
    states = {name: value for part, name, value in state_of(walk.experiment) if part == "states"}
    with tracer.tracing(inputs, targets, states):
        tracer.flow.name("constant", names_of_constants(walk.experiment))
        yield


def _sinks(experiment: Experiment, tracer: Tracer, seen: Symptoms) -> Iterable[int | Leaf]:
    """Where the first kind of bad value that counts came from: loss, gradients, weights, states, buffers, in this order."""
    if seen.error:
        return tracer.last_taken
    if seen.loss:
        return tracer.last_item
    if seen.gradients:
        given = {name: parameter for parameter, name in names_of_updated(experiment).items()}
        return _sources(tracer, [given[name].grad for name in seen.gradients])
    names = seen.parameters or seen.states or seen.buffers
    wanted = "parameters" if seen.parameters else "states" if seen.states else "buffers"
    held = {name: value for part, name, value in state_of(experiment) if part == wanted}
    return _sources(tracer, [held.get(name) for name in names])


def _sources(tracer: Tracer, bad: Sequence[Tensor | None]) -> Iterable[int | Leaf]:
    return [source for tensor in bad if tensor is not None for source in tracer.flow.sources(tensor)]


def _in_order_of_names(experiment: Experiment, found: Sequence[Suspect]) -> list[Suspect]:
    """Leaves of one kind in the order of ``named_parameters()`` and ``named_buffers()``; all else stays where it is."""
    rank = {name: place for place, (_, name, _) in enumerate(state_of(experiment))}
    places = [i for i, suspect in enumerate(found) if suspect.leaf is not None and suspect.leaf.name in rank]
    ordered = sorted((found[i] for i in places), key=lambda s: (s.last_resort, rank[s.leaf.name] if s.leaf else 0))
    result = list(found)
    for place, suspect in zip(places, ordered, strict=True):
        result[place] = suspect
    return result
