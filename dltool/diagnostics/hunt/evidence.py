"""The evidence of a hunt: ``nan/`` in the run's folder, with the bad batch, the state before its step, and ``replay.py``.

batch.pt     a list of (input, target): one pair, or as many as were accumulated
state.pt     weights, buffers, the code's own counters, optimizer, scaler and random numbers (``hunt/state.py``)
replay.py    repeats the step from them
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os.path import relpath
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.diagnostics.hunt import replay_script
from dltool.diagnostics.hunt.state import plain, state_now
from dltool.training.experiment import Experiment, Nested
from dltool.training.patrol import Caught
from dltool.training.run_folder import RunFolder
from dltool.training.step import needs_closure

FOLDER = "nan"
DEFAULT_LOSSES = {
    "mse": "F.mse_loss",
    "bce_with_logits": "lambda x, target: F.binary_cross_entropy_with_logits(x.reshape(target.shape), target.to(x))",
}
"""What stands in for a loss that the factory left out, by its name in a spec; cross-entropy for the rest."""


def write_evidence(folder: RunFolder, caught: Caught, event: NonFiniteEvent) -> Path:
    """Write the three files, and leave the walk at the start of the bad step.

    Raises:
        OutputError: they cannot be written.
    """
    experiment = caught.walk.experiment
    caught.walk.go_back(caught.moment)
    state = state_now(experiment)
    batches = [tuple(plain(part) for part in batch) for batch in caught.batches]
    script = _script(folder, experiment, caught, event, state["left_out"])
    folder.write_file(f"{FOLDER}/batch.pt", lambda path: torch.save(batches, path))
    folder.write_file(f"{FOLDER}/state.pt", lambda path: torch.save(state, path))
    folder.write_file(f"{FOLDER}/replay.py", lambda path: path.write_text(script, encoding="utf-8"))
    return folder.path / FOLDER


def _script(folder: RunFolder, experiment: Experiment, caught: Caught, event: NonFiniteEvent, left_out: list[str]) -> str:
    common = {
        "step": caught.step,
        "target": experiment.target,
        "said": _said(event),
        "left_out": f"\nNot saved, and as the code makes it: {', '.join(left_out)}." if left_out else "",
        "device": experiment.device,
        "seed": experiment.seed,
        "load": replay_script.LOAD,
        "functions": replay_script.FUNCTIONS,
    }
    if experiment.spec is not None:
        return replay_script.SPEC.substitute(
            common,
            needs="It needs dltool, and the spec of the run.",
            spec=_path(_spec_of(folder, experiment), folder.path / FOLDER),
            allow=tuple(sorted({name.partition(".")[0] for name in _targets(experiment.spec)})),
        )
    place, _, factory = experiment.target.rpartition(":")
    return replay_script.FACTORY.substitute(
        common,
        needs=f"It needs torch and {place}, nothing of dltool.",
        make=_make(place, factory, folder.path / FOLDER),
        default_loss=DEFAULT_LOSSES.get(experiment.criterion.name, "F.cross_entropy"),
        first=_rebuilt(caught.batches[0].input, "batches[0][0]"),
        input=_rebuilt(caught.batches[0].input, "given"),
        expected=_rebuilt(caught.batches[0].target, "target"),
        closure="step" if experiment.optimizer is not None and needs_closure(experiment.optimizer) else "",
    )


def _said(event: NonFiniteEvent) -> str:
    """Where it was born, in a line."""
    value = "NaN" if event.value == "nan" else "Inf"
    line = None if event.file is None else f"{event.file}:{event.line}"
    samples = None if event.samples is None else f"samples {', '.join(map(str, event.samples))}"
    parts = (event.parameter, event.module, event.op, f"{event.phase} phase", samples, line)
    return f"{value} in {', '.join(part for part in parts if part)}."


def _make(place: str, factory: str, folder: Path) -> str:
    """The lines that call the factory, as dltool does."""
    if place.endswith(".py"):
        name = f"_dltool_target_{Path(place).stem}"
        return replay_script.FROM_FILE.substitute(file=_path(Path(place), folder), module=name, factory=factory)
    return replay_script.FROM_MODULE.substitute(folder=_path(Path.cwd(), folder), module=place, factory=factory)


def _path(path: Path, folder: Path) -> str:
    """Python source of ``path`` as seen from ``folder``, so that both may be moved together."""
    try:
        return repr(Path(relpath(path, folder)).as_posix())
    except ValueError:  # another drive
        return repr(path.resolve().as_posix())


def _spec_of(folder: RunFolder, experiment: Experiment) -> Path:
    """The spec as it was resolved, overrides included, where the run's folder has it."""
    resolved = folder.path / "spec.yaml"
    return resolved if resolved.is_file() else Path(experiment.target)


def _targets(value: Any) -> Iterator[str]:
    """Every ``_target_`` of a spec: code that this run was allowed to call."""
    if isinstance(value, Mapping):
        if isinstance(value.get("_target_"), str):
            yield value["_target_"]
        value = list(value.values())
    for item in value if isinstance(value, list | tuple) else ():
        yield from _targets(item)


def _rebuilt(value: Nested, expression: str) -> str:
    """Python source that makes ``value`` from what ``plain`` made of it; ``expression`` itself where that is the same."""
    kind = type(value)
    if isinstance(value, Tensor) or not isinstance(value, Mapping | tuple | list):
        return expression
    keys = list(value) if isinstance(value, Mapping) else list(range(len(value)))
    below = {key: f"{expression}[{key!r}]" for key in keys}
    inner = {key: _rebuilt(value[key], below[key]) for key in keys}
    if kind in {dict, tuple, list} and inner == below:
        return expression
    named = f"importlib.import_module({kind.__module__!r}).{kind.__qualname__}"
    if isinstance(value, Mapping):
        made = "{" + ", ".join(f"{key!r}: {item}" for key, item in inner.items()) + "}"
        return made if kind is dict else f"{named}({made})"
    made = f"[{', '.join(inner.values())}]"
    if kind is list:
        return made
    return f"tuple({made})" if kind is tuple else f"{named}(*{made})" if hasattr(value, "_fields") else f"{named}({made})"
