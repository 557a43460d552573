"""The gradients that an update is about to use: their norms, and which of them are not finite."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch._C import _len_torch_dispatch_stack
from torch._utils import _flatten_dense_tensors
from torch.utils._python_dispatch import _disable_current_modes

from dltool.probes.finite import has_nan, is_finite
from dltool.training.experiment import Experiment
from dltool.training.observer import Observer, StepInfo
from dltool.training.symptoms import names_of_updated

MOST_FLAT = 2**14
"""Up to so many elements it is quicker to put all gradients side by side than to take the norm of each."""


class Norms(NamedTuple):
    """The norm of each gradient of a step, worked out when it is asked for."""

    parameters: Sequence[Tensor]
    kept: Tensor
    """All gradients one after the other, or the norm of each."""
    flat: bool

    def tolist(self) -> list[float]:
        """In the order of ``parameters``."""
        if not self.flat:
            values: list[float] = self.kept.tolist()
            return values
        kept = self.kept.abs() if self.kept.is_complex() else self.kept
        parts = kept.split([parameter.numel() for parameter in self.parameters])  # type: ignore[no-untyped-call]
        return [norm.item() for norm in torch._foreach_norm(parts, dtype=torch.float64)]  # noqa: SLF001


class GradientWatch(Observer):
    """Looks at the gradients of the optimizer's parameters after backward, unscaled and before clipping."""

    def __init__(self, experiment: Experiment) -> None:
        self._names = names_of_updated(experiment)
        self._parameters = tuple(self._names)
        self._clamps = experiment.settings.clip_value is not None
        self._scaler = experiment.scaler
        self._plain = all(parameter.element_size() >= 4 for parameter in self._parameters)
        self._small = len({p.dtype for p in self._parameters}) == 1 and sum(map(Tensor.numel, self._parameters)) <= MOST_FLAT
        self.clear()

    def clear(self) -> None:
        """Before a step: nothing is known."""
        self.total = math.nan
        """Norm over all gradients."""
        self.norms: Norms | None = None
        self._bad: list[tuple[str, Tensor]] = []

    def backward_end(self, info: StepInfo) -> None:  # noqa: ARG002 - the hook's signature
        """One synchronisation; a norm that is not finite is looked into."""
        if _len_torch_dispatch_stack():  # a look at the gradients is no part of a step that is traced
            with _disable_current_modes():
                self._measure()
        else:
            self._measure()

    def _measure(self) -> None:
        given = [parameter.grad for parameter in self._parameters]
        grads = [grad for grad in given if grad is not None]
        if not grads:
            return
        present = self._parameters
        if len(grads) < len(given):
            present = tuple(parameter for parameter in present if parameter.grad is not None)
        self.norms = self._norms(present, grads)
        self.total = torch.linalg.vector_norm(self.norms.kept).item()
        if not math.isfinite(self.total):
            self._bad = self._look()
            if not self._bad:  # all are finite, and only their squares overflowed
                wide = [torch.linalg.vector_norm(_numbers(grad).abs(), dtype=torch.float64) for grad in grads]
                self.norms = Norms(present, torch.stack(wide), flat=False)
                self.total = torch.linalg.vector_norm(self.norms.kept).item()

    def _norms(self, parameters: Sequence[Tensor], grads: list[Tensor]) -> Norms:
        if self._plain:
            try:
                if self._small:
                    return Norms(parameters, _flatten_dense_tensors(grads), flat=True)  # type: ignore[no-untyped-call]
                return Norms(parameters, torch.stack(torch._foreach_norm(grads)), flat=False)  # noqa: SLF001
            except (NotImplementedError, RuntimeError):  # there are sparse ones among them
                self._plain = False
        return Norms(parameters, torch.stack(torch._foreach_norm([_numbers(grad) for grad in grads])), flat=False)  # noqa: SLF001

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
