"""The cause of a bad step in plain numbers, for the rules to judge: where it was born, from what, and what proved it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from dltool.core.finding import Phase
from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.diagnostics.hunt.proof import Cause
from dltool.diagnostics.hunt.traced import Traced, trace
from dltool.probes.finite import is_finite
from dltool.probes.trace.facts import facts
from dltool.probes.trace.record import Leaf, Operation
from dltool.probes.trace.told import event_of_birth, event_of_leaf
from dltool.training.experiment import Experiment
from dltool.training.patrol import Caught
from dltool.training.symptoms import Symptoms, names_of_updated, state_of

HOOKED = frozenset({"AccumulateGrad", "BackwardHookFunctionBackward"})
"""Nodes that compute nothing of their own: what is born there is a hook's doing, or gradients that add up to Inf."""


def event_of(caught: Caught, traced: Traced, cause: Cause | None, samples: tuple[int, ...] | None) -> NonFiniteEvent:
    """What the hunt found out about the step; the walk is left at its start."""
    seen = traced.taken.symptoms if traced.reproduced else caught.symptoms
    if cause is None:
        event = _unexplained(caught, seen)
    elif cause.suspect.leaf is not None:
        event = event_of_leaf(cause.suspect.leaf, caught.step)
    else:
        birth = cause.suspect.operations[0]
        phase, parameter = _place(birth, caught, traced, seen)
        event = event_of_birth(birth, caught.step, phase, parameter)
        if phase == "backward" and _is_placed(birth):
            event = replace(event, module=birth.module)
    settings = _settings(caught, event.parameter)
    term = _bad_term(caught) if seen.loss else None
    proof = None if cause is None else cause.proof
    return replace(event, samples=samples, settings=settings, term=term, proof=proof)


def _place(operation: Operation, caught: Caught, traced: Traced, seen: Symptoms) -> tuple[Phase, str | None]:
    """Phase and parameter: by what went bad, for a birth in the model may show in a buffer only."""
    if seen.error or seen.loss:
        return ("forward" if operation.phase == "forward" else "loss"), None
    if seen.gradients and operation.phase != "optimizer":
        return operation.phase, _gradient_hit(operation, caught, seen)
    if seen.gradients or seen.parameters or seen.states:
        return operation.phase, _first_written(traced, seen, caught.walk.experiment) or (seen.gradients or (None,))[0]
    return "buffer", seen.buffers[0]


def _gradient_hit(operation: Operation, caught: Caught, seen: Symptoms) -> str | None:
    """The parameter whose gradient tells most of the birth.

    It is one of the operator's own module, else the only bad one; of what a hook did, the first that it got into.
    """
    own = [name for name in seen.gradients if name.rpartition(".")[0] == operation.module]
    if own or len(seen.gradients) == 1:
        return (own or seen.gradients)[0]
    return _first_gradient(operation.ordinal, caught, seen.gradients) if operation.op in HOOKED else None


def _first_gradient(birth: int, caught: Caught, names: Sequence[str]) -> str | None:
    """Of these gradients the first into which values of the operator came; the step is traced once more for it."""
    tracer = trace(caught).tracer
    given = {name: parameter.grad for parameter, name in names_of_updated(caught.walk.experiment).items()}
    written = {name: _ordinals(tracer.flow.sources(grad)) for name in names if (grad := given.get(name)) is not None}
    hit = [(min(found), name) for name, found in written.items() if _led_to(birth, found, tracer.operations)]
    return min(hit)[1] if hit else None


def _is_placed(birth: Operation) -> bool:
    """Whether the operator's own module is told (None is outside of every one), not that of the gradient it got into."""
    return bool(birth.module) or birth.op not in HOOKED


def _led_to(birth: int, written: Sequence[int], operations: Mapping[int, Operation]) -> bool:
    """Whether the values of the operator ``birth`` are among those that these wrote."""
    ahead, seen = list(written), set(written)
    while ahead:
        ordinal = ahead.pop()
        if ordinal == birth:
            return True
        before = _ordinals(operations[ordinal].sources) if ordinal in operations else []
        ahead.extend(source for source in before if source not in seen)
        seen.update(before)
    return False


def _ordinals(sources: Iterable[int | Leaf]) -> list[int]:
    return [source for source in sources if isinstance(source, int)]


def _first_written(traced: Traced, seen: Symptoms, experiment: Experiment) -> str | None:
    """The parameter into which, or into whose state, a bad value was written first."""
    held = {(part, name): value for part, name, value in state_of(experiment)}
    bad = [(name, held.get(("parameters", name))) for name in seen.parameters]
    bad += [(name.rpartition("/")[0], held.get(("states", name))) for name in seen.states if not seen.parameters]
    written: list[tuple[int, str]] = []
    for name, tensor in bad:
        ordinals = [] if tensor is None else _ordinals(traced.tracer.flow.sources(tensor))
        if ordinals:
            written.append((min(ordinals), name))
    return min(written)[1] if written else (bad[0][0] if bad else None)


def _unexplained(caught: Caught, seen: Symptoms) -> NonFiniteEvent:
    """Only what was seen: the step came out good when it was repeated, or nothing in it could be followed."""
    compiled = caught.walk.compiled
    name = next(iter((*seen.parameters, *(s.rpartition("/")[0] for s in seen.states), *seen.buffers, *seen.gradients)), None)
    phase: Phase = "loss"
    if not seen.error and not seen.loss:
        phase = "backward" if seen.gradients else "optimizer" if seen.parameters or seen.states else "buffer"
    elif compiled:
        phase = "forward"
    return NonFiniteEvent(
        phase=phase,
        step=caught.step,
        value="nan",
        count=1,
        parameter=None if seen.error or seen.loss else name,
        source="compiled" if compiled else "unrepeatable",
    )


def _bad_term(caught: Caught) -> str | None:
    """Of several loss terms the first that is bad; the step is run once more for it."""
    walk, criterion = caught.walk, caught.walk.experiment.criterion
    if len(criterion.terms) < 2:
        return None
    walk.go_back(caught.moment)
    with torch.no_grad():
        for batch in walk.feed.placed(caught.batches):
            values = criterion.term_values(walk.experiment.model(batch.input), batch.target)
            bad = next((name for name, value in values.items() if not is_finite(value)), None)
            if bad is not None:
                return bad
    return None


def _settings(caught: Caught, parameter: str | None) -> dict[str, Any]:
    """The optimizer's numbers for the parameter, and what it, its gradient and its states held before the step."""
    experiment = caught.walk.experiment
    optimizer = experiment.optimizer
    tensors = {name: p for p, name in names_of_updated(experiment).items()}
    owner = tensors.get(parameter or "")
    found: dict[str, Any] = {"precision": experiment.settings.precision, "clip_norm": experiment.settings.clip_norm}
    if owner is not None:
        found["parameter_dtype"] = str(owner.dtype).removeprefix("torch.")
        found["gradient"] = None if owner.grad is None else _numbers(owner.grad)
    caught.walk.go_back(caught.moment)
    if optimizer is not None:
        groups = [g for g in optimizer.param_groups if owner is None or any(p is owner for p in g["params"])]
        found["optimizer"] = type(optimizer).__name__
        found |= {key: _plain(value) for group in groups[:1] for key, value in group.items() if _plain(value) is not None}
    if owner is not None:
        found["before"] = _numbers(owner)
        found["state"] = {
            name.removeprefix(f"{parameter}/"): _numbers(value)
            for part, name, value in state_of(experiment)
            if part == "states" and name.startswith(f"{parameter}/")
        }
    return found


def _numbers(tensor: Tensor) -> dict[str, Any]:
    given = facts(tensor)
    infinite = given.positive_inf + given.negative_inf
    return {"minimum": given.minimum, "maximum": given.maximum, "nan": given.nan, "inf": infinite}


def _plain(value: object) -> Any:
    if isinstance(value, Tensor) and value.numel() == 1:
        return float(value)
    if isinstance(value, list | tuple) and all(isinstance(item, int | float) for item in value):
        return list(value)
    return value if isinstance(value, bool | int | float) else None
