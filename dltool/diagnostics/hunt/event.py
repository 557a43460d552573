"""The cause of a bad step in plain numbers, for the rules to judge: where it was born, from what, and what proved it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dltool.core.finding import Phase
from dltool.core.measurements import NonFiniteEvent, TensorFacts
from dltool.diagnostics.hunt.proof import Cause
from dltool.diagnostics.hunt.traced import Traced
from dltool.probes.finite import is_finite
from dltool.probes.trace.facts import facts
from dltool.probes.trace.record import Leaf, Operation
from dltool.training.experiment import Experiment
from dltool.training.patrol import Caught
from dltool.training.symptoms import Symptoms, names_of_updated, state_of

LEAF_PHASE: Mapping[str, Phase] = {
    "input": "input",
    "target": "input",
    "parameter": "parameter",
    "buffer": "buffer",
    "state": "optimizer",
}


def event_of(caught: Caught, traced: Traced, cause: Cause | None, samples: tuple[int, ...] | None) -> NonFiniteEvent:
    """What the hunt found out about the step; the walk is left at its start."""
    seen = traced.taken.symptoms if traced.reproduced else caught.symptoms
    if cause is None:
        event = _unexplained(caught, seen)
    elif cause.suspect.leaf is not None:
        event = _of_leaf(cause.suspect.leaf, caught.step)
    else:
        event = _of_operation(cause.suspect.operations[0], traced, seen, caught)
    settings = _settings(caught, event.parameter)
    term = _bad_term(caught) if seen.loss else None
    proof = None if cause is None else cause.proof
    return replace(event, samples=samples, settings=settings, term=term, proof=proof)


def _of_leaf(leaf: Leaf, step: int) -> NonFiniteEvent:
    held = leaf.kind in {"parameter", "buffer", "state"}
    name = leaf.name.rpartition("/")[0] if leaf.kind == "state" else leaf.name
    given = leaf.facts
    return NonFiniteEvent(
        phase=LEAF_PHASE[leaf.kind],
        step=step,
        value="nan" if given.nan else "inf",
        count=_bad_in(given),
        module=name.rpartition(".")[0] if held else None,
        parameter=name if held else None,
        output=given,
        source=leaf.name.rpartition("/")[2] if leaf.kind == "state" else leaf.kind,
    )


def _of_operation(operation: Operation, traced: Traced, seen: Symptoms, caught: Caught) -> NonFiniteEvent:
    phase, parameter, module = _place(operation, traced, seen, caught.walk.experiment)
    output = operation.output
    return NonFiniteEvent(
        phase=phase,
        step=caught.step,
        value="nan" if output.nan or not _bad_in(output) else "inf",
        count=_bad_in(output),
        module=module,
        parameter=parameter,
        op=operation.op,
        file=None if operation.file is None else _relative(operation.file),
        line=operation.line,
        aten=operation.aten,
        forward_op=operation.forward_op,
        inputs=operation.inputs,
        output=output,
        index=operation.index,
        operands=operation.operands,
        arguments=operation.arguments,
    )


def _place(
    operation: Operation, traced: Traced, seen: Symptoms, experiment: Experiment
) -> tuple[Phase, str | None, str | None]:
    """Phase, parameter and module: by what went bad, for a birth in the model may show in a buffer only."""
    if seen.error or seen.loss:
        return ("forward" if operation.phase == "forward" else "loss"), None, operation.module
    if seen.gradients and operation.phase != "optimizer":
        own = [name for name in seen.gradients if name.rpartition(".")[0] == operation.module]
        return operation.phase, own[0] if own else None, operation.module
    if seen.gradients or seen.parameters or seen.states:
        written = _first_written(traced, seen, experiment) or (seen.gradients or (None,))[0]
        return operation.phase, written, None if written is None else written.rpartition(".")[0]
    return "buffer", seen.buffers[0], seen.buffers[0].rpartition(".")[0]


def _first_written(traced: Traced, seen: Symptoms, experiment: Experiment) -> str | None:
    """The parameter into which, or into whose state, a bad value was written first."""
    held = {(part, name): value for part, name, value in state_of(experiment)}
    bad = [(name, held.get(("parameters", name))) for name in seen.parameters]
    bad += [(name.rpartition("/")[0], held.get(("states", name))) for name in seen.states if not seen.parameters]
    written: list[tuple[int, str]] = []
    for name, tensor in bad:
        ordinals = [s for s in traced.tracer.flow.sources(tensor) if isinstance(s, int)] if tensor is not None else []
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


def _bad_in(given: TensorFacts) -> int:
    return given.nan + given.positive_inf + given.negative_inf


def _relative(file: str) -> str:
    """As a person in this folder would name it, with forward slashes."""
    try:
        shown = os.path.relpath(file)
    except ValueError:  # another drive
        shown = file
    return Path(file if shown.startswith("..") else shown).as_posix()
