"""More healthy factories: models and streams whose machinery is unusual, not whose training is ill."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint
from zoo.healthy_factories import CausalLanguageModel, Made, adam, batches, digits, mlp


def sparse_embedding() -> Made:
    """Embedding gradients that are sparse tensors."""
    count = 900
    topic = torch.randint(3, (count,))
    own = torch.rand(count, 12) < 0.5
    words = torch.where(own, topic[:, None] * 50 + torch.randint(50, (count, 12)), torch.randint(150, (count, 12)))
    model = nn.Sequential(nn.EmbeddingBag(500, 3, sparse=True))
    return batches(words, topic) | {"model": model, "optimizer": lambda p: torch.optim.SparseAdam(p, lr=2e-2)}


class Checkpointed(nn.Module):
    """Residual blocks whose activations are computed a second time in the backward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 48)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(48), nn.Linear(48, 48), nn.GELU()) for _ in range(4))
        self.head = nn.Linear(48, 10)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 8, 8) to (N, 10)."""
        hidden = self.stem(image.flatten(1))
        for block in self.blocks:
            hidden = hidden + checkpoint(block, hidden, use_reentrant=False)
        return self.head(hidden)


def checkpointed() -> Made:
    """Activation checkpointing."""
    return batches(*digits(), 64) | {"model": Checkpointed(), "optimizer": adam(2e-3)}


def parametrised() -> Made:
    """Spectral norm, weight norm, and ReLUs that write in place."""
    model = nn.Sequential(
        nn.Flatten(),
        nn.utils.parametrizations.spectral_norm(nn.Linear(64, 64)),
        nn.ReLU(inplace=True),
        nn.utils.parametrizations.weight_norm(nn.Linear(64, 64)),
        nn.ReLU(inplace=True),
        nn.Linear(64, 10),
    )
    return batches(*digits(), 64) | {"model": model, "optimizer": adam(3e-3)}


def natural_units() -> Made:
    """A target in degrees around 60 that the net fits all the same."""
    inputs = torch.randn(800, 5)
    target = 60.0 + 12.0 * (inputs @ F.normalize(torch.randn(5), dim=0))[:, None] + torch.randn(800, 1)
    model = nn.Sequential(nn.Linear(5, 32), nn.ReLU(), nn.Linear(32, 1))
    return batches(inputs, target) | {"model": model, "optimizer": adam(2e-2)}


def wide_language_model() -> Made:
    """Each letter has ten followers of twenty: even the best model takes only a quarter off the trivial loss."""
    words, length, count = 20, 16, 800
    followers = torch.stack([torch.randperm(words)[:10] for _ in range(words)])
    text = torch.randint(words, (count, 1))
    for _ in range(length):
        text = torch.cat([text, followers[text[:, -1]].gather(1, torch.randint(10, (count, 1)))], 1)
    model = CausalLanguageModel(words, 16, length)
    return batches(text[:, :-1], text[:, 1:]) | {"model": model, "loss": F.cross_entropy, "optimizer": adam(3e-3)}


def counts() -> Made:
    """Poisson regression."""
    inputs = torch.randn(1200, 4)
    rate = (0.5 + inputs @ (0.8 * F.normalize(torch.randn(4), dim=0))).exp()
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
    return batches(inputs, torch.poisson(rate)[:, None]) | {
        "model": model,
        "loss": nn.PoissonNLLLoss(),
        "optimizer": adam(5e-3),
    }


def warm_restarts() -> Made:
    """The rate jumps back up every few epochs (Loshchilov & Hutter 2017)."""
    return batches(*digits(), 64) | {
        "model": mlp(64, 10),
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
        "scheduler": lambda o: torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(o, T_0=6),
    }


class StochasticDepth(nn.Module):
    """Blocks that are left out at random (Huang et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(64, 48)
        self.blocks = nn.ModuleList(nn.Sequential(nn.LayerNorm(48), nn.Linear(48, 48), nn.ReLU()) for _ in range(8))
        self.head = nn.Linear(48, 10)

    def forward(self, image: Tensor) -> Tensor:
        """(N, 8, 8) to (N, 10)."""
        hidden = self.stem(image.flatten(1))
        for block in self.blocks:
            if self.training and bool(torch.rand(()) < 0.3):
                continue
            hidden = hidden + block(hidden) * (1.0 if self.training else 0.7)
        return self.head(hidden)


def stochastic_depth() -> Made:
    """Not every block has a gradient at every step."""
    return batches(*digits(), 64) | {"model": StochasticDepth(), "optimizer": adam(2e-3)}


class Experts(nn.Module):
    """Each sample goes to one of four experts by a fixed hash (Roller et al. 2021, hash layers)."""

    def __init__(self) -> None:
        super().__init__()
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)) for _ in range(4))

    def forward(self, image: Tensor) -> Tensor:
        """(N, 8, 8) to (N, 10)."""
        flat = image.flatten(1)
        choice = (flat.sum(1) * 16.0).round().long() % 4
        output = flat.new_zeros(len(flat), 10)
        for number, expert in enumerate(self.experts):
            rows = choice == number
            if bool(rows.any()):
                output[rows] = expert(flat[rows])
        return output


def mixture_of_experts() -> Made:
    """Small batches do not reach every expert."""
    return batches(*digits(), 8) | {"model": Experts(), "optimizer": adam(3e-3)}


def endless_stream() -> Made:
    """Fresh samples for ever, from a callable; the number of steps makes the epoch."""
    direction = torch.randn(10)

    def fresh(number: int) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(number):
            inputs = torch.randn(32, 10)
            yield inputs, (torch.sin(inputs @ direction) > 0.0).long()

    return {"model": mlp(10, 2), "batches": fresh, "val_batches": fresh, "epoch_steps": 100, "optimizer": adam(2e-3)}


class Attended(nn.Module):
    """Looks one of eight values up by its key: attention has to become all but one-hot."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(8, 32), nn.Linear(8, 32)
        self.softmax = nn.Softmax(-1)

    def forward(self, parts: dict[str, Tensor]) -> Tensor:
        """One value a sample."""
        scores = (self.key(parts["keys"]) @ self.query(parts["asked"])[..., None]).squeeze(-1)
        return (self.softmax(scores) * parts["values"]).sum(-1, keepdim=True)


def sharp_attention() -> Made:
    """A softmax that saturates because the answer is certain."""
    count, places = 1500, 8
    keys = torch.stack([torch.eye(8)[torch.randperm(8)] for _ in range(count)])
    place = torch.randint(places, (count,))
    values = torch.randn(count, places)
    inputs = {"keys": keys, "asked": keys[torch.arange(count), place], "values": values}
    return batches(inputs, values.gather(1, place[:, None])) | {"model": Attended(), "optimizer": adam(5e-3)}


UNUSUAL: dict[str, int] = {
    "sparse_embedding": 20,
    "checkpointed": 15,
    "parametrised": 15,
    "natural_units": 40,
    "wide_language_model": 15,
    "counts": 20,
    "warm_restarts": 18,
    "stochastic_depth": 15,
    "mixture_of_experts": 15,
    "endless_stream": 20,
    "sharp_attention": 20,
}
"""The factories and how many epochs each takes."""
