"""One moment of a run, copied: whatever a step starts from, to be stood at again bit for bit."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from dltool.probes.contents import Contents
from dltool.training import rng
from dltool.training.copies import Copies, Room
from dltool.training.experiment import Experiment


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a walk stands: ``step`` counts from 0 over the run, ``batch`` within the epoch; ``mean`` is the epoch's loss."""

    step: int
    epoch: int
    batch: int
    mean: tuple[float, int] = (0.0, 0)
    lost: bool = False
    finished: bool = False


class Moment:
    """Everything that a step starts from.

    Held are the values and the identity of weights, buffers and optimizer states, gradients, the schedule, the scaler, the
    generators of random numbers, module modes, and what the user's own objects hold (counters, lists, caches) where model,
    loss, optimizer, schedule or scaler refer to them. What cannot be copied is left alone.

    Args:
        experiment: whose state is copied.
        position: where the walk stands.
        cleared: ids of the parameters whose gradients are replaced and never written to, so that they need no copy.
        also: further objects that hold some of the run's state.
        room: memory of an older moment, which cannot be restored afterwards.
    """

    def __init__(
        self,
        experiment: Experiment,
        position: Position,
        *,
        cleared: Collection[int] = (),
        also: Sequence[Any] = (),
        room: Room | None = None,
    ) -> None:
        self.position = position
        self._device = experiment.device
        schedule = experiment.schedule
        roots = (experiment.model, experiment.optimizer, None if schedule is None else schedule.scheduler)
        self._contents = Contents((*roots, experiment.scaler, experiment.criterion, *also))
        found = [tensor for tensor in self._contents.tensors if tensor.is_leaf]  # others are results, never written to
        self._leaves = [(tensor, tensor.requires_grad, tensor.grad) for tensor in found]
        grown = [grad for tensor, _, grad in self._leaves if grad is not None and id(tensor) not in cleared]
        self._copies = Copies([*found, *grown], room)
        self._rng = rng.capture(experiment.device)

    @property
    def bytes(self) -> int:
        """Memory that the copies take."""
        return self._copies.bytes

    @property
    def tensors(self) -> int:
        """How many tensors were copied."""
        return len(self._copies)

    @property
    def room(self) -> Room:
        """Its memory, for another moment to be copied into."""
        return self._copies.room

    @property
    def step(self) -> int:
        """The step that starts here."""
        return self.position.step

    def is_finite(self) -> bool:
        """Whether all that was copied is finite; False asks for a closer look."""
        return self._copies.is_finite()

    def restore(self) -> None:
        """Bring all of it back, but for the position, which is the walk's."""
        self._contents.restore()
        self._copies.put_back()
        for tensor, requires_grad, grad in self._leaves:
            if tensor.requires_grad is not requires_grad:
                tensor.requires_grad_(requires_grad)
            if tensor.grad is not grad:
                tensor.grad = grad
        rng.restore(self._rng, self._device)
