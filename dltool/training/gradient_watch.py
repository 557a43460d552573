"""The gradients that an update is about to use: their norms, and which of them are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from dltool.probes.finite import has_nan, is_finite
from dltool.training.experiment import Experiment
from dltool.training.observer import Observer, StepInfo
from dltool.training.symptoms import names_of_updated


class GradientWatch(Observer):
    """Looks at the gradients of the optimizer's parameters after backward, unscaled and before clipping."""

    def __init__(self, experiment: Experiment) -> None:
        self._names = names_of_updated(experiment)
        self._parameters = tuple(self._names)
        self._clamps = experiment.settings.clip_value is not None
        self._scaler = experiment.scaler
        self.clear()

    def clear(self) -> None:
        """Before a step: nothing is known."""
        self.total = math.nan
        """Norm over all gradients."""
        self.norms: Tensor | None = None
        """The norm of each gradient, for the parameters ``present``."""
        self.present: Sequence[Tensor] = ()
        self._bad: list[tuple[str, Tensor]] = []

    def backward_end(self, info: StepInfo) -> None:  # noqa: ARG002 - the hook's signature
        """One synchronisation; a norm that is not finite is looked into."""
        self.present = [parameter for parameter in self._parameters if parameter.grad is not None]
        if not self.present:
            return
        with _disable_current_modes():  # a look at the gradients is no part of the step that is traced
            given = [_numbers(parameter.grad) for parameter in self.present if parameter.grad is not None]
            self.norms = torch.stack(torch._foreach_norm(given))  # noqa: SLF001
            self.total = torch.linalg.vector_norm(self.norms).item()
            if not math.isfinite(self.total):
                self._bad = self._look()

    def bad(self) -> list[tuple[str, Tensor]]:
        """Gradients that are not finite, by name; an Inf does not count where clipping by value takes it away."""
        return self._bad

    def bad_though_unscaled(self) -> list[tuple[str, Tensor]]:
        """After a step that the scaler left out: gradients that are not finite although nothing scales them up."""
        scale = self._scaler.get_scale() / self._scaler.get_backoff_factor()
        return self._look() if scale <= 1.0 else []

    def names(self, parameters: Sequence[Tensor]) -> list[str]:
        """Their names."""
        return [self._names[parameter] for parameter in parameters]

    def _look(self) -> list[tuple[str, Tensor]]:
        is_good = _has_no_nan if self._clamps else is_finite
        given = [(name, p.grad) for p, name in self._names.items() if p.grad is not None]
        return [(name, grad) for name, grad in given if not is_good(grad)]


def _has_no_nan(value: Tensor) -> bool:
    return not has_nan(value)


def _numbers(grad: Tensor) -> Tensor:
    """What a norm can be taken of: the stored values of a sparse gradient, and floats whose squares do not overflow."""
    values = grad._values() if grad.is_sparse else grad  # noqa: SLF001 - coalescing costs more than it tells
    return values.float() if values.element_size() < 4 else values
