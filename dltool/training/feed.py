"""The batches of each step in the run's order, kept as they were delivered, so that steps can be taken again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dltool.training.batch_copies import bytes_of, copied, same_values, versions
from dltool.training.experiment import Batch, Experiment
from dltool.training.placement import grouped, placer

TRIAL_STEPS = 8
"""Steps whose batches are copied, to see whether anybody writes into them: a model, or a loader that fills them again."""


@dataclass(slots=True)
class Group:
    """The batches of one step, on the CPU: ``kept`` as delivered, ``delivered`` the very ones that the first taking gets."""

    epoch: int
    batch: int
    kept: Sequence[Batch]
    delivered: Sequence[Batch]
    versions: tuple[int, ...]
    taken: bool = False


class Feed:
    """Reads a run's batches once and keeps them, in ``(seed, epoch)`` order, until it is told to forget.

    A loader that shuffles with a generator of its own gives other batches when it is read again: only what was kept can be
    taken again. Once somebody was seen to write into the batches that were delivered, copies are kept; before, and after the
    first few, the batches themselves, and one that is found written to is read anew.
    """

    def __init__(self, experiment: Experiment) -> None:
        self._source = experiment.train
        self._size = experiment.settings.accumulate
        self._place = placer(experiment.device, experiment.settings.precision)
        self._trials_left = TRIAL_STEPS
        self._written = False
        self._groups: dict[int, Group] = {}
        self._last: Group | None = None
        self.bytes = self.largest_bytes = 0
        """Memory that the kept batches take: all of them, and those of the step that has most."""
        self._at: tuple[int, int] | None = None
        self._reading: Iterator[Sequence[Batch]] = iter(())

    def group(self, step: int, epoch: int, batch: int) -> Group | None:
        """The batches of ``step``, which begin with batch ``batch`` of ``epoch``; None when that epoch is over."""
        group = self._groups.get(step)
        if group is not None:
            return self._whole(group) if group.epoch == epoch else None
        if self._at != (epoch, batch):
            self._reading = grouped(self._source.epoch(epoch, batch), self._size)
        delivered = next(self._reading, None)
        if delivered is None:
            return None
        self._at = (epoch, batch + len(delivered))
        self._look_for_writes()
        kept = [copied(one) for one in delivered] if self._written or self._trials_left else delivered
        self._last = self._groups[step] = group = Group(epoch, batch, kept, delivered, versions(delivered))
        size = bytes_of(kept)
        self.bytes += size
        self.largest_bytes = max(self.largest_bytes, size)
        return group

    def kept(self, step: int) -> Sequence[Batch] | None:
        """The batches of a step, if they are kept."""
        group = self._groups.get(step)
        return None if group is None else self._whole(group).kept

    def forget(self, before_step: int, *, down_to_bytes: int = 0) -> None:
        """Keep no batches of steps before ``before_step``, or of the latest of them what fits into ``down_to_bytes``."""
        for step in sorted(self._groups) if self.bytes > down_to_bytes else ():
            if step >= before_step or self.bytes <= down_to_bytes:
                return
            self.bytes -= bytes_of(self._groups.pop(step).kept)

    def to_take(self, group: Group) -> Sequence[Batch]:
        """The batches for the model: the delivered ones the first time, and copies of what was kept ever after."""
        if group.taken:
            return self.placed(group.kept)
        group.taken = True
        return group.delivered if self._place is None else [self._place(batch) for batch in group.delivered]

    def placed(self, batches: Sequence[Batch]) -> Sequence[Batch]:
        """Copies of ``batches`` on the device, which a model may write into."""
        copies = [copied(batch) for batch in batches]
        return copies if self._place is None else [self._place(batch) for batch in copies]

    def _look_for_writes(self) -> None:
        """See whether the batch before this one was written to, by its step or by the reading of this one."""
        last, self._last = self._last, None
        if last is None or self._written:
            return
        copies = last.kept is not last.delivered
        self._written = versions(last.delivered) != last.versions or (copies and not same_values(last.delivered, last.kept))
        self._trials_left -= self._trials_left > 0
        if copies:
            last.delivered = last.kept

    def _whole(self, group: Group) -> Group:
        """The group with its batches as they were delivered."""
        if group.kept is group.delivered and versions(group.kept) != group.versions:
            group.kept = next(grouped(self._source.epoch(group.epoch, group.batch), self._size))
            group.delivered, group.versions = group.kept, versions(group.kept)
        return group
