# dltool gradcheck sample_configs/broken/wrong_backward.py:make
# Expect: gradient-mismatch
# A leaky relu of one's own, whose backward forgets the slope on the left.
from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Leaky(torch.autograd.Function):
    """max(x, 0.1 x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        """Element by element."""
        ctx.save_for_backward(x)
        return torch.where(x > 0, x, 0.1 * x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        """Wrong: 0 where it should be 0.1."""
        (x,) = ctx.saved_tensors
        return grad * (x > 0)


class LeakyRelu(nn.Module):
    """The module around it."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to the same shape."""
        out: Tensor = Leaky.apply(x)
        return out


def make() -> dict[str, Any]:
    """A small classifier on two blobs."""
    labels = torch.arange(128) % 2
    inputs = torch.randn(128, 6) + 2.0 * labels.unsqueeze(1)
    return {
        "model": nn.Sequential(nn.Linear(6, 16), LeakyRelu(), nn.Linear(16, 2)),
        "batches": [(inputs[i : i + 32], labels[i : i + 32]) for i in range(0, 128, 32)],
        "loss": nn.CrossEntropyLoss(),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    }
