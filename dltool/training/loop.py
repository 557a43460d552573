"""The loop: epochs of steps over plain torch, with everything that surrounds a step.

``fit`` is the whole story: seed, take up a checkpoint, run epochs until one of them says why training ended, fill in what
the last look tells. ``step.py`` holds what happens in one step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from dltool.core.codec import decode, encode
from dltool.core.errors import SpecError
from dltool.core.measured.training import EpochRecord, History
from dltool.training import rng
from dltool.training.checkpoint import Checkpoints, capture, restore
from dltool.training.early_stopping import Patience
from dltool.training.evaluate import Evaluation, Evaluator
from dltool.training.experiment import Experiment
from dltool.training.identity import check_same
from dltool.training.modes import modes_kept, set_training
from dltool.training.observer import Observer, StepInfo
from dltool.training.outcome import FitOutcome, Stopped, describe_optimisation
from dltool.training.placement import grouped, place_model, placer, samples_in
from dltool.training.progress import Progress, Silent
from dltool.training.remeasuring import plan
from dltool.training.run_folder import RunFolder
from dltool.training.running import EpochMean, RunningLoss
from dltool.training.schedule import after_epoch, after_step, current_lr, run_length
from dltool.training.step import Stepper
from dltool.training.step_clock import StepClock
from dltool.training.stop import StopFlag
from dltool.training.weights import BestWeights

TICK_S = 0.1
"""How often the progress bar and the checkpoint's clock are looked after; neither changes what is computed."""


def fit(
    experiment: Experiment,
    *,
    observers: Sequence[Observer] = (),
    progress: Progress | None = None,
    stop: StopFlag | None = None,
    run_folder: RunFolder | None = None,
    resume: bool = False,
) -> FitOutcome:
    """Train ``experiment.model`` in place and return what the loop itself measured.

    ``settings.max_steps`` cuts the run short of its epochs. Afterwards every module is in the mode it was in, and the
    random number generators are where they were. With ``resume`` the run goes on from the folder's last checkpoint, bit for
    bit as if it had never stopped; a folder without a checkpoint starts from the beginning.

    Raises:
        TargetError: the model, its loss or a metric raised.
        DataError: there are no batches to train on.
        SpecError: the run to be resumed is another one, or early stopping monitors what is not there.
        OutputError: the run folder cannot be written or read.
    """
    progress = progress or Silent()
    with ExitStack() as scope:
        scope.callback(progress.close)
        scope.enter_context(modes_kept(experiment.model))
        scope.enter_context(rng.seeded(experiment.seed, experiment.device))
        run = _Run(experiment, observers, progress, stop or StopFlag(), run_folder)
        return run.train(resume=resume)


class _Run:
    """One call of ``fit``: where it stands, and what it knows so far."""

    def __init__(
        self,
        experiment: Experiment,
        observers: Sequence[Observer],
        progress: Progress,
        stop: StopFlag,
        folder: RunFolder | None,
    ) -> None:
        settings = experiment.settings
        place_model(experiment)
        self.experiment, self.observers, self.progress, self.stop, self.folder = (
            experiment,
            observers,
            progress,
            stop,
            folder,
        )
        self.steps_planned, self.steps_per_epoch = run_length(experiment)
        self.place = placer(experiment.device, settings.precision)
        self.evaluator = Evaluator(experiment)
        self.remeasuring = plan(experiment, self.evaluator)
        self.stepper = Stepper(experiment, observers) if experiment.optimizer is not None else None
        self.patience = Patience(settings.early_stopping, experiment.metrics) if settings.early_stopping else None
        self.checkpoints = Checkpoints(folder, progress)
        self.best = BestWeights()
        self.running = RunningLoss(self.steps_planned)
        self.epoch_mean = EpochMean()
        self.records: list[EpochRecord] = []
        self.clock = StepClock()
        self.block_weights: dict[str, tuple[float, ...]] = {"train": (), "val": ()}
        self.step = self.epoch = self.batches_done = 0
        self.stopped: Stopped | None = None
        self.resumed_at: int | None = None
        self._started_s = self._next_tick_s = time.monotonic()

    def train(self, *, resume: bool) -> FitOutcome:
        """Run to the end, whatever it is."""
        state = self.folder.read_state() if resume and self.folder is not None else None
        if state is not None:
            self._take_up(state)
        self.checkpoints.replace_metrics(self.records)
        for observer in self.observers:
            observer.run_start(self.steps_planned, self.steps_per_epoch)
        if state is not None:
            for observer, known in zip(self.observers, state["loop"]["observers"], strict=True):
                observer.load_state_dict(known)
            rng.restore(state["rng"], self.experiment.device)
        self.progress.start(self.steps_planned, self.step)
        while self.stopped is None:
            self.stopped = self._look_once() if self.stepper is None else self._run_epoch(self.stepper)
        if self.stopped in ("finished", "early-stopping"):
            self._measure_best()
        self._checkpoint()
        return self._outcome()

    def _run_epoch(self, stepper: Stepper) -> Stopped | None:
        """Steps from where the run stands to the end of the epoch, and what follows it; why training ends, if it does."""
        experiment, schedule = self.experiment, self.experiment.schedule
        set_training(experiment.model, experiment.kept_in_eval)
        full_batch = experiment.train.batch_size or 0
        stop, running, epoch_mean, adds_up = self.stop, self.running, self.epoch_mean, self.evaluator.adds_up
        batches = experiment.train.epoch(self.epoch, self.batches_done)
        first_step = self.step
        self.clock.start()
        for group in grouped(batches, experiment.settings.accumulate):
            if self.step == self.steps_planned:
                break
            placed = group if self.place is None else [self.place(batch) for batch in group]
            loss = stepper.take(StepInfo(self.step, self.epoch, self.steps_planned), placed)
            samples = sum([samples_in(batch.target) for batch in group])
            running.add(self.step, loss, full_batch=samples >= full_batch * len(group))
            epoch_mean.add(loss / samples if adds_up else loss, samples)
            if not math.isfinite(loss):
                self._end_epoch(last=True)
                return "non-finite"
            self.step += 1
            self.batches_done += len(group)
            after_step(schedule, updated=stepper.updated)
            if (reason := stop.reason) is not None:
                return reason
            if (now_s := time.monotonic()) >= self._next_tick_s:
                self._tick(now_s)
        self.clock.stop(self.step - first_step)
        return self._end_epoch(last=self.step == self.steps_planned or self.epoch + 1 == experiment.settings.epochs)

    def _end_epoch(self, *, last: bool) -> Stopped | None:
        """Evaluate, judge, record and go on to the next epoch; why training ends here, if it does."""
        experiment = self.experiment
        record = EpochRecord(
            epoch=self.epoch,
            step=self.step,
            lr=current_lr(experiment),
            running_loss=self.epoch_mean.mean,
            train_loss=None,
            val_loss=None,
        )
        if experiment.val is not None:
            record = self._with_val(record, self.evaluator(experiment.val))
        exhausted = self.patience is not None and self.patience.exhausted_after(record)
        if last or exhausted or self.remeasuring.due(self.epoch):
            record = self._with_train(record, self.evaluator(experiment.train, self.remeasuring.samples))
        self.best.offer(record, experiment.model)
        after_epoch(experiment.schedule, record.running_loss if record.val_loss is None else record.val_loss)
        self._record(record)
        self.epoch += 1
        self.batches_done = 0
        self.epoch_mean = EpochMean()
        if last or exhausted:
            return "early-stopping" if exhausted else "finished"
        self._tick(time.monotonic())
        return self.stop.reason

    def _look_once(self) -> Stopped:
        """Nothing can be trained: evaluate the model as it is, as an epoch without a step."""
        train = self.evaluator(self.experiment.train, self.remeasuring.samples)
        record = EpochRecord(epoch=0, step=0, lr=0.0, running_loss=train.loss, train_loss=None, val_loss=None)
        record = self._with_train(record, train)
        if self.experiment.val is not None:
            record = self._with_val(record, self.evaluator(self.experiment.val))
        self.best.offer(record, self.experiment.model)
        self._record(record)
        return "finished"

    def _measure_best(self) -> None:
        """Measure the training loss of the best epoch too, if it was not its turn: the gap is judged where it counts."""
        best = self.best.epoch
        if best is None or self.records[best].train_loss is not None:
            return
        with self.best.in_place(self.experiment.model):
            evaluation = self.evaluator(self.experiment.train, self.remeasuring.samples)
        self.records[best] = self._with_train(self.records[best], evaluation)
        self.checkpoints.replace_metrics(self.records)

    def _with_train(self, record: EpochRecord, evaluation: Evaluation) -> EpochRecord:
        self.block_weights["train"] = evaluation.block_weights
        return replace(record, train_loss=evaluation.loss, train_blocks=evaluation.blocks, train_metrics=evaluation.metrics)

    def _with_val(self, record: EpochRecord, evaluation: Evaluation) -> EpochRecord:
        self.block_weights["val"] = evaluation.block_weights
        return replace(record, val_loss=evaluation.loss, val_blocks=evaluation.blocks, val_metrics=evaluation.metrics)

    def _record(self, record: EpochRecord) -> None:
        self.records.append(record)
        for observer in self.observers:
            observer.epoch_end(record)
        self.checkpoints.add_metrics(record)

    def _tick(self, now_s: float) -> None:
        self._next_tick_s = now_s + TICK_S
        rate_per_s = (self.step - (self.resumed_at or 0)) / max(now_s - self._started_s, 1e-9)
        self.progress.advance(self.step, self.running.smoothed, rate_per_s)
        if self.checkpoints.due(now_s):
            self._checkpoint()

    def _checkpoint(self) -> None:
        if self.folder is not None:
            self.checkpoints.write(capture(self.experiment, self._state()))

    def _state(self) -> dict[str, Any]:
        stepper, patience = self.stepper, self.patience
        return {
            "step": self.step,
            "epoch": self.epoch,
            "batches_done": self.batches_done,
            "epoch_total": self.epoch_mean.total,
            "epoch_samples": self.epoch_mean.samples,
            "stopped": self.stopped,
            "records": encode(self.records),
            "block_weights": self.block_weights,
            "best": {"epoch": self.best.epoch, "loss": self.best.loss, "tensors": self.best.tensors},
            "running": self.running.state_dict(),
            "patience": None if patience is None else patience.state_dict(),
            "clipped_steps": 0 if stepper is None else stepper.clipping.clipped_steps,
            "skipped_steps": 0 if stepper is None else stepper.skipped_steps,
            "observers": [observer.state_dict() for observer in self.observers],
        }

    def _take_up(self, state: dict[str, Any]) -> None:
        """Stand where the checkpoint stood; the observers and the random numbers follow once everybody is there."""
        known = state["loop"]
        grown = check_same(state["identity"], self.experiment)
        restore(self.experiment, state)
        self.step, self.epoch, self.batches_done = known["step"], known["epoch"], known["batches_done"]
        self.epoch_mean = EpochMean(known["epoch_total"], known["epoch_samples"])
        self.records = [decode(EpochRecord, record) for record in known["records"]]
        self.block_weights = known["block_weights"]
        self.best.epoch, self.best.loss, self.best.tensors = (known["best"][key] for key in ("epoch", "loss", "tensors"))
        self.running.load_state_dict(known["running"])
        if self.patience is not None:
            self.patience.load_state_dict(known["patience"])
        if self.stepper is not None:
            self.stepper.clipping.clipped_steps = known["clipped_steps"]
            self.stepper.skipped_steps = known["skipped_steps"]
        self.resumed_at = self.step
        self.stopped = None if known["stopped"] in ("interrupted", "timeout") else known["stopped"]
        if self.stopped == "finished" and grown:
            self._go_on_from_the_end()

    def _go_on_from_the_end(self) -> None:
        """The run was made longer: its last epoch is none now, and was measured only because it was."""
        if self.records and self.records[-1].step < self.epoch * self.steps_per_epoch:
            raise SpecError("the run was cut short within an epoch, from where it cannot be made longer; start a new run")
        self.stopped = None
        self.records = [
            record
            if self.remeasuring.due(record.epoch)
            else replace(record, train_loss=None, train_blocks=(), train_metrics=None)
            for record in self.records
        ]

    def _outcome(self) -> FitOutcome:
        stepper = self.stepper
        return FitOutcome(
            history=History(
                epochs=tuple(self.records),
                best_epoch=self.best.epoch,
                train_block_weights=self.block_weights["train"],
                val_block_weights=self.block_weights["val"],
            ),
            optimisation=describe_optimisation(
                self.experiment,
                clipped_steps=0 if stepper is None else stepper.clipping.clipped_steps,
                steps=self.step,
                epochs_run=len(self.records) if stepper is not None else 0,
                stopped=self.stopped or "interrupted",
            ),
            loss_trace=self.running.trace(),
            steps_planned=self.steps_planned,
            steps_per_epoch=self.steps_per_epoch,
            skipped_steps=0 if stepper is None else stepper.skipped_steps,
            remeasured_every=self.remeasuring.every,
            remeasured_samples=self.remeasuring.samples,
            resumed_at=self.resumed_at,
            best_weights=self.best.tensors,
            clock=self.clock,
        )
