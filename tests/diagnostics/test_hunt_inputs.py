"""``pass_inputs``: which samples of a data set give NaN or Inf, without a step of training."""

import random

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dltool.core.errors import TargetError
from dltool.diagnostics.hunt.inputs import pass_inputs
from dltool.specs.build.criterion import SumCriterion
from dltool.specs.factory_batches import FactoryBatches
from dltool.specs.factory_parts import factory_criterion
from dltool.training import rng
from dltool.training.experiment import Experiment, TrainSettings
from dltool.training.stop import StopFlag

NAN, INF = float("nan"), float("inf")


def data(batches=4, samples=8, features=6):
    g = torch.Generator().manual_seed(0)
    return [
        (torch.randn(samples, features, generator=g), torch.randint(0, 3, (samples,), generator=g)) for _ in range(batches)
    ]


def experiment(model, batches, loss=F.cross_entropy, **settings):
    criterion = loss if isinstance(loss, SumCriterion) else factory_criterion(loss)
    return Experiment(
        name="x", target="x.py:make", model=model, val=None, criterion=criterion, optimizer=None, schedule=None, metrics=(),
        train=FactoryBatches(batches, name="batches", seed=0, epoch_steps=None),
        settings=TrainSettings(epochs=1, **settings), task="other", facts=None, seed=0, device=torch.device("cpu"),
    )  # fmt: skip


def passed(model, batches, loss=F.cross_entropy, **settings):
    """(batch, samples, phase, op) of every bad batch, and the sections."""
    seen, events = pass_inputs(experiment(model, batches, loss, **settings), progress=None, stop=StopFlag())
    assert [bad.batch for bad in seen.batches] == [event.step for event in events]
    return [(bad.batch, bad.samples, bad.phase, bad.op) for bad in seen.batches], seen, events


class Calls(nn.Module):
    """A linear layer on what a function makes of the input."""

    def __init__(self, function, features=6):
        super().__init__()
        self.function, self.linear = function, nn.Linear(features, 3)

    def forward(self, x):
        return self.linear(self.function(x))


def test_a_clean_data_set_has_no_bad_batch():
    found, seen, events = passed(nn.Linear(6, 3), data())
    assert (found, events) == ([], ())
    assert (seen.samples, seen.batches_passed) == (32, 4)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
@pytest.mark.parametrize("mixing", [False, True], ids=["", "batch-norm"])
def test_a_bad_value_as_delivered_is_named_in_its_row(value, mixing):
    batches = data()
    batches[2][0][5, 3] = value
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 3)) if mixing else nn.Linear(6, 3)
    found, _, (event,) = passed(model, batches)
    assert found == [(2, (5,), "input", None)]
    assert event.samples == (5,)


def test_a_bad_target_is_an_input_too():
    batches = [(x, x.sum(1, keepdim=True)) for x, _ in data()]
    batches[1][1][[0, 7]] = NAN
    assert passed(nn.Linear(6, 1), batches, F.mse_loss)[0] == [(1, (0, 7), "input", None)]


@pytest.mark.parametrize("rows", [(0,), (7,), (2, 3), (1, 4, 6), tuple(range(8))])
def test_samples_that_leave_the_domain_are_found_among_the_others(rows):
    batches = [(x.abs() + 0.1, y) for x, y in data()]
    batches[3][0][list(rows)] = 0.0
    found, _, (event,) = passed(Calls(torch.log), batches)
    assert found == [(3, rows, "forward", "log")]
    assert event.file is not None
    assert event.file.endswith("test_hunt_inputs.py")
    assert event.code == "return self.linear(self.function(x))"


def test_a_sample_that_only_the_loss_chokes_on():
    def loss(output, target):
        return (torch.sqrt(target) - output.squeeze(1)).pow(2).mean()

    batches = [(x, x[:, 0].abs()) for x, _ in data()]
    batches[0][1][3] = -1.0
    assert passed(nn.Linear(6, 1), batches, loss)[0] == [(0, (3,), "loss", "sqrt")]


def test_a_fault_that_all_samples_share_names_them_all():
    batches = data()
    batches[1] = (batches[1][0], torch.full((8,), -100))
    assert passed(nn.Linear(6, 3), batches)[0] == [(1, tuple(range(8)), "loss", "nll_loss")]


def test_a_batch_of_one_sample_names_it():
    batches = data(samples=1)
    batches[2][0][0, 0] = NAN
    assert passed(nn.Linear(6, 3), batches)[0] == [(2, (0,), "input", None)]


def test_sequence_first_inputs():
    g = torch.Generator().manual_seed(0)
    batches = [(torch.randn(9, 4, 6, generator=g), torch.randint(0, 3, (4,), generator=g)) for _ in range(3)]
    batches[1][0][2, 3, 0] = NAN
    assert passed(Calls(lambda x: x.mean(0)), batches)[0] == [(1, (3,), "input", None)]


@pytest.mark.parametrize(
    "function",
    [
        torch.nan_to_num,
        lambda x: torch.where(x.isnan(), 0.0, x),
        lambda x: x[:, 1:].repeat(1, 2)[:, :6],
    ],
    ids=["filled", "selected", "not read"],
)
def test_a_marker_that_reaches_neither_output_nor_loss_is_innocent(function):
    batches = data()
    batches[0][0][:, 0] = NAN
    batches[2][0][4, 0] = NAN
    assert passed(Calls(function), batches)[0] == []


def test_masked_logits_with_a_finite_loss_are_innocent():
    class Masked(nn.Linear):
        def forward(self, x):
            return super().forward(x).masked_fill(torch.tensor([False, False, True]), -INF)

    assert passed(Masked(6, 3), [(x, y % 2) for x, y in data()])[0] == []


def test_an_output_that_holds_nan_is_bad_even_where_the_loss_leaves_it_out():
    def loss(output, target):
        return F.cross_entropy(output[:4], target[:4])

    batches = [(x.abs() + 0.1, y) for x, y in data()]
    batches[1][0][6] = -1.0
    assert passed(Calls(torch.log), batches, loss)[0] == [(1, (6,), "forward", "log")]


def test_a_bad_weight_is_no_samples_fault():
    model = nn.Linear(6, 3)
    with torch.no_grad():
        model.weight[0, 0] = NAN
    found, _, events = passed(model, data(2))
    assert found == [(0, tuple(range(8)), "parameter", None), (1, tuple(range(8)), "parameter", None)]
    assert events[0].parameter == "weight"
    assert events[0].samples is None


def test_code_that_refuses_a_nan_is_told_by_its_sample():
    def loss(output, target):
        return -torch.distributions.Normal(output.squeeze(1), 1.0).log_prob(target).mean()

    batches = [(x, x[:, 0]) for x, _ in data()]
    batches[2][0][1, 1] = NAN
    assert passed(nn.Linear(6, 1), batches, loss)[0] == [(2, (1,), "input", None)]


@pytest.mark.parametrize("marked", [False, True], ids=["clean", "with an innocent NaN"])
def test_code_that_raises_for_another_reason_is_the_users_mistake(marked):
    def model(x):
        raise KeyError("no such layer")

    batches = data()
    if marked:
        batches[0][0][0, 0] = NAN
    with pytest.raises(TargetError, match="no such layer"):
        passed(Calls(model), batches)


def test_every_batch_starts_from_the_same_state_and_nothing_is_left_behind():
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
    model[1].eval()
    batches = data()
    batches[1][0][3] = NAN
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    generators = torch.get_rng_state(), random.getstate(), rng.capture(torch.device("cpu"))["numpy"][1]
    passed(model, batches)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert [module.training for module in model] == [True, False, True]
    assert all(p.grad is None for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), generators[0])
    assert random.getstate() == generators[1]
    assert torch.equal(rng.capture(torch.device("cpu"))["numpy"][1], generators[2])


def test_what_the_users_modules_count_and_write_is_as_it_was():
    class Counting(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 3)
            self.calls, self.seen, self.cache = 0, [], {"last": None}
            self.noise = torch.Generator().manual_seed(3)

        def forward(self, x):
            self.calls += 1
            self.seen.append(float(x.sum()))
            self.cache["last"] = x
            with torch.no_grad():
                self.linear.weight.clamp_(-0.1, 0.1)
            x.clamp_(-2.0, 2.0)
            return self.linear(x + self.calls + torch.rand(x.shape, generator=self.noise))

    lost = {"count": 0}

    def loss(output, target):
        lost["count"] += 1
        return F.cross_entropy(output, target)

    model, batches = Counting(), data()
    batches[1][0][3, 2] = NAN
    given = [x.clone() for x, _ in batches]
    before, drawn = model.linear.weight.clone(), model.noise.get_state()
    assert passed(model, batches, loss)[0] == [(1, (3,), "input", None)]
    assert (model.calls, model.seen, model.cache, lost) == (0, [], {"last": None}, {"count": 0})
    assert torch.equal(model.linear.weight, before)
    assert torch.equal(model.noise.get_state(), drawn)
    assert all(torch.equal(x.nan_to_num(), kept.nan_to_num()) for (x, _), kept in zip(batches, given, strict=True))


def test_a_model_that_goes_bad_at_its_third_call_is_not_called_thrice():
    class Worn(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear, self.calls = nn.Linear(6, 3), 0

        def forward(self, x):
            self.calls += 1
            return self.linear(x) / float(self.calls < 3)

    assert passed(Worn(), data())[0] == []


def test_a_loss_that_takes_gradients_itself():
    class Slope(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(6, 1)

        def forward(self, x):
            x = x.clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.linear(x).pow(2).sum(), x, create_graph=True)
            return slope.sum(1, keepdim=True)

    batches = [(x, x.sum(1, keepdim=True)) for x, _ in data()]
    batches[1][0][2, 2] = NAN
    assert passed(Slope(), batches, F.mse_loss)[0] == [(1, (2,), "input", None)]


def test_half_precision_overflows_as_it_would_in_training():
    batches = data()
    batches[3][0][0] = 3.4e38
    assert passed(nn.Linear(6, 3), batches, precision="bf16")[0] != []


def test_it_can_be_stopped_between_batches():
    stop = StopFlag()
    stop.interrupt()
    seen, events = pass_inputs(experiment(nn.Linear(6, 3), data()), progress=None, stop=stop)
    assert (seen.batches_passed, seen.samples, events) == (0, 0, ())


def test_a_random_search_agrees_with_trying_every_row_by_itself():
    """Rows that are bad alone, against the slow obvious computation."""
    generator = torch.Generator().manual_seed(3)
    for _ in range(20):
        x = torch.rand(8, 6, generator=generator) + 0.1
        bad = (torch.rand(8, generator=generator) < 0.3).nonzero().flatten().tolist()
        x[bad, 0] = -1.0
        model = Calls(lambda value: torch.sqrt(value).sum(1, keepdim=True).expand(-1, 6))
        found, *_ = passed(model, [(torch.ones(8, 6), torch.zeros(8).long()), (x, torch.zeros(8).long())])
        expected = [i for i in range(8) if not model(x[i : i + 1]).isfinite().all()]
        assert [list(rows) for _, rows, *_ in found] == ([expected] if expected else [])
