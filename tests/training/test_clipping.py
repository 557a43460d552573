import math

import pytest
import torch
from torch import nn
from toys import experiment, mlp

from dltool.training import clipping
from dltool.training.clipping import Clipping
from dltool.training.loop import fit
from dltool.training.observer import Observer


def parameter(*gradient):
    p = nn.Parameter(torch.zeros(len(gradient)))
    p.grad = torch.tensor(gradient)
    return p


@pytest.mark.parametrize(
    ("gradient", "value", "norm", "expected", "bites"),
    [
        ((3.0, 4.0), None, 1.0, (0.6, 0.8), 1),
        ((3.0, 4.0), None, 5.0, (3.0, 4.0), 0),  # exactly at the limit
        ((3.0, 4.0), 3.5, None, (3.0, 3.5), 1),
        ((3.0, -4.0), 4.0, None, (3.0, -4.0), 0),  # exactly at the limit
        ((3.0, 4.0), 3.0, 100.0, (3.0, 3.0), 1),  # one of two bites
        ((3.0, 4.0), 3.0, 1.0, (math.sqrt(0.5), math.sqrt(0.5)), 1),  # both bite: one step
        ((math.nan, 4.0), None, 1.0, (math.nan, math.nan), 1),
        ((math.inf, 1.0), None, 1.0, (math.nan, 0.0), 1),
        ((math.nan, 1.0), 2.0, None, (math.nan, 1.0), 1),
        ((math.inf, 1.0), 2.0, None, (2.0, 1.0), 1),
    ],
)
def test_what_is_clipped_and_counted(gradient, value, norm, expected, bites):
    p = parameter(*gradient)
    clip = Clipping([p], value, norm)
    clip.apply()
    torch.testing.assert_close(p.grad, torch.tensor(expected), equal_nan=True)
    assert clip.clipped_steps == bites


def test_nothing_to_clip_is_false():
    assert not Clipping([], None, None)
    assert Clipping([], 1.0, None)
    assert Clipping([], None, 1.0)


def test_the_count_is_that_of_a_slow_look_at_every_step(monkeypatch):
    monkeypatch.setattr(clipping, "COUNT_EVERY", 4)  # so that a short run passes it several times
    slow = []

    class Looks(Observer):
        def backward_end(self, info):
            norm = torch.cat([p.grad.flatten() for p in toy.model.parameters()]).norm()
            largest = max(float(p.grad.abs().max()) for p in toy.model.parameters())
            clipped = (
                largest > 0.05
                or float(torch.cat([p.grad.flatten().clamp(-0.05, 0.05) for p in toy.model.parameters()]).norm()) > 0.2
            )
            slow.append(clipped)
            assert norm > 0

    toy = experiment(model=mlp(), clip_value=0.05, clip_norm=0.2, epochs=6)
    outcome = fit(toy, observers=[Looks()])
    assert 0 < sum(slow) < len(slow)
    assert outcome.optimisation.clipped_steps == sum(slow)
