"""A run taken step by step, that can be gone back in and whose steps can be repeated with something changed.

``Walk.take`` does what ``loop.fit`` does, without evaluation, early stopping, records or checkpoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from types import TracebackType
from typing import Any, NamedTuple, Self

from dltool.core.errors import UserError
from dltool.training import rng
from dltool.training.copies import Room
from dltool.training.evaluate import Evaluator
from dltool.training.experiment import Batch, Experiment
from dltool.training.feed import Feed, Group
from dltool.training.gradient_watch import GradientWatch
from dltool.training.modes import modes_kept, set_training
from dltool.training.moment import Moment, Position
from dltool.training.observer import Observer, StepInfo
from dltool.training.placement import place_model, samples_in
from dltool.training.running import EpochMean
from dltool.training.schedule import after_epoch, after_step, run_length
from dltool.training.step import Stepper
from dltool.training.symptoms import NONE, Ignoring, Symptoms, symptoms_of

NOTHING: AbstractContextManager[None] = nullcontext()


class Taken(NamedTuple):
    """One step that was taken.

    Attributes:
        info: which.
        batches: what it was taken on, as delivered and on the CPU.
        loss: NaN or Inf when it went bad, and then nothing was updated; NaN when the step raised.
        gradient_norm: over all gradients the update used, before clipping; NaN without any.
        error: what the user's code raised.
        skipped: a gradient scaler left the update out.
        symptoms: what was found bad.
    """

    info: StepInfo
    batches: Sequence[Batch]
    loss: float
    gradient_norm: float
    error: UserError | None
    skipped: bool
    symptoms: Symptoms


class Walk:
    """One run of an experiment: same order, seed, modes, schedule, clipping, accumulation, penalties and scaler as ``fit``.

    From its making to ``close`` (or as a context manager) the global generators of random numbers are the run's; then they
    and the modules' modes are what they were before. An experiment without an optimizer has no step to take.

    Raises:
        DataError: there are no batches to train on.
    """

    def __init__(self, experiment: Experiment, observers: Sequence[Observer] = ()) -> None:
        self.experiment = experiment
        self._scope = ExitStack()
        self._scope.enter_context(modes_kept(experiment.model))
        self._scope.enter_context(rng.seeded(experiment.seed, experiment.device))
        place_model(experiment)
        self.steps_planned, self.steps_per_epoch = run_length(experiment)
        if experiment.optimizer is None:
            self.steps_planned = 0
        self.gradients = GradientWatch(experiment)
        self.stepper = Stepper(experiment, (*observers, self.gradients)) if experiment.optimizer is not None else None
        self._cleared = {id(parameter) for parameter in (() if self.stepper is None else self.stepper.with_gradients)}
        self.ignoring = Ignoring(experiment)
        self.feed = Feed(experiment)
        self._evaluator = Evaluator(experiment)
        self._means = experiment.schedule is not None and experiment.schedule.needs_metric and experiment.val is None
        self._observers = observers
        self.step = self.epoch = self._batch = 0
        self._mean = EpochMean()
        self._lost = self._finished = False
        self._group: Group | None = None
        self.placed: Sequence[Batch] = ()
        """What the model is given in the step that runs: a ``context`` may want to know these very tensors."""
        set_training(experiment.model, experiment.kept_in_eval)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the caller's random numbers and the modules' modes back; the weights stay as they are."""
        self._scope.close()

    @property
    def position(self) -> Position:
        """Where the walk stands."""
        return Position(
            step=self.step,
            epoch=self.epoch,
            batch=self._batch,
            mean=(self._mean.total, self._mean.samples),
            lost=self._lost,
            finished=self._finished,
        )

    @property
    def compiled(self) -> bool:
        """Whether the model, or a module in it, runs through torch.compile."""
        return any(hasattr(m, "_orig_mod") or m._compiled_call_impl is not None for m in self.experiment.model.modules())  # noqa: SLF001

    def ready(self) -> bool:
        """Stand at the start of the next step: its batches read, the epoch before it ended. False when the run is over."""
        while self._group is None and not self._finished:
            over = self._lost or self.step == self.steps_planned
            self._group = None if over else self.feed.group(self.step, self.epoch, self._batch)
            if self._group is None:
                self._end_epoch()
        return not self._finished

    def take(self, *, closely: bool = True) -> Taken | None:
        """Take the next step of the plain run; None at its end, which is also after a loss that is not finite.

        What the user's code raises within the step is a symptom, told in ``Taken.error``. Unless looked at ``closely``, only
        the loss and the gradients are: one synchronisation beside that of the loss.

        Raises:
            UserError: the data, or the schedule.
        """
        if not self.ready():
            return None
        assert self._group is not None
        return self._step(self._group.kept, self.feed.to_take(self._group), closely=closely)

    def moment(self, room: Room | None = None) -> Moment:
        """Everything the next step starts from; ``room`` as in ``Moment``."""
        self.ready()
        return Moment(self.experiment, self.position, cleared=self._cleared, also=self._observers, room=room)

    def go_back(self, moment: Moment) -> None:
        """Stand where the moment was taken, bit for bit; batches that were forgotten are read anew."""
        moment.restore()
        self._stand_at(moment.position)

    def repeat(
        self,
        moment: Moment,
        batches: Sequence[Batch],
        *,
        context: AbstractContextManager[Any] | None = None,
        edit: Callable[[], object] | None = None,
    ) -> Taken:
        """Go back, ``edit`` what is to be changed, and take this one step on ``batches`` within ``context``.

        Things are left as after the step: ``take`` goes on from there. ``batches`` are not written to.
        """
        self.go_back(moment)
        if edit is not None:
            edit()
        return self._step(batches, self.feed.placed(batches), closely=True, context=context)

    def _step(
        self,
        kept: Sequence[Batch],
        placed: Sequence[Batch],
        *,
        closely: bool,
        context: AbstractContextManager[Any] | None = None,
    ) -> Taken:
        assert self.stepper is not None
        self.placed = placed
        info = StepInfo(self.step, self.epoch, self.steps_planned)
        self.placed = placed
        self.gradients.clear()
        skipped_before = self.stepper.skipped_steps
        loss = math.nan
        error: UserError | None = None
        with context or NOTHING:
            try:
                loss = self.stepper.take(info, placed)
            except UserError as problem:
                error = problem
        skipped = self.stepper.skipped_steps > skipped_before
        self.placed = ()
        symptoms = self._look(loss, error, skipped=skipped, closely=closely)
        self._pass(loss, error, kept)
        norm = self.gradients.total
        return Taken(info=info, batches=kept, loss=loss, gradient_norm=norm, error=error, skipped=skipped, symptoms=symptoms)

    def _pass(self, loss: float, error: UserError | None, batches: Sequence[Batch]) -> None:
        """Move on behind the step; a run without a loss goes no further."""
        self._group = None
        if self._means and error is None:
            samples = sum(samples_in(batch.target) for batch in batches)
            self._mean.add(loss / samples if self._evaluator.adds_up else loss, samples)
        if error is not None or not math.isfinite(loss):
            self._lost, self._finished = True, error is not None
            return
        self.step += 1
        self._batch += len(batches)
        assert self.stepper is not None
        after_step(self.experiment.schedule, updated=self.stepper.updated)

    def _look(self, loss: float, error: UserError | None, *, skipped: bool, closely: bool) -> Symptoms:
        raised, lost = error is not None, error is None and not math.isfinite(loss)
        if not (raised or lost or closely or skipped or self.gradients.bad()):
            return NONE
        grads = self.gradients.bad_though_unscaled() if skipped else self.gradients.bad()
        bad = tuple(name for name, grad in grads if self.ignoring.counts("gradients", name, grad))
        if not closely:
            return Symptoms(loss=lost, gradients=bad, error=raised)
        found = symptoms_of(self.experiment, self.ignoring)
        if not skipped:  # an optimizer may itself leave out or mend a gradient that is not finite
            spoilt = {*found.parameters, *(state.rpartition("/")[0] for state in found.states)}
            bad = tuple(name for name in bad if raised or any(_within(name, one) for one in spoilt))
        return Symptoms(
            loss=lost,
            gradients=bad,
            parameters=found.parameters,
            buffers=found.buffers,
            states=found.states,
            error=raised,
        )

    def _end_epoch(self) -> None:
        experiment = self.experiment
        after_epoch(experiment.schedule, self._metric())
        self._finished = self._lost or self.step == self.steps_planned or self.epoch + 1 == experiment.settings.epochs
        self.epoch += 1
        self._batch = 0
        self._mean = EpochMean()
        if not self._finished:
            set_training(experiment.model, experiment.kept_in_eval)

    def _metric(self) -> float:
        """What a plateau schedule is stepped with: as in ``fit`` the validation loss, or the epoch's own without a split."""
        schedule = self.experiment.schedule
        if schedule is None or not schedule.needs_metric:
            return math.nan
        return self._mean.mean if self.experiment.val is None else self._evaluator(self.experiment.val).loss

    def _stand_at(self, position: Position) -> None:
        self.step, self.epoch, self._batch = position.step, position.epoch, position.batch
        self._mean = EpochMean(*position.mean)
        self._lost, self._finished = position.lost, position.finished
        self._group = None


def _within(parameter: str, place: str) -> bool:
    return place == parameter or place.startswith(f"{parameter}/")
