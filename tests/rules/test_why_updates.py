"""Bad updates against what torch's optimizers really do, one by one and on lists of tensors."""

import math

import pytest
import torch
from torch import nn
from traced_events import updated, weights

from dltool.rules.nonfinite.why.case import Case
from dltool.rules.nonfinite.why.registry import explain

INF, NAN = math.inf, math.nan
HALF = torch.float16
ONE = weights(1.0)


def with_nan_rate(params):
    optimizer = torch.optim.SGD(params, lr=0.1)
    optimizer.param_groups[0]["lr"] = NAN
    return optimizer


ZERO_GRAD, SMALL = 0.0, 1e-3
UPDATES = {
    "lr is NaN": (with_nan_rate, ONE, 1.0, None, "bad-setting", "the learning rate is NaN"),
    "adam eps 0": (
        lambda p: torch.optim.Adam(p, eps=0),
        ONE,
        0.0,
        None,
        "eps-of-zero",
        "eps is 0, and so is the second moment",
    ),
    "adam half": (torch.optim.Adam, weights(1.0, dtype=HALF), 0.0, None, "eps-of-zero", "eps 1e-08 is 0 in float16"),
    "adam half small": (torch.optim.Adam, weights(1.0, dtype=HALF), 1e-5, None, "eps-of-zero", "0 in float16"),
    "adam half large": (torch.optim.Adam, weights(1.0, dtype=HALF), 3e4, None, "overflow", "the square of a gradient"),
    "adam large": (torch.optim.Adam, ONE, 1e30, None, "overflow", "the square of a gradient of 1e+30 overflows float32"),
    "adam negative": (torch.optim.Adam, ONE, 0.1, {"exp_avg_sq": -1.0}, "negative-second-moment", "cannot be negative"),
    "rmsprop eps 0": (lambda p: torch.optim.RMSprop(p, eps=0), ONE, 0.0, None, "eps-of-zero", "eps is 0"),
    "rmsprop centred": (
        lambda p: torch.optim.RMSprop(p, centered=True),
        ONE,
        1e-3,
        {"grad_avg": 1.0},
        "negative-second-moment",
        "centred",
    ),
    "adagrad eps 0": (lambda p: torch.optim.Adagrad(p, eps=0), ONE, 0.0, None, "eps-of-zero", "eps is 0"),
    "adadelta eps 0": (lambda p: torch.optim.Adadelta(p, eps=0), ONE, 0.0, None, "eps-of-zero", "eps is 0"),
    "sgd too long": (
        lambda p: torch.optim.SGD(p, lr=1e10),
        ONE,
        1e30,
        None,
        "overflow",
        "a rate of 1e+10 times a gradient of 1e+30",
    ),
    "sgd decay": (
        lambda p: torch.optim.SGD(p, lr=1e3, weight_decay=1e3),
        weights(1e35),
        0.1,
        None,
        "decay-runaway",
        "weight decay runs away",
    ),
    "adamw decay": (
        lambda p: torch.optim.AdamW(p, lr=1e3, weight_decay=1e3),
        weights(1e35),
        0.1,
        None,
        "decay-runaway",
        "it stood at 1e+35",
    ),
}


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("row", UPDATES.values(), ids=UPDATES)
def test_update(row, foreach):
    make, weight, gradient, state, mechanism, said = row

    def made(params):
        optimizer = make(params)
        optimizer.param_groups[0]["foreach"] = foreach
        return optimizer

    found = explain(Case(updated(made, weight, gradient, state=state)))
    assert (found.mechanism, said in found.cause) == (mechanism, True), found.cause
    assert found.advice


class TrustRatio(torch.optim.SGD):
    """LARS without the guard that it needs."""

    @torch.no_grad()
    def step(self):
        for weight in self.param_groups[0]["params"]:
            weight.sub_(weight.grad * (weight.norm() / weight.grad.norm()))


def test_an_optimizer_of_the_users_own_is_told_by_its_operators():
    found = explain(Case(updated(lambda p: TrustRatio(p, lr=0.1), weights(0.0, 0.0), 0.0)))
    assert (found.mechanism, found.cause.startswith("0 / 0 is NaN")) == ("divisor-of-zero", True)


class Clipped(torch.optim.SGD):
    """Clips in its own step."""

    @torch.no_grad()
    def step(self):
        nn.utils.clip_grad_norm_(self.param_groups[0]["params"], 1.0)
        super().step()


def test_clipping_by_an_infinite_norm():
    found = explain(Case(updated(lambda p: Clipped(p, lr=0.1), torch.ones(3), INF, at="mul")))
    assert found.mechanism == "clip-by-infinite-norm"
    assert "max_norm / Inf is 0" in found.cause
