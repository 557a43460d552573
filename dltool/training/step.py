"""One optimizer step: forward, loss, backward, clip, update, told to the observers in that order."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from dltool.core.errors import UserError
from dltool.training.clipping import Clipping
from dltool.training.counting import shares
from dltool.training.experiment import Batch, Experiment, Nested
from dltool.training.failure import explain
from dltool.training.observer import Observer, StepInfo
from dltool.training.penalties import MaxNorm, Penalties


class Stepper:
    """Everything a step needs, looked up once: a step of a small model takes 0.3 ms, of which Python may have 2 %."""

    def __init__(self, experiment: Experiment, observers: Sequence[Observer]) -> None:
        assert experiment.optimizer is not None
        settings = experiment.settings
        self._model = experiment.model
        self._criterion = experiment.criterion
        self._optimizer = experiment.optimizer
        scaler = experiment.scaler
        self._scaler = scaler if scaler is not None and scaler.is_enabled() else None
        self._takes_closure = needs_closure(experiment.optimizer)
        updated = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        self._updated = updated
        self.with_gradients = list({id(p): p for p in (*self._model.parameters(), *updated)}.values())
        """Parameters whose gradients are thrown away before every step."""
        self.clipping = Clipping(updated, settings.clip_value, settings.clip_norm)
        self._clips = bool(self.clipping)
        self._penalties = Penalties(self._model, settings.regularisation) or None
        self._max_norm = MaxNorm(self._model, settings.regularisation.max_norm) or None
        self._forward = with_precision(experiment, self._plain_forward)
        self._on_start = overriding(observers, "step_start")
        self._on_forward = overriding(observers, "forward_end")
        self._on_backward = overriding(observers, "backward_end")
        self._on_update = overriding(observers, "update_end")
        self._on_bad = overriding(observers, "bad_step")
        self.updated = False
        """Whether the last step moved the weights; a gradient scaler leaves out steps whose gradients overflowed."""
        self.skipped_steps = 0

    def take(self, info: StepInfo, batches: Sequence[Batch]) -> float:
        """Step on one batch, or on several as if they were one; the loss, before any update when it is not finite."""
        batch = batches[-1]
        self.updated = False
        for hook in self._on_start:
            hook(info, batch)
        loss = self._one(info, batch) if len(batches) == 1 else self._several(info, batches)
        if not math.isfinite(loss):
            return loss
        if self._scaler is not None and self._overflowed():
            self.skipped_steps += 1
        else:
            for hook in self._on_backward:
                hook(info)
            self._update(batches, loss)
            self.updated = True
            for hook in self._on_update:
                hook(info, batch, loss)
        return loss

    def _one(self, info: StepInfo, batch: Batch) -> float:
        output, loss = self._forward(batch)
        value: float = loss.item()
        if not math.isfinite(value):
            for hook in self._on_bad:
                hook(info, batch, output, loss)
            return value
        for hook in self._on_forward:
            hook(info, output, loss)
        self._clear_gradients()
        self._backward(loss)
        return value

    def _several(self, info: StepInfo, batches: Sequence[Batch]) -> float:
        total = 0.0
        cleared = False
        for batch, share in zip(batches, shares(self._criterion, batches), strict=True):
            if not share:
                continue
            output, loss = self._forward(batch, share)
            value: float = loss.item()
            if not math.isfinite(value):
                for hook in self._on_bad:
                    hook(info, batch, output, loss)
                return value
            if batch is batches[-1]:
                for hook in self._on_forward:
                    hook(info, output, loss)
            if not cleared:
                self._clear_gradients()
                cleared = True
            self._backward(loss)
            total += value
        if not cleared:  # nothing but padding: the gradients of the step before must not be used again
            self._clear_gradients()
        return total

    def _clear_gradients(self) -> None:
        for parameter in self.with_gradients:
            parameter.grad = None

    def _plain_forward(self, batch: Batch, share: dict[str, float] | None = None) -> tuple[Nested, Tensor]:
        try:
            output = self._model(batch.input)
            if share is None:
                return output, self._criterion(output, batch.target)
            weights = self._criterion.terms
            if len(share) == len(weights) and len(set(share.values())) == 1:
                return output, self._criterion(output, batch.target) * next(iter(share.values()))
            terms = self._criterion.term_values(output, batch.target)
            return output, torch.stack([weights[term] * part * terms[term] for term, part in share.items()]).sum()
        except UserError:
            raise
        except Exception as problem:
            raise explain(problem, "running the model and its loss on a training batch") from problem

    def _backward(self, loss: Tensor) -> None:
        if not loss.requires_grad:  # a loss cut off from every parameter trains nothing, which is for a rule to say
            return
        try:
            (loss if self._scaler is None else self._scaler.scale(loss)).backward()
        except Exception as problem:
            raise explain(problem, "computing the gradients") from problem

    def _overflowed(self) -> bool:
        """Unscale the gradients; when one is not finite let the scaler skip the step and lower its scale."""
        scaler: Any = self._scaler
        scaler.unscale_(self._optimizer)
        grads = [p.grad for p in self._updated if p.grad is not None]
        if all(bool(torch.isfinite(grad).all()) for grad in grads):
            return False
        scaler.step(self._optimizer)
        scaler.update()
        return True

    def _update(self, batches: Sequence[Batch], loss: float) -> None:
        self._shape_gradients()
        try:
            if self._takes_closure:
                self._optimizer.step(self._closure(batches, loss))
            elif self._scaler is None:
                self._optimizer.step()
            else:
                self._scaler.step(self._optimizer)
                self._scaler.update()
        except UserError:
            raise
        except Exception as problem:
            raise explain(problem, f"stepping the optimizer, {type(self._optimizer).__name__}") from problem
        if self._max_norm is not None:
            self._max_norm.apply()

    def _shape_gradients(self, *, counted: bool = True) -> None:
        if self._penalties is not None:
            self._penalties.apply()
        if self._clips:
            self.clipping.apply(counted=counted)

    def _closure(self, batches: Sequence[Batch], loss: float) -> Callable[[], float]:
        """What LBFGS calls again and again; its first call asks for what is already there.

        Its line search weighs the value against the slope, so here the penalties count in both.
        """
        penalty = self._penalties.value if self._penalties is not None else float
        known: list[float] = [loss + penalty()]

        def closure() -> float:
            if known:
                return known.pop()
            self._clear_gradients()
            total = 0.0
            parts = shares(self._criterion, batches) if len(batches) > 1 else [None]
            for batch, share in zip(batches, parts, strict=True):
                if share is None or share:
                    _, part = self._forward(batch, share)
                    self._backward(part)
                    total += part.item()
            self._shape_gradients(counted=False)
            return total + penalty()

        return closure


def needs_closure(optimizer: torch.optim.Optimizer) -> bool:
    """Whether ``step`` cannot be called without a closure, as with LBFGS."""
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    return closure is not None and closure.default is inspect.Parameter.empty


def with_precision(experiment: Experiment, forward: Callable[..., Any]) -> Callable[..., Any]:
    """``forward`` under autocast where the settings ask for bf16."""
    if experiment.settings.precision != "bf16":
        return forward
    autocast: Callable[..., Any] = torch.autocast(experiment.device.type, dtype=torch.bfloat16)(forward)
    return autocast


def overriding(observers: Sequence[Observer], hook: str) -> list[Callable[..., None]]:
    """The hooks that do something: an observer that left one empty costs nothing."""
    return [getattr(o, hook) for o in observers if getattr(type(o), hook) is not getattr(Observer, hook)]
