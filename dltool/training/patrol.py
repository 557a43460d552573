"""A run that is watched cheaply for values that are not finite, and gone back in to the exact step where they began."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from dltool.core.measured.hunt import Guarding, LeadUp
from dltool.training.copies import Room
from dltool.training.experiment import Batch, Experiment
from dltool.training.lead_up import History
from dltool.training.moment import Moment
from dltool.training.pace import snapshot_every as pace
from dltool.training.progress import Progress, Silent
from dltool.training.stop import StopFlag, StopReason
from dltool.training.symptoms import NONE, Symptoms, symptoms_of
from dltool.training.walk import Taken, Walk

TICK_S = 0.1
"""How often progress is told; nothing that is computed depends on it."""
BATCHES_KEPT_BYTES = 64 * 2**20
"""Batches are kept from the start while they fit in here, so that a short run can be taken again as it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """A step in which something went bad that counts.

    Attributes:
        step: which.
        moment: what it started from; where a scaler left it out, with a scale of 1.
        batches: those it was taken on, as delivered.
        before: those of the step before; empty for the first step.
        symptoms: what went bad.
        taken: the step as it was taken.
        lead_up: the good steps before it.
        start: the moment before the first step.
        walk: to go back and to repeat with. Leave it with ``leave``.
        plain: the moment as the run had it, whatever its scale.
        reproduced: False where the step was good when it was taken again: the run is not deterministic.
    """

    step: int
    moment: Moment
    batches: Sequence[Batch]
    before: Sequence[Batch]
    symptoms: Symptoms
    taken: Taken
    lead_up: LeadUp
    start: Moment
    walk: Walk
    plain: Moment
    reproduced: bool = True

    def leave(self) -> None:
        """Stand where the plain run stands after this step, whatever was tried since."""
        self.walk.repeat(self.plain, self.batches)


class Patrol:
    """Takes a run's steps and stops at those in which a value goes bad.

    After each step the loss and the norm of all gradients are looked at; every ``every`` steps the whole state is copied,
    and looked through on the way. Where something is bad, the steps since the last good copy are taken again one by one with
    a full look after each. Close it (or use it as a context manager) to give the caller's random numbers back.

    Args:
        experiment: to be run; it is trained in place.
        snapshot_every: steps between copies; by default as follows from sizes, at most 16.
        progress: told how far it is.
        stop: asked after every step.

    Raises:
        UserError: from the data or the schedule, here and in ``next``.
    """

    def __init__(
        self,
        experiment: Experiment,
        *,
        snapshot_every: int | None = None,
        progress: Progress | None = None,
        stop: StopFlag | None = None,
    ) -> None:
        self.walk = Walk(experiment)
        self.start = self.walk.moment()
        self.every = snapshot_every or 1
        """Steps between two copies; where they follow from sizes, they do so after the first step: it makes the optimizer's
        state."""
        self._paced = snapshot_every is not None
        self.stopped: StopReason | None = None
        self._progress = progress or Silent()
        self._stop = stop or StopFlag()
        self._history = History(self.walk)
        self._good = self.start
        self._spare: Room | None = None
        self._caught: Caught | None = None
        self._skipped = 0
        self._started_s = self._next_tick_s = time.monotonic()
        self._progress.start(self.walk.steps_planned)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """The caller's random numbers and the modules' modes are back; the weights stay as they are."""
        self._progress.close()
        self.walk.close()

    @property
    def steps_run(self) -> int:
        """Steps taken, one that was caught included."""
        return self.walk.step if self._caught is None else self._caught.step + 1

    def guarding(self) -> Guarding:
        """How the steps were watched, and the memory it may take."""
        batches = max(BATCHES_KEPT_BYTES, (self.every + 1) * self.walk.feed.largest_bytes)
        return Guarding(
            snapshot_every=self.every,
            snapshot_bytes=self._good.bytes,
            kept_bytes=3 * self._good.bytes + batches,
            skipped_steps=self._skipped,
            compiled=self.walk.compiled,
        )

    def accept(self, symptoms: Symptoms) -> None:
        """These are innocent and count no more; ``next`` goes on with the step that showed them."""
        assert not symptoms.loss
        assert not symptoms.error
        self.walk.ignoring.accept(symptoms)

    def next(self) -> Caught | None:
        """Go on until a step goes bad; None at the end of the run, or when it was stopped."""
        caught = self._taken_up() if self._caught is not None else None
        self._caught = None
        while caught is None and self.stopped is None:
            if self.walk.step - self._good.step >= self.every and (caught := self._look()) is not None:
                break
            taken = self.walk.take(closely=False)
            if taken is None:
                caught = self._look()
                break
            caught = self._told(taken)
            self.stopped = self._stop.reason
            if self.stopped is not None and caught is None:
                caught = self._look()
        self._caught = caught
        return caught

    def _told(self, taken: Taken) -> Caught | None:
        """What a step says of itself."""
        self._skipped += taken.skipped
        self._tick(taken)
        if taken.symptoms or taken.skipped:
            return self._search(taken.info.step, taken.symptoms, taken)
        self._history.add(taken)
        return None

    def _look(self) -> Caught | None:
        """Copy the state, and look it through: it is good, or has gone bad since the last copy."""
        moment = self.walk.moment(self._spare)
        self._spare = moment.room
        seen = NONE if moment.is_finite() else symptoms_of(self.walk.experiment, self.walk.ignoring)
        if seen:
            return self._search(self.walk.step - 1, seen, None)
        self._keep(moment)
        if not self._paced:
            self._paced, self.every = True, pace(self.walk, moment)
        return None

    def _keep(self, good: Moment) -> None:
        """Go back no further than to here from now on."""
        if good is not self._good:
            self._spare = None if self._good is self.start else self._good.room
            self._good = good
        self.walk.feed.forget(good.step - 1, down_to_bytes=BATCHES_KEPT_BYTES)

    def _search(self, last: int, seen: Symptoms, taken: Taken | None) -> Caught | None:
        """Take the steps from the last good copy to ``last`` again: the first that shows anything, in a full look, is it."""
        self.walk.go_back(self._good)
        moment = self._good
        again: Taken | None = None
        while self.walk.step <= last:
            moment = self._at_start_of_step()
            again = self.walk.take()
            assert again is not None
            caught = self._catch(moment, again)
            if caught is not None:
                return caught
        assert again is not None
        if seen.loss or seen.error or (seen and not self.walk.gradients.bad()):
            return self._make(moment, taken or again, seen, reproduced=False)
        self._history.add(again)
        self._keep(self.walk.moment(self._spare))
        return None

    def _at_start_of_step(self) -> Moment:
        if self.walk.step == self._good.step:
            return self._good
        moment = self.walk.moment(self._spare)
        self._spare = moment.room
        return moment

    def _catch(self, moment: Moment, taken: Taken) -> Caught | None:
        if taken.symptoms:
            return self._make(moment, taken, taken.symptoms)
        return self._catch_skipped(moment, taken) if taken.skipped else None

    def _catch_skipped(self, moment: Moment, taken: Taken) -> Caught | None:
        """A gradient that is not finite although nothing scales it up is no matter of the scale."""
        unscaled = self.walk.repeat(moment, taken.batches, edit=self._unscale)
        if not unscaled.symptoms.gradients:
            self.walk.repeat(moment, taken.batches)
            return None
        self.walk.go_back(moment)
        self._unscale()
        return self._make(self.walk.moment(), unscaled, unscaled.symptoms, plain=moment)

    def _unscale(self) -> None:
        scaler = self.walk.experiment.scaler
        scaler.load_state_dict(scaler.state_dict() | {"scale": 1.0})

    def _make(
        self, moment: Moment, taken: Taken, symptoms: Symptoms, *, plain: Moment | None = None, reproduced: bool = True
    ) -> Caught:
        step = taken.info.step
        return Caught(
            step=step,
            moment=moment,
            batches=taken.batches,
            before=self.walk.feed.kept(step - 1) or (),
            symptoms=symptoms,
            taken=taken,
            lead_up=self._history.before(step),
            start=self.start,
            walk=self.walk,
            plain=plain or moment,
            reproduced=reproduced,
        )

    def _taken_up(self) -> Caught | None:
        """After a symptom was accepted: the step once more, in which another may show."""
        assert self._caught is not None
        self.walk.go_back(self._caught.plain)
        self._keep(self._caught.plain)
        return self._search(self._caught.step, NONE, None)

    def _tick(self, taken: Taken) -> None:
        now_s = time.monotonic()
        if now_s >= self._next_tick_s:
            self._next_tick_s = now_s + TICK_S
            step = taken.info.step + 1
            self._progress.advance(step, taken.loss, step / max(now_s - self._started_s, 1e-9))
