"""Small real experiments for the tests of the loop: a tensor source, a criterion, a model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dltool.training.experiment import Batch, Experiment, Metric, Schedule, TrainSettings

CPU = torch.device("cpu")


class TensorSource:
    """Two tensors, shuffled by (seed, epoch)."""

    def __init__(self, inputs: Any, targets: Any, batch_size: int, seed: int = 0) -> None:
        self.inputs, self.targets, self.seed = inputs, targets, seed
        self.samples: int | None = len(targets)
        self.batch_size: int | None = batch_size

    def __len__(self) -> int:
        return math.ceil(len(self.targets) / self.batch_size)

    def epoch(self, index: int, start: int = 0) -> Iterator[Batch]:
        order = torch.randperm(len(self.targets), generator=torch.Generator().manual_seed(1000 * self.seed + index))
        for rows in order.split(self.batch_size)[start:]:
            yield Batch(self.inputs[rows], self.targets[rows])

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Iterator[Batch]:
        order = torch.randperm(len(self.targets), generator=torch.Generator().manual_seed(self.seed))
        for rows in order[:limit].sort().values.split(batch_size or self.batch_size):
            yield Batch(self.inputs[rows], self.targets[rows])


class MeanLoss:
    """One torch functional with mean (or sum) reduction."""

    def __init__(
        self, function: Callable[..., Tensor] = F.cross_entropy, reduction: str = "mean", split: bool = True
    ) -> None:
        self.name = function.__name__
        self.terms: Mapping[str, float] = {self.name: 1.0}
        self.function, self.reduction, self.split = function, reduction, split

    def __call__(self, output: Any, target: Any) -> Tensor:
        return self.function(output, target, reduction=self.reduction)

    def term_values(self, output: Any, target: Any) -> Mapping[str, Tensor]:
        return {self.name: self(output, target)}

    def per_sample(self, output: Any, target: Any) -> Tensor | None:
        if not self.split:
            return None
        losses = self.function(output, target, reduction="none")
        return losses.reshape(len(losses), -1).mean(1)


class CountingLoss(MeanLoss):
    """Cross-entropy over tokens; -100 is padding."""

    def term_counts(self, target: Tensor) -> Mapping[str, float | None]:
        return {self.name: None if self.reduction == "sum" else float((target != -100).sum())}

    def per_sample(self, output: Any, target: Any) -> Tensor | None:
        losses = self.function(output, target, reduction="none").reshape(len(target), -1).sum(1)
        return losses * len(target) / (target != -100).sum()


def accuracy(output: Tensor, target: Tensor) -> tuple[float, int]:
    return float((output.argmax(1) == target).sum()), len(target)


def blobs(samples: int = 200, features: int = 5, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    centres = 2 * torch.randn(classes, features, generator=generator)
    labels = torch.randint(classes, (samples,), generator=generator)
    return centres[labels] + torch.randn(samples, features, generator=generator), labels


def mlp(features: int = 5, classes: int = 3, dropout: float = 0.0, seed: int = 0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers: list[nn.Module] = [nn.Linear(features, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(dropout)]
        return nn.Sequential(*layers, nn.Linear(16, classes))


def experiment(
    *,
    model: nn.Module | None = None,
    optimizer: Callable[[Any], torch.optim.Optimizer] | None = lambda p: torch.optim.Adam(p, lr=0.01),
    schedule: Callable[[torch.optim.Optimizer], Schedule] | None = None,
    data: tuple[Any, Any] | None = None,
    val: tuple[Any, Any] | None = None,
    batch_size: int = 32,
    criterion: Any = None,
    **settings: Any,
) -> Experiment:
    """A classifier on blobs, with what a test wants different."""
    model = model if model is not None else mlp()
    built = optimizer(model.parameters()) if optimizer is not None else None
    inputs, targets = data if data is not None else blobs()
    return Experiment(
        name="toy",
        target="toys.py:experiment",
        model=model,
        train=TensorSource(inputs, targets, batch_size),
        val=TensorSource(*(val if val is not None else blobs(60, seed=0)), batch_size),
        criterion=criterion or MeanLoss(),
        optimizer=built,
        schedule=schedule(built) if schedule is not None and built is not None else None,
        metrics=(Metric(name="accuracy", update=accuracy),) if criterion is None else (),
        settings=TrainSettings(**{"epochs": 3, **settings}),
        task="classification",
        facts=None,
        seed=7,
        device=CPU,
    )


def without_val(toy: Experiment) -> Experiment:
    return replace(toy, val=None)


def weights(toy: Experiment) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in toy.model.state_dict().items()}


def same(left: Mapping[str, Tensor], right: Mapping[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)
