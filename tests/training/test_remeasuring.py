import math

import pytest
import torch
from torch import nn
from toys import blobs, experiment, mlp, same, weights

from dltool.training.evaluate import Evaluator
from dltool.training.forward_work import OPERATOR_FLOPS, ForwardWork, measure
from dltool.training.loop import fit
from dltool.training.remeasuring import SHARE, STEP_IN_FORWARDS, interval, plan

SIZES = {"epoch_batches": 45, "epoch_samples": 1437, "measured_batches": 2, "measured_samples": 360}


def test_a_linear_layers_work_is_two_flops_a_weight():
    toy = experiment(model=nn.Linear(5, 3, bias=False))
    work = measure(Evaluator(toy), toy.train)
    assert 2 * 15 <= work.flops_per_sample <= 2 * 15 + 60  # the loss and the metric add a few numbers a sample
    assert work.operators >= 2


class Last(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.head = layer, nn.Linear(32, 3)

    def forward(self, x):
        out = self.layer(x)
        return self.head((out[0] if isinstance(out, tuple) else out)[:, -1])


@pytest.mark.parametrize(
    ("layer", "weights_met"),
    [
        (lambda: nn.LSTM(8, 32, batch_first=True), 4 * 32 * (8 + 32)),
        (lambda: nn.GRU(8, 32, batch_first=True), 3 * 32 * (8 + 32)),
        (lambda: nn.RNN(8, 32, batch_first=True), 32 * (8 + 32)),
        (
            lambda: nn.Sequential(nn.Linear(8, 32), nn.TransformerEncoderLayer(32, 2, 64, batch_first=True)),
            8 * 32 + 4 * 32**2 + 2 * 32 * 64,
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*nested.*:UserWarning")
def test_layers_that_are_one_operator_count_too(layer, weights_met):
    steps = 10
    inputs = torch.randn(64, steps, 8)
    toy = experiment(
        model=Last(layer()),
        data=(inputs, torch.zeros(64, dtype=torch.long)),
        val=(inputs, torch.zeros(64, dtype=torch.long)),
    )
    work = measure(Evaluator(toy), toy.train)
    assert 0.8 < work.flops_per_sample / (2 * steps * weights_met) < 2.0


def test_counting_leaves_the_model_as_it_was():
    toy = experiment(model=mlp(dropout=0.5))
    before, state = weights(toy), torch.get_rng_state()
    plan(toy, Evaluator(toy))
    assert same(weights(toy), before)
    assert torch.equal(torch.get_rng_state(), state)
    assert toy.model.training


@pytest.mark.parametrize("overhead", [0.01, 0.05, 0.2, 1.0])
@pytest.mark.parametrize(
    "work", [ForwardWork(operators=8, flops_per_sample=1e4), ForwardWork(operators=30, flops_per_sample=1e8)]
)
def test_the_budget_holds_and_is_used(work, overhead):
    every = interval(work, **SIZES, overhead=overhead)
    epoch = STEP_IN_FORWARDS * (45 * work.operators * OPERATOR_FLOPS + 1437 * work.flops_per_sample)
    measured = 2 * work.operators * OPERATOR_FLOPS + 360 * work.flops_per_sample
    assert measured / every <= SHARE * overhead * epoch
    assert every == 1 or measured / (every - 1) > SHARE * overhead * epoch


def test_small_models_are_dominated_by_their_operators():
    """360 samples in 2 batches are as good as free beside 45 steps when an operator costs more than its arithmetic."""
    assert interval(ForwardWork(operators=10, flops_per_sample=1e3), **SIZES, overhead=0.05) == 1
    assert interval(ForwardWork(operators=10, flops_per_sample=1e9), **SIZES, overhead=0.05) == 5


@pytest.mark.parametrize("overhead", [0.0, -1.0, math.nan])
def test_no_overhead_means_never(overhead):
    assert interval(ForwardWork(operators=1, flops_per_sample=1), **SIZES, overhead=overhead) > 10**9


@pytest.mark.parametrize(("train", "val", "expected"), [(200, 60, 200), (1000, 60, 256), (1000, 400, 400)])
def test_as_many_samples_as_the_validation_split_has(train, val, expected):
    toy = experiment(data=blobs(train), val=blobs(val))
    assert plan(toy, Evaluator(toy)).samples == expected


def test_the_interval_does_not_depend_on_the_clock():
    runs = [fit(experiment(epochs=12, watch_overhead=0.02)) for _ in range(2)]
    assert runs[0].remeasured_every == runs[1].remeasured_every
    measured = [record.epoch for record in runs[0].history.epochs if record.train_loss is not None]
    every = runs[0].remeasured_every
    assert set(range(0, 12, every)) <= set(measured) <= {*range(0, 12, every), runs[0].history.best_epoch, 11}
