import random

import numpy as np
import pytest
import torch
from torch import nn
from traces import left_as_found

from dltool.probes.preserve import TorchRandom, evaluating, preserved


class Messy(nn.Module):
    """Writes a buffer, replaces another, switches modes and draws from every generator."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.register_buffer("count", torch.zeros(()))
        self.register_buffer("replaced", torch.ones(2))

    def forward(self, x):
        self.count += 1
        self.replaced = self.replaced * 2
        self.norm.eval()
        noise = random.random() + np.random.rand() + torch.rand(1)  # noqa: NPY002
        return self.norm(self.linear(x)) + noise


@pytest.fixture
def model():
    torch.manual_seed(0)
    made = Messy()
    made.linear.eval()
    made.linear(torch.randn(4, 3)).sum().backward()
    return made


@pytest.mark.parametrize("block", [preserved, evaluating])
def test_everything_is_as_it_was(model, block):
    with left_as_found(model), block(model):
        model(torch.randn(5, 3))


@pytest.mark.parametrize("block", [preserved, evaluating])
def test_also_after_an_exception(model, block):
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = model

        def forward(self, x):
            return self.inner(x) @ x

    whole = Fails()
    with left_as_found(whole), pytest.raises(RuntimeError), block(whole):
        whole(torch.randn(5, 3))


def test_batch_norm_statistics_do_not_move():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout())
    with left_as_found(model), preserved(model):
        model(torch.randn(8, 2))


def test_replay_draws_the_same_dropout_mask():
    layer = nn.Dropout(0.5)
    start = TorchRandom.capture(torch.device("cpu"))
    first = layer(torch.ones(50))
    torch.rand(7)
    with preserved(layer, replay=start):
        again = layer(torch.ones(50))
    assert torch.equal(first, again)
    assert 0 < int((first == 0).sum()) < 50


def test_evaluating_turns_every_module_to_eval(model):
    with evaluating(model):
        assert not any(m.training for m in model.modules())
        assert not torch.is_grad_enabled()
