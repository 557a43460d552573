"""``--inputs-only``: every sample once through the model and its loss, without a step, and which of them give NaN or Inf.

The pass is that of training (training mode, gradients on, no augmentation), and every batch starts from the same moment:
weights, buffers, random numbers, whatever the user's modules count or cache. So what is said of a sample does not hang on
those before it, and nothing is left behind.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from dltool.core.errors import UserError
from dltool.core.measured.hunt import BadInput, BadInputs
from dltool.core.measured.non_finite import NonFiniteEvent
from dltool.diagnostics.hunt.code import line_of
from dltool.diagnostics.hunt.culprits import guilty_rows
from dltool.probes.finite import bad_rows, has_nan, is_finite
from dltool.probes.nested import batch_size, tensors, transform
from dltool.probes.nonfinite import event_at, locate_bad_loss
from dltool.probes.preserve import TorchRandom, preserved
from dltool.training import rng
from dltool.training.experiment import Batch, Experiment, Nested
from dltool.training.failure import explain
from dltool.training.modes import modes_kept, set_training
from dltool.training.moment import Moment, Position
from dltool.training.placement import placer
from dltool.training.progress import Progress, Silent
from dltool.training.stop import StopFlag

TICK_S = 0.1
DOING = "running the model and its loss on a batch"

REFUSED = re.compile(r"\b(nan|inf|infs|nans|non-?finite|invalid values)\b", re.IGNORECASE)
"""How torch words it when an operator refuses a value (distributions, multinomial, linalg)."""


def pass_inputs(
    experiment: Experiment, *, progress: Progress | None, stop: StopFlag
) -> tuple[BadInputs, tuple[NonFiniteEvent, ...]]:
    """Pass the training split through the model; the bad batches, and one event for each (``step`` counts batches).

    A sample is bad when the loss is not finite because of it, or when the output holds NaN: a NaN that marks a missing value
    and is selected away on the way is none, and neither is -inf among the logits of a finite loss.

    Raises:
        TargetError: the model or its loss raised, and not because of a value that is not finite.
    """
    progress = progress or Silent()
    bad: list[BadInput] = []
    events: list[NonFiniteEvent] = []
    passed = samples = 0
    with ExitStack() as scope:
        scope.callback(progress.close)
        scope.enter_context(modes_kept(experiment.model))
        scope.enter_context(rng.seeded(experiment.seed, experiment.device))
        set_training(experiment.model, experiment.kept_in_eval)
        trial = _Trial(experiment)
        progress.start(len(experiment.train))
        for index, batch in _watched(experiment, progress, stop):
            found = trial.examine(index, batch)
            if found is not None:
                bad.append(found[0])
                events.append(found[1])
            passed += 1
            samples += batch_size(batch.input) or 1
    return BadInputs(samples=samples, batches=tuple(bad), batches_passed=passed), tuple(events)


def _watched(experiment: Experiment, progress: Progress, stop: StopFlag) -> Iterator[tuple[int, Batch]]:
    """The placed batches, until somebody asks to stop."""
    place = placer(experiment.device, experiment.settings.precision)
    started_s = tick_s = time.monotonic()
    for index, batch in enumerate(experiment.train.fixed()):
        if stop.reason is not None:
            return
        yield index, batch if place is None else place(batch)
        if (now_s := time.monotonic()) >= tick_s + TICK_S:
            tick_s = now_s
            progress.advance(index + 1, None, (index + 1) / (now_s - started_s))


@dataclass(frozen=True, slots=True)
class _Passed:
    """What a batch gave: its output (None where the code raised) and whether that, or its loss, is bad."""

    output: Nested
    loss_is_bad: bool = False
    output_is_bad: bool = False
    error: Exception | None = None

    @property
    def bad(self) -> bool:
        return self.loss_is_bad or self.output_is_bad or self.error is not None


class _Trial:
    """Passes batches, each from the same state."""

    def __init__(self, experiment: Experiment) -> None:
        self._model, self._criterion = experiment.model, experiment.criterion
        self._allow = experiment.allow_nonfinite
        self._precision: Callable[[], AbstractContextManager[object]] = (
            (lambda: torch.autocast(experiment.device.type, dtype=torch.bfloat16))
            if experiment.settings.precision == "bf16"
            else nullcontext
        )
        self._start = TorchRandom.capture(experiment.device)
        self._moment = Moment(experiment, Position(step=0, epoch=0, batch=0))
        self._good: Batch | None = None

    def examine(self, index: int, batch: Batch) -> tuple[BadInput, NonFiniteEvent] | None:
        """None for a good batch."""
        passed = self._pass(batch)
        if not passed.bad:
            self._good = batch
            return None
        if passed.error is not None and not _is_refusal(batch, passed.error):
            raise explain(passed.error, DOING) from passed.error
        event = self._locate(index, batch, passed)
        if event.phase in {"parameter", "buffer"}:  # no sample is to blame
            return _bad_input(event, tuple(range(batch_size(batch.input) or 1))), event
        guilty = guilty_rows(batch, self._suspects(batch, passed), self._good, lambda changed: self._pass(changed).bad)
        if passed.error is not None and not guilty:
            raise explain(passed.error, DOING) from passed.error
        event = replace(event, samples=guilty or None, code=line_of(event.file, event.line))
        return _bad_input(event, guilty), event

    def _pass(self, batch: Batch) -> _Passed:
        try:
            with self._as_found(), preserved(self._model, replay=self._start), self._as_in_training():
                output = self._model(transform(batch.input, torch.clone))
                loss = self._criterion(output, batch.target)
        except UserError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the user's code, and may have choked on a NaN
            return _Passed(None, error=error)
        output = transform(output, lambda tensor: tensor.detach())
        return _Passed(output, loss_is_bad=not is_finite(loss.detach()), output_is_bad=has_nan(output))

    @contextmanager
    def _as_found(self) -> Iterator[None]:
        """Whatever the block changes, all is as it was before the first batch."""
        try:
            yield
        finally:
            self._moment.restore()

    @contextmanager
    def _as_in_training(self) -> Iterator[None]:
        """Gradients on: a model or loss may take some itself."""
        with torch.enable_grad(), self._precision():
            yield

    def _suspects(self, batch: Batch, passed: _Passed) -> tuple[int, ...]:
        """Rows that look bad: in the batch itself, else in what came out of it."""
        samples = batch_size(batch.input)
        rows = bad_rows(tuple(batch), samples)
        if rows or passed.error is not None:
            return rows
        with self._as_found(), preserved(self._model), self._precision():
            losses = self._criterion.per_sample(passed.output, batch.target)
        return tuple(sorted({*bad_rows(passed.output, samples), *bad_rows(losses, samples)}))

    def _locate(self, index: int, batch: Batch, passed: _Passed) -> NonFiniteEvent:
        """Where the first bad value of this batch was born."""
        if passed.error is not None:
            given = tuple(batch)
            return event_at("input", index, given) if not is_finite(given) else _refused_at(index)
        with self._as_found():
            return locate_bad_loss(
                self._model,
                self._criterion if passed.loss_is_bad else _OutputAsLoss(),
                Batch(transform(batch.input, torch.clone), batch.target),
                step=index,
                replay=self._start,
                allow=self._allow,
                context=self._as_in_training,
            )


class _OutputAsLoss:
    """Bad when the output holds NaN: for batches whose loss came out finite nevertheless."""

    name = "output"

    def __call__(self, output: Nested, target: Nested) -> Tensor:  # noqa: ARG002 - the signature of a loss
        computed = (tensor for tensor in tensors(output) if tensor.is_floating_point())
        return torch.stack([torch.where(t.isnan(), t, torch.zeros_like(t)).sum() for t in computed]).sum()

    def term_values(self, output: Nested, target: Nested) -> Mapping[str, Tensor]:  # noqa: ARG002
        return {}

    def per_sample(self, output: Nested, target: Nested) -> None:
        """An output has no loss by sample."""


def _bad_input(event: NonFiniteEvent, samples: tuple[int, ...]) -> BadInput:
    return BadInput(batch=event.step, samples=samples, phase=event.phase, op=event.op, module=event.module)


def _is_refusal(batch: Batch, error: Exception) -> bool:
    """Whether the code raised because of a value that is not finite."""
    return not is_finite(tuple(batch)) or REFUSED.search(str(error)) is not None


def _refused_at(index: int) -> NonFiniteEvent:
    return NonFiniteEvent(phase="forward", step=index, value="nan", count=1)
