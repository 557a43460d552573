"""Small experiments to look for a rate in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from dltool.data.batches import Batches, Samples
from dltool.diagnostics.rate.find import Search, find
from dltool.specs.factory_parts import factory_criterion
from dltool.training.experiment import Experiment, TrainSettings
from dltool.training.progress import Silent
from dltool.training.stop import StopFlag


def net(outputs: int = 3, dropout: float = 0.1) -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(5, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout), nn.Linear(16, outputs))


def classes(samples: int = 128) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(1)
    labels = torch.randint(3, (samples,), generator=draw)
    return torch.randn(samples, 5, generator=draw) + 2.0 * nn.functional.one_hot(labels, 5), labels


def values(samples: int = 128) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(2)
    inputs = torch.randn(samples, 5, generator=draw)
    return inputs, (inputs @ torch.tensor([1.0, -2.0, 0.5, 0.0, 1.0]) + 0.1 * torch.randn(samples, generator=draw))[:, None]


def experiment(
    *,
    model: nn.Module | None = None,
    data: tuple[Tensor, Tensor] | None = None,
    loss: Any = None,
    optimizer: Callable[[Any], torch.optim.Optimizer] | None = lambda p: torch.optim.Adam(p, lr=1e-3),
    schedule: Any = None,
    batch_size: int = 16,
    seed: int = 0,
    **settings: Any,
) -> Experiment:
    """Classes from a small net with batch norm and dropout, where nothing else is asked for."""
    model = net() if model is None else model
    inputs, targets = classes() if data is None else data
    made = None if optimizer is None else optimizer(list(model.parameters()))
    return Experiment(
        name="rated",
        target="rated.py:experiment",
        model=model,
        train=Batches(Samples(inputs=inputs, targets=targets), batch_size=batch_size, seed=seed),
        val=None,
        criterion=factory_criterion(loss or nn.CrossEntropyLoss()),
        optimizer=made,
        schedule=None if schedule is None else schedule(made),
        metrics=(),
        settings=TrainSettings(**{"epochs": 5, **settings}),
        task="classification",
        facts=None,
        seed=seed,
        device=torch.device("cpu"),
    )


def searched(made: Experiment, steps: int | None = 20, stop: StopFlag | None = None) -> Search:
    return find(made, trial_steps=steps, progress=Silent(), stop=stop or StopFlag())
