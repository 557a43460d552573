"""Non-finite values met in a run: looked for at every look, and traced at the step whose loss went bad."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from torch import Tensor

from dltool.core.codec import decode, encode
from dltool.core.measured.non_finite import NonFinite, NonFiniteEvent
from dltool.probes.finite import is_finite
from dltool.probes.nonfinite import bad_buffers, bad_gradients, bad_parameters, event_at, holder, locate_bad_loss
from dltool.probes.preserve import TorchRandom
from dltool.training.experiment import Batch, Experiment

MOST_EVENTS = 8
"""Non-finite events kept: the first ones tell the story."""


class Incidents:
    """Collects the first place of each kind at which a value stopped being finite."""

    def __init__(self, experiment: Experiment) -> None:
        self._experiment = experiment
        self._model = experiment.model
        self._events: list[NonFiniteEvent] = []
        self._odd_buffers: tuple[str, ...] = ()

    def start(self) -> None:
        """Buffers that start out non-finite (a mask of -inf) are as they should be."""
        self._odd_buffers = tuple(bad_buffers(self._model))

    def look(self, step: int, gradient_norms: Sequence[float], parameters: Mapping[str, Tensor]) -> None:
        """Gradients, weights and buffers after the update: all at once, then one by one if there is something to find."""
        values = [tensor.detach() for tensor in parameters.values()] + list(self._model.buffers())
        if all(map(math.isfinite, gradient_norms)) and is_finite(values):
            return
        allow = self._experiment.allow_nonfinite
        gradients = bad_gradients(self._model, allow)
        weights = bad_parameters(self._model, allow)
        if gradients:
            self._report(event_at("backward", step, parameters[gradients[-1]].grad, **holder(gradients[-1])))
        elif weights:
            self._report(event_at("optimizer", step, parameters[weights[0]].detach(), **holder(weights[0])))
        buffers = dict(self._model.named_buffers())
        for name in bad_buffers(self._model, allow):
            if name not in self._odd_buffers:
                self._report(event_at("buffer", step, buffers[name], **holder(name)))

    def trace(
        self, step: int, batch: Batch, replay: TorchRandom | None, context: Callable[[], AbstractContextManager[object]]
    ) -> None:
        """Run a step whose loss is not finite again, to find where it went bad."""
        experiment = self._experiment
        self._report(
            locate_bad_loss(
                self._model,
                experiment.criterion,
                batch,
                step=step,
                replay=replay,
                allow=experiment.allow_nonfinite,
                context=context,
            )
        )

    def section(self) -> NonFinite:
        """Earliest first."""
        return NonFinite(events=tuple(self._events))

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs to go on bit for bit."""
        return {"events": encode(self.section()), "odd_buffers": list(self._odd_buffers)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what ``state_dict`` gave."""
        self._events = list(decode(NonFinite, state["events"]).events)
        self._odd_buffers = tuple(state["odd_buffers"])

    def _report(self, event: NonFiniteEvent) -> None:
        seen = {(e.phase, e.module, e.parameter) for e in self._events}
        if len(self._events) < MOST_EVENTS and (event.phase, event.module, event.parameter) not in seen:
            self._events.append(event)
