"""What the loop tells those who watch it. The loop knows nothing of probes; an observer never changes what it sees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from torch import Tensor

from dltool.core.measured.training import EpochRecord
from dltool.training.experiment import Batch, Nested


@dataclass(frozen=True, slots=True)
class StepInfo:
    """One optimizer step: ``step`` counts from 0 over the whole run, ``steps_planned`` is how many the run will take."""

    step: int
    epoch: int
    steps_planned: int


class Observer:
    """Base with every hook empty: override what you need. The order within a step is the order of the methods here.

    With gradient accumulation one step covers several batches; ``batch`` is then the last of them.
    """

    def run_start(self, steps_planned: int, steps_per_epoch: int) -> None:
        """Before the first step (or the first after a resume)."""

    def step_start(self, info: StepInfo, batch: Batch) -> None:
        """Before the forward pass."""

    def forward_end(self, info: StepInfo, output: Nested, loss: Tensor) -> None:
        """After the loss is known, before backward."""

    def backward_end(self, info: StepInfo) -> None:
        """Gradients are there, before clipping and before the update."""

    def update_end(self, info: StepInfo, batch: Batch, loss: float) -> None:
        """After the optimizer stepped; gradients (clipped) are still there."""

    def bad_step(self, info: StepInfo, batch: Batch, output: Nested, loss: Tensor) -> None:
        """The loss came out non-finite. No backward, no update was done; gradients are those of the step before."""

    def epoch_end(self, record: EpochRecord) -> None:
        """After an epoch and its evaluation."""

    def state_dict(self) -> dict[str, Any]:
        """Tensors and JSON values (nested dicts and lists) that a resumed run needs to go on bit for bit."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave, after ``run_start``; the tensors come back on the CPU."""
