# dltool gradcheck sample_configs/broken/relu_at_zero.py:make
# Expect: nondifferentiable-point
# Weights and biases at zero before a relu: the loss has a kink exactly where training would begin.
from __future__ import annotations

from typing import Any

import torch
from torch import nn


def make() -> dict[str, Any]:
    """A small classifier on two blobs."""
    labels = torch.arange(128) % 2
    inputs = torch.randn(128, 6) + 2.0 * labels.unsqueeze(1)
    first = nn.Linear(6, 16)
    nn.init.zeros_(first.weight)
    nn.init.zeros_(first.bias)
    return {
        "model": nn.Sequential(first, nn.ReLU(), nn.Linear(16, 2)),
        "batches": [(inputs[i : i + 32], labels[i : i + 32]) for i in range(0, 128, 32)],
        "loss": nn.CrossEntropyLoss(),
        "optimizer": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    }
