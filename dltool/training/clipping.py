"""Gradient clipping, and on how many steps it bit."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

COUNT_EVERY = 256
"""Norms are compared with the limit this many at a time: on a GPU every comparison would wait for the device."""


class Clipping:
    """By value first, then by the norm over all gradients; a step counts once, whichever of them bit."""

    def __init__(self, parameters: Sequence[nn.Parameter], clip_value: float | None, clip_norm: float | None) -> None:
        self._parameters = parameters
        self._value = clip_value
        self._norm = clip_norm
        self._largest: list[Tensor] = []
        self._norms: list[Tensor] = []
        self._counted = 0

    def __bool__(self) -> bool:
        return self._value is not None or self._norm is not None

    def apply(self, *, counted: bool = True) -> None:
        """Clip the gradients in place; ``counted`` is False for the further evaluations of a line search."""
        if self._value is not None:
            if counted:
                grads = [p.grad for p in self._parameters if p.grad is not None]
                self._largest.append(nn.utils.get_total_norm(grads, norm_type=torch.inf))
            nn.utils.clip_grad_value_(self._parameters, self._value)
        if self._norm is not None:
            norm = nn.utils.clip_grad_norm_(self._parameters, self._norm)
            if counted:
                self._norms.append(norm)
        if len(self._largest) == COUNT_EVERY or len(self._norms) == COUNT_EVERY:
            self._count()

    @property
    def clipped_steps(self) -> int:
        """Steps whose gradient was above a limit, or not a number."""
        self._count()
        return self._counted

    @clipped_steps.setter
    def clipped_steps(self, steps: int) -> None:
        self._largest, self._norms, self._counted = [], [], steps

    def _count(self) -> None:
        bites = [
            torch.stack(seen).le(limit).logical_not()
            for seen, limit in ((self._largest, self._value), (self._norms, self._norm))
            if seen and limit is not None
        ]
        if bites:
            self._counted += int(torch.stack(bites).any(dim=0).sum())
        self._largest, self._norms = [], []
