"""Factories whose data, model or optimizer have a state of their own that reading them could move."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset


class Counting(nn.Module):
    """Draws from a generator of its own at every call, and counts them."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.3), nn.Linear(16, 3))
        self.generator, self.calls = torch.Generator().manual_seed(5), 0

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        return self.body(x + 0.1 * torch.randn(x.shape, generator=self.generator) / self.calls)


def data(samples: int = 96) -> TensorDataset:
    generator = torch.Generator().manual_seed(1)
    return TensorDataset(torch.randn(samples, 4, generator=generator), torch.arange(samples) * 5 % 3)


def shuffled_loader() -> dict[str, Any]:
    loader = DataLoader(data(), batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(2))
    return {"model": Counting(), "batches": loader, "loss": nn.CrossEntropyLoss()}


def global_randomness() -> dict[str, Any]:
    return {"model": Counting(), "batches": DataLoader(data(), batch_size=16, shuffle=True), "loss": F.cross_entropy}


def one_shot_iterator() -> dict[str, Any]:
    return {"model": Counting(), "batches": iter(DataLoader(data(), batch_size=16)), "loss": nn.CrossEntropyLoss()}


def callable_batches() -> dict[str, Any]:
    def batches(count: int) -> Any:
        return ((torch.randn(16, 4), torch.randint(3, (16,))) for _ in range(count))

    model = Counting()
    optimizer = torch.optim.SGD(
        [{"params": model.body[0].parameters(), "lr": 0.05}, {"params": model.body[4].parameters()}], 0.01, 0.9
    )
    return {
        "model": model,
        "batches": batches,
        "epoch_steps": 6,
        "loss": {"main": nn.CrossEntropyLoss(), "small": lambda o, t: 1e-3 * o.square().mean()},
        "optimizer": optimizer,
        "scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 1),
    }


def refuses_fewer() -> dict[str, Any]:
    class Fixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.head = nn.Linear(4, 8), nn.Linear(8, 3)
            self.register_buffer("state", torch.zeros(16, 8))

        def forward(self, x: Tensor) -> Tensor:
            return self.head(torch.tanh(self.first(x) + self.state))

    return {"model": Fixed(), "batches": DataLoader(data(), batch_size=16), "loss": nn.CrossEntropyLoss()}


def raises_on_every_pass_but_the_first() -> dict[str, Any]:
    """The state that it raises on is put back after every trial, so that only a pass that dltool does not undo could."""

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.seen = nn.Linear(4, 3), 0

        def forward(self, x: Tensor) -> Tensor:
            self.seen += 1
            if self.seen > 1:
                raise RuntimeError("called twice")
            return self.head(x)

    return {"model": Twice(), "batches": DataLoader(data(), batch_size=16), "loss": nn.CrossEntropyLoss()}


def regression() -> dict[str, Any]:
    given = torch.randn(64, 4)
    batches = [(given[i : i + 16], given[i : i + 16].sum(1, keepdim=True)) for i in range(0, 64, 16)]
    return {"model": nn.Linear(4, 1), "batches": batches, "loss": nn.MSELoss(), "val_batches": batches[:1]}
