"""Small runs that go bad, and what the hunt makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dltool.diagnostics.hunt.proof import Cause, find_cause
from dltool.diagnostics.hunt.samples import Responsible, responsible
from dltool.diagnostics.hunt.traced import trace
from dltool.specs.build.criterion import SumCriterion, UserTerm
from dltool.specs.factory_batches import FactoryBatches
from dltool.training.experiment import Batch, Experiment, TrainSettings
from dltool.training.patrol import Caught, Patrol


def run_of(
    model: nn.Module,
    batches: list[tuple[Any, Any]],
    loss: Callable[[Any, Any], Tensor],
    optimizer: Callable[[Any], torch.optim.Optimizer] = lambda parameters: torch.optim.SGD(parameters, lr=0.01),
    **settings: Any,
) -> Experiment:
    """An experiment over these very batches, in order."""
    return Experiment(
        name="run",
        target="run",
        model=model,
        train=FactoryBatches([Batch(*pair) for pair in batches], name="batches", seed=0, epoch_steps=None),
        val=None,
        criterion=SumCriterion("loss", {"loss": (UserTerm(loss), 1.0)}),
        optimizer=optimizer(list(model.parameters())),
        schedule=None,
        metrics=(),
        settings=TrainSettings(**{"epochs": 1, **settings}),
        task="regression",
        facts=None,
        seed=0,
        device=torch.device("cpu"),
    )


@contextmanager
def caught_in(experiment: Experiment) -> Iterator[Caught]:
    """The first step that goes bad."""
    with Patrol(experiment) as patrol:
        caught = patrol.next()
        assert caught is not None
        yield caught


def cause_of(experiment: Experiment) -> Cause:
    with caught_in(experiment) as caught:
        cause = find_cause(caught, trace(caught))
        assert cause is not None
        return cause


def blamed_in(experiment: Experiment) -> Responsible | None:
    with caught_in(experiment) as caught:
        cause = find_cause(caught, trace(caught))
        assert cause is not None
        return responsible(caught, cause)


def linear(inputs: int = 4, outputs: int = 2) -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(inputs, outputs)


def regression(batches: int = 3, samples: int = 8, inputs: int = 4, outputs: int = 2) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randn(samples, inputs, generator=generator), torch.randn(samples, outputs, generator=generator))
        for _ in range(batches)
    ]


def mse(output: Tensor, target: Tensor) -> Tensor:
    return (output - target).square().mean()


class Applied(nn.Module):
    """``function(layer, input)`` as a model."""

    def __init__(self, function: Callable[[nn.Linear, Any], Tensor], inputs: int = 4, outputs: int = 2) -> None:
        super().__init__()
        self.layer = linear(inputs, outputs)
        self._function = function

    def forward(self, given: Any) -> Tensor:
        return self._function(self.layer, given)
