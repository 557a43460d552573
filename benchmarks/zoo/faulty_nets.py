"""Faults that only code can have, each a factory for ``dltool train``; its docstring says what is wrong.

``fault`` names the findings that may rightly come first ("refused": a clear message and no run).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from dltool.specs.factory import FactoryResult

DATA = Path(__file__).parents[2] / "sample_configs" / "data"
FAULTS: dict[str, tuple[str, ...]] = {}

Factory = Callable[[], FactoryResult]


def fault(*causes: str) -> Callable[[Factory], Factory]:
    """Register a factory under its name."""

    def register(factory: Factory) -> Factory:
        FAULTS[factory.__name__] = causes
        return factory

    return register


def digits(
    model: nn.Module, *, lr: float = 2e-3, batch_size: int = 64, scale: float = 1.0, shift: float = 0.0
) -> FactoryResult:
    """The digits, rows of 8 pixels with mean 0 and standard deviation 1 (then scaled and shifted)."""
    with np.load(DATA / "digits.npz") as stored:
        x, y = torch.from_numpy(stored["x"]).float(), torch.from_numpy(stored["y"])
    x = (x - x.mean()) / x.std() * scale + shift
    order = torch.randperm(len(y))
    train, val = order[:1400], order[1400:]
    return {
        "model": model,
        "batches": DataLoader(TensorDataset(x[train], y[train]), batch_size=batch_size, shuffle=True),
        "val_batches": DataLoader(TensorDataset(x[val], y[val]), batch_size=batch_size),
        "loss": nn.CrossEntropyLoss(),
        "optimizer": torch.optim.Adam(list(model.parameters()) or [torch.zeros(1, requires_grad=True)], lr=lr),
    }


def numbers(model: nn.Module, *, lr: float = 5e-3, column: bool = True) -> FactoryResult:
    """A smooth function of eight numbers; targets of shape (N, 1), or (N,) where not ``column``."""
    x = torch.randn(800, 8)
    y = torch.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3] + 0.1 * torch.randn(800, 1)
    y = y if column else y[:, 0]
    return {
        "model": model,
        "batches": DataLoader(TensorDataset(x[:600], y[:600]), batch_size=50, shuffle=True),
        "val_batches": DataLoader(TensorDataset(x[600:], y[600:]), batch_size=50),
        "loss": nn.MSELoss(),
        "optimizer": torch.optim.Adam(model.parameters(), lr=lr),
    }


def mlp(inputs: int = 64, outputs: int = 10) -> nn.Sequential:
    """A healthy net."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(inputs, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, outputs)
    )


class After(nn.Module):
    """``function`` after ``net``."""

    def __init__(self, net: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.net = net
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        """(N, ...) to what the function returns."""
        return self.function(self.net(x))


class Two(nn.Module):
    """A healthy net in two halves, joined by ``join``."""

    def __init__(self, join: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        self.join = join

    def forward(self, x: Tensor) -> Tensor:
        """(N, 8, 8) to (N, 10)."""
        return self.head(self.join(self.body(x)))


@fault("softmax-before-cross-entropy")
def softmax_in_forward() -> FactoryResult:
    """F.softmax at the end of forward, and cross-entropy."""
    return digits(After(mlp(), lambda z: F.softmax(z, dim=1)))


@fault("underfitting", "no-better-than-trivial", "not-converged")
def sigmoid_before_bce_with_logits() -> FactoryResult:
    """A sigmoid in forward, and a loss that applies another: the digits below five against the others."""
    made = digits(After(mlp(outputs=1), torch.sigmoid))
    for split in (made["batches"], made["val_batches"]):
        images, labels = split.dataset.tensors
        split.dataset.tensors = (images, (labels < 5).float().unsqueeze(1))
    made["loss"] = nn.BCEWithLogitsLoss()
    return made


@fault("batch-mixing", "softmax-before-cross-entropy")
def softmax_over_the_batch() -> FactoryResult:
    """Attention weights over samples: softmax over dimension 0."""
    return digits(Two(lambda h: h * F.softmax(h, dim=0) * 64))


@fault("batch-mixing")
def view_mixes_samples() -> FactoryResult:
    """A transpose done by view: features of neighbours change places."""
    return digits(Two(lambda h: h.t().reshape(h.shape)))


@fault("batch-mixing")
def norm_over_the_batch() -> FactoryResult:
    """A hand-made normalisation over the batch, in eval mode too."""
    return digits(Two(lambda h: (h - h.mean(0)) / (h.std(0, correction=0) + 1e-5)))


class TimeFirst(nn.Module):
    """An LSTM that takes samples for time steps."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, 48)
        self.head = nn.Linear(48, 10)

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, F) to (N, 10)."""
        return self.head(self.lstm(x)[0][:, -1])


@fault("batch-mixing")
def batch_first_forgotten() -> FactoryResult:
    """batch_first was not set."""
    return digits(TimeFirst())


@fault("parameter-without-gradient")
def detached_body() -> FactoryResult:
    """detach() on the way back."""
    return digits(Two(lambda h: h.detach()))


@fault("parameter-without-gradient")
def no_grad_body() -> FactoryResult:
    """A part of forward runs under no_grad."""

    class NoGrad(Two):
        def forward(self, x: Tensor) -> Tensor:
            with torch.no_grad():
                hidden = self.body(x)
            return self.head(hidden)

    return digits(NoGrad(lambda h: h))


@fault("parameter-not-optimised")
def head_not_in_optimizer() -> FactoryResult:
    """The optimizer was given one part of the model."""
    model = Two(lambda h: h)
    return {**digits(model), "optimizer": torch.optim.Adam(model.head.parameters(), lr=2e-3)}


@fault("parameter-not-optimised")
def layer_replaced_afterwards() -> FactoryResult:
    """The optimizer was built before a layer was replaced: it moves weights that are not in the model any more."""
    model = Two(lambda h: h)
    made = digits(model)
    model.head = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    return made


class InAList(nn.Module):
    """Layers in a plain list."""

    def __init__(self, *, head: bool) -> None:
        super().__init__()
        self.layers = [nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10)]
        self.head = nn.Linear(10, 10) if head else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 8, 8) to (N, 10)."""
        for layer in self.layers:
            x = layer(x)
        return self.head(x)


@fault("parameter-not-optimised")
def layers_in_a_plain_list() -> FactoryResult:
    """The body is in a Python list and never registered; only the head learns."""
    return digits(InAList(head=True))


@fault("parameter-not-optimised", "parameter-not-updated", "refused")
def everything_in_a_plain_list() -> FactoryResult:
    """The model has no parameter at all."""
    return digits(InAList(head=False))


@fault("parameter-not-updated")
def group_with_rate_zero() -> FactoryResult:
    """One group of the optimizer has a rate of zero."""
    model = Two(lambda h: h)
    groups = [{"params": model.body.parameters(), "lr": 0.0}, {"params": model.head.parameters()}]
    return {**digits(model), "optimizer": torch.optim.Adam(groups, lr=2e-3)}


@fault("ignores-input", "collapsed-representation", "parameter-not-updated")
def multiplied_by_zero() -> FactoryResult:
    """A mask that is always zero."""
    return digits(Two(lambda h: h * 0.0))


@fault("ignores-input", "collapsed-representation")
def wrong_variable() -> FactoryResult:
    """Forward goes on with a blank tensor instead of its input."""

    class Wrong(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp()

        def forward(self, x: Tensor) -> Tensor:
            return self.net(torch.ones_like(x))

    return digits(Wrong())


@fault("ignores-input", "collapsed-representation", "parameter-without-gradient")
def constant_branch() -> FactoryResult:
    """Forward returns a learnt constant; the rest of the net is not called."""

    class Branch(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = mlp()
            self.bias = nn.Parameter(torch.zeros(10))

        def forward(self, x: Tensor) -> Tensor:
            return self.bias.expand(len(x), -1)

    return digits(Branch())


@fault("non-finite-forward")
def log_of_zero() -> FactoryResult:
    """Log of a relu."""
    return digits(Two(torch.log))


class Scaled(Two):
    """Features are scaled by what ``function`` makes of a parameter that starts at zero."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(lambda h: h * (1 + function(self.scale)))
        self.scale = nn.Parameter(torch.zeros(64))


@fault("non-finite-backward")
def sqrt_at_zero() -> FactoryResult:
    """A sqrt at 0: finite forward, an infinite slope backward."""
    return digits(Scaled(torch.sqrt))


@fault("non-finite-backward")
def log_of_zero_behind_where() -> FactoryResult:
    """where() hides a log of zero in forward; backward meets it."""
    return digits(Scaled(lambda s: torch.where(s > 0, torch.log(s), torch.zeros_like(s))))


@fault("non-finite-forward")
def exp_overflows() -> FactoryResult:
    """An exp of inputs in the hundreds."""
    return digits(After(mlp(), lambda z: torch.exp(1000 * z)))


@fault("non-finite-loss")
def division_by_zero_in_loss() -> FactoryResult:
    """A loss that divides by the number of samples of a class, of which some batches have none."""
    made = digits(mlp(), batch_size=8)
    made["loss"] = _eights
    return made


def _eights(output: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(output, target) + F.cross_entropy(output[target == 8], target[target == 8])


@fault("non-finite-input")
def nan_in_a_batch() -> FactoryResult:
    """One sample of the data is NaN."""
    made = digits(mlp())
    made["batches"].dataset.tensors[0][77, 3, 3] = torch.nan
    return made


@fault("non-finite-parameter")
def inf_at_load() -> FactoryResult:
    """A weight is infinite from the start."""
    model = mlp()
    with torch.no_grad():
        model[3].weight[5, 7] = torch.inf
    return digits(model)


@fault("refused")
def batch_norm_of_one_sample() -> FactoryResult:
    """Batch norm over a batch of one."""
    return digits(
        nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.BatchNorm1d(32), nn.ReLU(), nn.Linear(32, 10)), batch_size=1
    )


@fault("refused")
def integer_target_for_mse() -> FactoryResult:
    """A loss for floats and integer classes."""
    made = digits(mlp(outputs=1))
    made["loss"] = nn.BCEWithLogitsLoss()
    return made


@fault("refused", "no-better-than-trivial", "ignores-input", "underfitting", "broadcast-loss")
def broadcast_targets() -> FactoryResult:
    """Outputs of shape (N, 1) against targets of shape (N,): the squared error of all pairs."""
    return numbers(mlp(8, 1), column=False)


@fault("exploding-gradient", "surprising-initial-loss")
def rnn_with_large_recurrence() -> FactoryResult:
    """Recurrent weights of 2.5 times an orthogonal matrix, over 64 pixels."""

    class Pixels(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.rnn = nn.RNN(1, 32, nonlinearity="relu", batch_first=True)
            self.head = nn.Linear(32, 10)
            nn.init.orthogonal_(self.rnn.weight_hh_l0, gain=2.5)

        def forward(self, x: Tensor) -> Tensor:
            return self.head(self.rnn(x.reshape(len(x), 64, 1))[0][:, -1])

    return digits(Pixels())


@fault("saturated-activation")
def saturated_attention() -> FactoryResult:
    """Queries and keys a hundred times too large: softmax picks one token and lets no gradient through."""

    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.project = nn.Linear(8, 24)
            self.softmax = nn.Softmax(dim=-1)
            self.head = nn.Linear(64, 10)
            with torch.no_grad():
                self.project.weight[:16] *= 100

        def forward(self, x: Tensor) -> Tensor:
            query, key, value = self.project(x).chunk(3, -1)
            return self.head((self.softmax(query @ key.mT) @ value).flatten(1))

    return digits(Attention(), lr=1e-4)


@fault("dead-relu")
def shifted_inputs() -> FactoryResult:
    """Inputs far below zero meet positive weights: nothing fires."""
    model = mlp()
    with torch.no_grad():
        model[1].weight.abs_()
    return digits(model, shift=-10.0)
