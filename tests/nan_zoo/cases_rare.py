"""Faults that wait: for a late step, for a random number, for one sample in thousands."""

import random

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from zoo_case import OPEN, faulty


@faulty(phase="forward", op="div", module="1", step=350, samples=(2,), steps=400)
def one_step_in_four_hundred():
    """A data set of 400 batches with a single empty sample."""

    class UnitNorm(nn.Module):
        def forward(self, x):
            return x / x.norm(dim=1, keepdim=True)  # born

    net = nn.Sequential(nn.Linear(4, 3, bias=False), UnitNorm(), nn.Linear(3, 2))
    batches = [(torch.randn(4, 4), torch.randint(0, 2, (4,))) for _ in range(400)]
    batches[350][0][2] = 0.0
    return {"model": net, "batches": batches, "loss": F.cross_entropy}


@faulty(phase="backward", op="SqrtBackward0", module=None, step=203, samples=OPEN, steps=240)
def pair_that_meets_in_the_seventh_epoch():
    """The loader is reshuffled by hand every epoch, and a pair of twins is compared only once."""

    def distance(output, target):
        a, b = output.chunk(2)
        return (((a - b) ** 2).sum(1).sqrt() - target).abs().mean()  # born

    def make(n):
        for step in range(n):
            x = torch.arange(24, dtype=torch.float32).view(6, 4).sin() * (step + 1)
            if step == 203:
                x[3] = x[0]
            yield x, torch.zeros(3)

    return {"model": nn.Linear(4, 3), "batches": make, "epoch_steps": 250, "loss": distance}


@faulty(phase="forward", op="log", module="gumbel", step=36, samples=None, steps=300)
def gumbel_noise_in_bfloat16():
    """-log(-log(u)) with u rounded to bfloat16: it is 1 once in five hundred draws, and the noise inf."""

    class Gumbel(nn.Module):
        def forward(self, logits):
            u = torch.rand(logits.shape).bfloat16()
            noise = -torch.log(-torch.log(u))  # born
            return torch.softmax((logits + noise) / 0.5, dim=1)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 3)
            self.gumbel = Gumbel()
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(self.gumbel(self.linear(x)))

    batches = [(torch.randn(3, 4), torch.randn(3, 1)) for _ in range(10)]
    return {"model": Net(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="div", module="", step=87, samples=OPEN, steps=200)
def word_dropout_of_every_word():
    """Word dropout by Python's own random numbers: now and then no word is left, and the mean divides by 0."""

    class Bag(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding = nn.Embedding(10, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, tokens):
            kept = torch.tensor([[float(random.random() > 0.4) for _ in row] for row in tokens])
            x = self.embedding(tokens) * kept.unsqueeze(-1)
            return self.head(x.sum(1) / kept.sum(1, keepdim=True))  # born

    batches = [(torch.randint(0, 10, (2, 4)), torch.randint(0, 2, (2,))) for _ in range(7)]
    return {"model": Bag(), "batches": batches, "loss": F.cross_entropy}


@faulty(phase="forward", op="log", module="", step=9, samples=None, steps=200)
def noise_from_numpy():
    """Augmentation inside the model with numpy's global generator, which draws a 0 in one of a hundred."""

    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 1)

        def forward(self, x):
            noise = torch.from_numpy(np.random.randint(0, 100, x.shape).astype(np.float32))  # noqa: NPY002
            return self.linear(x + 0.01 * torch.log(noise))  # born

    batches = [(torch.randn(2, 3), torch.randn(2, 1)) for _ in range(7)]
    return {"model": Noisy(), "batches": batches, "loss": F.mse_loss}


@faulty(phase="forward", op="div", module="", step=62, samples=None, steps=80)
def running_count_that_wraps():
    """An int8 counter in a buffer: the average of the last calls divides by a count that has wrapped to 0."""

    class Averaged(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 1)
            self.register_buffer("count", torch.zeros((), dtype=torch.int8))

        def forward(self, x):
            if self.training:
                self.count += 4
            return self.linear(x) / (self.count + 4)  # born

    batches = [(torch.randn(2, 3), torch.randn(2, 1)) for _ in range(7)]
    return {"model": Averaged(), "batches": batches, "loss": F.l1_loss}


@faulty(phase="forward", op="exp", module="", step=30, steps=60, samples=None)
def curriculum_in_the_loss_module():
    """A list in the model that grows by one at each call, and a weight exp(length) that overflows in the end."""

    class Curriculum(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 1)
            self.seen = []

        def forward(self, x):
            if self.training:
                self.seen.append(x.mean().item())
            difficulty = torch.tensor(3.0 * max(len(self.seen) - 1, 0))
            return torch.tanh(self.linear(x)) * torch.exp(difficulty) / torch.exp(difficulty)  # born

    batches = [(torch.randn(2, 3), torch.randn(2, 1)) for _ in range(4)]
    return {"model": Curriculum(), "batches": batches, "loss": F.mse_loss}
