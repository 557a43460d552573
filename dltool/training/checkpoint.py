"""One moment of a run, taken and taken up again: weights, optimizer, schedule, random numbers, position and history.

When a checkpoint is written may follow the clock, because writing one changes nothing in the run.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch

from dltool.core.codec import dumps
from dltool.core.measured.training import EpochRecord
from dltool.training import rng
from dltool.training.experiment import Experiment
from dltool.training.identity import identity
from dltool.training.progress import Progress
from dltool.training.run_folder import RunFolder
from dltool.training.state_file import CannotBeSavedError, holds_parameter, savable
from dltool.training.weights import put_back, tensors_of

SHORTEST_INTERVAL_S = 1.0
INTERVAL_RATIO = 50.0
"""A checkpoint waits for 50 times what the last one took: writing them costs at most 2 % of the run."""


def capture(experiment: Experiment, loop_state: dict[str, Any]) -> dict[str, Any]:
    """Everything that goes on from here bit for bit; tensors are not copied."""
    optimizer, schedule, scaler = experiment.optimizer, experiment.schedule, experiment.scaler
    return {
        "identity": identity(experiment),
        "torch": torch.__version__,
        "model": tensors_of(experiment.model),
        "optimizer": None if optimizer is None else optimizer.state_dict(),
        "optimizer_own": {} if optimizer is None else own_attributes(optimizer),
        "schedule": None if schedule is None else schedule.scheduler.state_dict(),
        "scaler": None if scaler is None else scaler.state_dict(),
        "rng": rng.capture(experiment.device),
        "loop": loop_state,
    }


def restore(experiment: Experiment, state: dict[str, Any]) -> None:
    """Take up what ``capture`` took, but for the random numbers and the loop's own state."""
    put_back(experiment.model, state["model"])
    if experiment.optimizer is not None:
        experiment.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["optimizer_own"].items():
            setattr(experiment.optimizer, name, value)
        # torch's schedules warn when they are stepped before the optimizer: it was stepped, in another process
        experiment.optimizer._opt_called = True  # type: ignore[attr-defined]  # noqa: SLF001
    if experiment.schedule is not None:
        experiment.schedule.scheduler.load_state_dict(state["schedule"])
    if experiment.scaler is not None:
        experiment.scaler.load_state_dict(state["scaler"])


def own_attributes(optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    """What a user's optimizer keeps outside ``state`` (a step count, a running average) and ``state_dict`` leaves out."""
    if type(optimizer).__module__.startswith("torch.optim"):
        return {}
    common = {*vars(torch.optim.SGD([torch.zeros(1)], lr=0.1)), "_opt_called"}
    return {
        name: value
        for name, value in vars(optimizer).items()
        if name not in common and savable(value) and not holds_parameter(value)
    }


class Checkpoints:
    """Writes a run's checkpoints when they are due, and its metrics epoch by epoch; without a folder it does nothing."""

    def __init__(self, folder: RunFolder | None, progress: Progress) -> None:
        self._folder = folder
        self._progress = progress
        self._resumable = True
        self._best_written: int | None = None
        self._next_s = time.monotonic() + SHORTEST_INTERVAL_S

    def due(self, now_s: float) -> bool:
        """Whether it is time to write one; ``now_s`` is ``time.monotonic()``."""
        return self._folder is not None and now_s >= self._next_s

    def write(self, state: dict[str, Any]) -> None:
        """Write a checkpoint: first the state, all of one moment, then the weights derived from it."""
        if self._folder is None:
            return
        start_s = time.monotonic()
        if self._resumable:
            try:
                self._folder.write_state(state)
            except CannotBeSavedError as problem:
                self._resumable = False
                self._progress.note(f"this run cannot be resumed: {problem}, which a checkpoint cannot hold")
        self._folder.write_weights("last", state["model"])
        best = state["loop"]["best"]
        if best["epoch"] is not None and best["epoch"] != self._best_written:
            self._folder.write_weights("best", best["tensors"])
            self._best_written = best["epoch"]
        end_s = time.monotonic()
        self._next_s = end_s + max(SHORTEST_INTERVAL_S, INTERVAL_RATIO * (end_s - start_s))

    def add_metrics(self, record: EpochRecord) -> None:
        """One more line in metrics.jsonl."""
        if self._folder is not None:
            self._folder.append_metrics(dumps(record))

    def replace_metrics(self, records: Sequence[EpochRecord]) -> None:
        """Let metrics.jsonl hold these epochs and no others."""
        if self._folder is not None:
            self._folder.write_metrics(dumps(record) for record in records)
