"""The batches of each step in the run's order, kept as they were delivered, so that steps can be taken again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dltool.probes.nested import tensors, transform
from dltool.training.experiment import Batch, Experiment
from dltool.training.placement import grouped, placer


@dataclass(slots=True)
class Group:
    """The batches of one step: ``kept`` on the CPU as delivered, ``fresh`` the delivered ones until the step took them."""

    epoch: int
    kept: Sequence[Batch]
    fresh: Sequence[Batch] | None


class Feed:
    """Reads a run's batches once and keeps them, in ``(seed, epoch)`` order, until it is told to forget.

    A loader that shuffles with a generator of its own gives other batches when it is read again: only what was kept can be
    taken again. A model may write into its batches, so what is kept on the CPU is a copy.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._source = experiment.train
        self._size = experiment.settings.accumulate
        self._place = placer(experiment.device, experiment.settings.precision)
        self._copies = experiment.device.type == "cpu"
        self._groups: dict[int, Group] = {}
        self.bytes = self.largest_bytes = 0
        """Memory that the kept batches take: all of them, and those of the step that has most."""
        self._at: tuple[int, int] | None = None
        self._reading: Iterator[Sequence[Batch]] = iter(())

    def group(self, step: int, epoch: int, batch: int) -> Group | None:
        """The batches of ``step``, which begin with batch ``batch`` of ``epoch``; None when that epoch is over."""
        kept = self._groups.get(step)
        if kept is not None:
            return kept if kept.epoch == epoch else None
        if self._at != (epoch, batch):
            self._reading = grouped(self._source.epoch(epoch, batch), self._size)
        delivered = next(self._reading, None)
        if delivered is None:
            return None
        self._at = (epoch, batch + len(delivered))
        group = Group(epoch, [copied(b) for b in delivered] if self._copies else delivered, delivered)
        self._groups[step] = group
        size = bytes_of(group.kept)
        self.bytes += size
        self.largest_bytes = max(self.largest_bytes, size)
        return group

    def kept(self, step: int) -> Sequence[Batch] | None:
        """The batches of a step, if they are kept."""
        group = self._groups.get(step)
        return None if group is None else group.kept

    def forget(self, before_step: int, *, down_to_bytes: int = 0) -> None:
        """Keep no batches of steps before ``before_step``, or of the latest of them what fits into ``down_to_bytes``."""
        for step in sorted(self._groups) if self.bytes > down_to_bytes else ():
            if step >= before_step or self.bytes <= down_to_bytes:
                return
            self.bytes -= bytes_of(self._groups.pop(step).kept)

    def to_take(self, group: Group) -> Sequence[Batch]:
        """The batches for the model: the delivered ones the first time, and copies of what was kept ever after."""
        if group.fresh is not None:
            fresh, group.fresh = group.fresh, None
            return fresh if self._place is None else [self._place(batch) for batch in fresh]
        return self.placed(group.kept)

    def placed(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Copies of ``batches`` on the device, which a model may write into."""
        copies = [copied(batch) for batch in batches]
        return copies if self._place is None else [self._place(batch) for batch in copies]


def bytes_of(batches: Sequence[Batch]) -> int:
    """Memory of the tensors in ``batches``."""
    return sum(tensor.nbytes for batch in batches for tensor in tensors(tuple(batch)))


def copied(batch: Batch) -> Batch:
    """A copy of its tensors that share memory where they do: an autoencoder's target is its input."""
    given, target = batch
    if isinstance(given, Tensor) and isinstance(target, Tensor) and _memory(given) != _memory(target):
        return Batch(given.detach().clone(), target.detach().clone())
    found = {id(tensor): tensor for tensor in tensors(tuple(batch))}
    users = Counter(_memory(tensor) for tensor in found.values())
    memory: dict[int | None, Tensor] = {}
    copies: dict[int, Tensor] = {}
    for key, tensor in found.items():
        place = _memory(tensor)
        if place is None or users[place] == 1:
            copies[key] = tensor.detach().clone()
            continue
        if place not in memory:
            whole = torch.empty(0, dtype=torch.uint8, device=tensor.device).set_(tensor.untyped_storage())
            memory[place] = whole.clone()
        again = torch.empty(0, dtype=tensor.dtype, device=tensor.device).set_(memory[place].untyped_storage())
        copies[key] = again.as_strided(tensor.shape, tensor.stride(), tensor.storage_offset())
    return Batch(*(transform(part, lambda tensor: copies[id(tensor)]) for part in batch))


def _memory(tensor: Tensor) -> int | None:
    return tensor.untyped_storage().data_ptr() if tensor.layout is torch.strided and tensor.numel() else None
