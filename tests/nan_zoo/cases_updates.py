"""The update writes it: rates, denominators, decay; and runs that diverge step by step."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import OPEN, either, faulty


def _regression(width=3, steps=6, size=4):
    return [(torch.randn(size, width), torch.randn(size, 1)) for _ in range(steps)]


@faulty(phase="optimizer", parameter="embedding.weight", step=0, samples=None)
def adam_without_eps():
    """eps=0: rows of an embedding that the batch does not use have gradient 0, and 0 / 0 is what they get."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(20, 3)
            self.head = nn.Linear(3, 2)

        def forward(self, tokens):
            return self.head(self.embedding(tokens).mean(1))

    batches = [(torch.randint(0, 10, (4, 3)), torch.randint(0, 2, (4,))) for _ in range(3)]
    return {
        "model": Bag(),
        "batches": batches,
        "loss": F.cross_entropy,
        "optimizer": lambda p: torch.optim.Adam(p, lr=1e-3, eps=0.0),
    }


@faulty(phase="optimizer", parameter="0.weight", step=6, samples=None, steps=20)
def schedule_of_nan():
    """Cosine decay over total - warmup = 0 epochs, in numpy: 0 / 0 is NaN there, not an exception."""

    warmup, total = np.float64(2), np.float64(2)

    def cosine(epoch):
        if epoch < warmup:
            return (epoch + 1) / warmup
        return 0.5 * (1 + np.cos(math.pi * (epoch - warmup) / (total - warmup)))

    return {
        "model": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)),
        "batches": _regression(steps=3),
        "loss": F.mse_loss,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.01),
        "scheduler": lambda o: torch.optim.lr_scheduler.LambdaLR(o, cosine),
    }


@faulty(phase="optimizer", parameter="gate.weight", step=3)
def normalised_gradient_of_zero():
    """A hand-written optimizer that divides by the gradient's norm, and a head that a batch does not need."""

    class NormalisedSGD(torch.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        p.sub_(group["lr"] * p.grad / p.grad.norm())  # born

    class TwoTasks(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(3, 4)
            self.value = nn.Linear(4, 1)
            self.gate = nn.Linear(4, 1, bias=False)

        def forward(self, inputs):
            x, gated = inputs
            h = torch.tanh(self.body(x))
            return self.value(h) + gated * self.gate(h)

    batches = []
    for step in range(5):
        gated = torch.zeros(4, 1) if step == 3 else torch.ones(4, 1)
        batches.append(((torch.randn(4, 3), gated), torch.randn(4, 1)))
    return {"model": TwoTasks(), "batches": batches, "loss": F.mse_loss, "optimizer": lambda p: NormalisedSGD(p, lr=0.01)}


@faulty(phase="optimizer", parameter="weight", step=5, samples=None)
def optimizer_that_counts_to_the_end():
    """A linear decay inside the user's optimizer, lr / (total - t), which goes one step too far."""

    class Decaying(torch.optim.Optimizer):
        def __init__(self, params, lr, total):
            super().__init__(params, {"lr": lr})
            self.total = total
            self.t = torch.tensor(0.0)

        @torch.no_grad()
        def step(self, closure=None):
            rate = 1 / (self.total - self.t)
            for group in self.param_groups:
                for p in group["params"]:
                    p.sub_(group["lr"] * rate * p.grad)
            self.t += 1

    return {
        "model": nn.Linear(3, 1),
        "batches": _regression(),
        "loss": F.mse_loss,
        "optimizer": lambda p: Decaying(p, lr=1e-2, total=5),
    }


@faulty(phase="optimizer", parameter="embedding.weight", samples=None, step=127, steps=200)
def weight_decay_runaway():
    """AdamW with lr * weight_decay = 3: rows without a gradient double at every step, until they are inf."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(6, 2)
            self.head = nn.Linear(2, 1)
            nn.init.constant_(self.embedding.weight, 1.0)

        def forward(self, tokens):
            return torch.tanh(self.head(torch.tanh(self.embedding(tokens)).mean(1)))

    net = Bag()
    batches = [(torch.randint(0, 3, (4, 3)), torch.rand(4, 1)) for _ in range(5)]
    groups = [
        {"params": net.embedding.parameters(), "lr": 0.1, "weight_decay": 30.0},
        {"params": net.head.parameters(), "lr": 1e-3, "weight_decay": 0.0},
    ]
    return {"model": net, "batches": batches, "loss": F.mse_loss, "optimizer": torch.optim.AdamW(groups)}


@faulty(phase="optimizer", parameter="weight", step=2, samples=either((1,), None))
def second_moment_overflows():
    """A gradient of 1e21 is finite, its square is not: Adam's exp_avg_sq is inf, and this weight never moves again."""
    batches = _regression()
    batches[2][1][1] = -1e22
    return {
        "model": nn.Linear(3, 1, bias=False),
        "batches": batches,
        "loss": lambda output, target: (output * target).mean(),
        "optimizer": lambda p: torch.optim.Adam(p, lr=1e-3),
    }


@faulty(phase="backward", op="PowBackward0", module=None, step=2, samples=(2,))
def user_clip_after_an_infinite_slope():
    """Clipping by the norm in the user's optimizer spreads one bad gradient over all, it is not where it comes from."""

    class ClippedSGD(torch.optim.SGD):
        def step(self, closure=None):
            params = [p for group in self.param_groups for p in group["params"]]
            total = torch.sqrt(sum((p.grad**2).sum() for p in params))
            for p in params:
                p.grad.mul_(1.0 / total)
            super().step(closure)

    def root(output, target):
        return ((output.squeeze(1) - target).abs() ** 0.5).mean()  # born

    net = nn.Linear(3, 1)
    nn.init.zeros_(net.bias)
    batches = [(torch.randn(4, 3), torch.randn(4)) for _ in range(4)]
    batches[2][0][2] = 0.0
    batches[2][1][2] = 0.0
    return {"model": _NoBias(net), "batches": batches, "loss": root, "optimizer": lambda p: ClippedSGD(p, lr=0.01)}


class _NoBias(nn.Module):
    def __init__(self, linear):
        super().__init__()
        self.weight = nn.Parameter(linear.weight.detach().clone())

    def forward(self, x):
        return x @ self.weight.T


@faulty(phase="loss", op=either("mse_loss", "pow", "square"), module=None, samples=None, step=19, steps=120)
def learning_rate_too_high():
    """Least squares with a rate far above 2 / curvature: the error grows by the same factor at every step."""
    torch.manual_seed(3)
    x = torch.randn(32, 5)
    y = x @ torch.randn(5, 1)
    return {
        "model": nn.Linear(5, 1),
        "batches": [(x, y)],
        "loss": F.mse_loss,
        "optimizer": lambda p: torch.optim.SGD(p, lr=3.0),
    }


@faulty(phase=either("loss", "forward"), op=OPEN, samples=None, step=6, steps=60)
def deep_network_diverges():
    """Six layers without normalisation, momentum and a rate of 1."""
    torch.manual_seed(3)
    layers = []
    for _ in range(6):
        layers += [nn.Linear(8, 8), nn.ReLU()]
    x = torch.randn(64, 8)
    y = x.sum(1, keepdim=True) * 3
    return {
        "model": nn.Sequential(*layers, nn.Linear(8, 1)),
        "batches": list(zip(x.split(16), y.split(16), strict=True)),
        "loss": F.mse_loss,
        "optimizer": lambda p: torch.optim.SGD(p, lr=1.0, momentum=0.9),
    }


@faulty(phase=either("forward", "loss"), op=OPEN, samples=OPEN, step=4, steps=40)
def recurrent_network_diverges():
    """A relu RNN over 30 steps: its recurrent weights grow beyond 1, and the products with them."""
    torch.manual_seed(5)

    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn = nn.RNN(1, 6, nonlinearity="relu", batch_first=True)
            self.head = nn.Linear(6, 1)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    x = torch.rand(16, 30, 1)
    return {
        "model": Counter(),
        "batches": [(x, x.sum(1))],
        "loss": F.mse_loss,
        "optimizer": lambda p: torch.optim.SGD(p, lr=0.02),
    }


@faulty(phase="backward", op=OPEN, step=2)
def gradient_hook_that_normalises():
    """A tensor hook g / g.norm() on a weight that this batch does not touch."""

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = nn.Linear(3, 4)
            self.style = nn.Linear(4, 1, bias=False)
            self.value = nn.Linear(4, 1)
            self.style.weight.register_hook(lambda grad: grad / grad.norm())

        def forward(self, inputs):
            x, weight = inputs
            h = torch.tanh(self.body(x))
            return self.value(h) + weight * self.style(h)

    batches = []
    for step in range(4):
        weight = torch.zeros(4, 1) if step == 2 else torch.ones(4, 1)
        batches.append(((torch.randn(4, 3), weight), torch.randn(4, 1)))
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="optimizer", parameter="0.weight", step=4, samples=None, steps=10)
def bias_correction_of_a_beta_of_one():
    """A hand-written Adam whose warm-up of beta2 ends at 1: 1 - beta2 ** t is 0."""

    class Adam(torch.optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})
            self.betas = [0.9, 0.99, 0.999, 0.9999, 1.0]

        @torch.no_grad()
        def step(self, closure=None):
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    if not state:
                        state.update(t=0, v=torch.zeros_like(p))
                    beta = self.betas[min(state["t"], 4)]
                    state["t"] += 1
                    state["v"].mul_(beta).addcmul_(p.grad, p.grad, value=1 - beta)
                    correction = torch.tensor(1 - beta ** state["t"])
                    p.addcdiv_(p.grad, (state["v"] * correction).sqrt(), value=-group["lr"])

    return {
        "model": nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)),
        "batches": _regression(),
        "loss": F.mse_loss,
        "optimizer": lambda p: Adam(p, lr=1e-3),
    }
