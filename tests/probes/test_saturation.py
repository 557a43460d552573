"""Each activation's idle values against autograd's derivative."""

import pytest
import torch
from torch import nn

from dltool.probes.saturation import FLAT_RATIO, JUDGES, NAMES, activation_name, judge_of

GRID = torch.linspace(-15, 15, 6001)
ELEMENTWISE = [
    nn.ReLU(), nn.ReLU6(), nn.Threshold(0.5, -2.0), nn.Sigmoid(), nn.Tanh(), nn.Hardtanh(-2.0, 1.0), nn.Hardsigmoid(),
    nn.Softsign(), nn.GELU(), nn.GELU(approximate="tanh"), nn.SiLU(), nn.Mish(), nn.Hardswish(), nn.ELU(0.7), nn.ELU(1.5),
    nn.SELU(), nn.CELU(1.3), nn.Softplus(beta=2.0), nn.LogSigmoid(),
]  # fmt: skip


def slope_of(module, x):
    x = x.double().clone().requires_grad_()
    (slope,) = torch.autograd.grad(module(x).sum(), x)
    return slope


@pytest.mark.parametrize("module", ELEMENTWISE, ids=repr)
def test_idle_is_what_autograd_says(module):
    judge = judge_of(module)
    slope = slope_of(module, GRID)
    largest = float(slope_of(module, torch.linspace(-30, 30, 240_001)).abs().max())
    limit = 0.0 if judge.state == "dead" else FLAT_RATIO * largest
    idle = judge.idle(module, module(GRID) if judge.sees == "output" else GRID)
    expected = slope.abs() <= limit
    near_limit = (slope.abs() - limit).abs() < 1e-3 * largest  # a kink or the limit itself: rounding decides
    assert torch.equal(idle[~near_limit | (judge.state == "dead")], expected[~near_limit | (judge.state == "dead")])
    assert idle.any()
    assert not idle.all()


@pytest.mark.parametrize("module", ELEMENTWISE, ids=repr)
def test_nan_is_never_idle(module):
    judge = judge_of(module)
    assert not judge.idle(module, torch.full((3,), torch.nan)).any()


def test_every_elementwise_judge_is_tested():
    assert {type(module) for module in ELEMENTWISE} | {nn.Softmax, nn.Softmax2d} == set(JUDGES)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_uniform_softmax_is_not_saturated(classes):
    module = nn.Softmax(1)
    assert not judge_of(module).idle(module, torch.full((4, classes), 1 / classes)).any()


def test_softmax_saturates_when_one_class_has_it_all():
    module = nn.Softmax(1)
    y = module(torch.tensor([[9.0, 0.0, 0.0], [4.0, 0.0, 0.0]]))
    largest_slope = (y * (1 - y)).max(1).values
    assert judge_of(module).idle(module, y)[:, 0].tolist() == (largest_slope < 0.0025).tolist() == [True, False]


def test_subclasses_and_strangers():
    class Mine(nn.ReLU):
        pass

    assert judge_of(Mine()) is JUDGES[nn.ReLU]
    assert judge_of(nn.LeakyReLU()) is None
    assert judge_of(nn.Linear(1, 1)) is None
    assert activation_name(Mine()) == "relu"
    assert activation_name(nn.Linear(1, 1)) is None


def test_names_are_torchs_own():
    assert all(hasattr(nn.functional, name) for name in NAMES.values())
