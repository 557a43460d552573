"""A zoo of steps that went bad, each with the place that a person would name, and some that only look bad."""

import math

import pytest
import torch
import torch.nn.functional as F
from losses import FunctionalLoss
from torch import nn
from traces import left_as_found

from dltool.probes.nonfinite import bad_buffers, bad_gradients, bad_parameters, locate_bad_loss
from dltool.probes.preserve import TorchRandom

NAN, INF = math.nan, math.inf


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def batch(samples=6):
    torch.manual_seed(1)
    return torch.randn(samples, 4), torch.randint(3, (samples,))


def locate(model, pair, criterion=None, **options):
    with left_as_found(model):
        return locate_bad_loss(model, criterion or FunctionalLoss(), pair, step=7, **options)


@pytest.mark.parametrize(("value", "kind"), [(NAN, "nan"), (INF, "inf")])
def test_input(value, kind):
    model, (x, y) = net(), batch()
    x[2, 1] = x[4, 0] = value
    event = locate(model, (x, y))
    assert (event.phase, event.value, event.count, event.samples, event.step) == ("input", kind, 2, (2, 4), 7)


def test_input_that_poisoned_the_running_statistics_is_still_the_input():
    model, (x, y) = net(), batch()
    x[0, 0] = NAN
    model(x)
    assert bad_buffers(model)
    assert locate(model, (x, y)).phase == "input"


def test_every_sample_bad():
    model, (x, y) = net(), batch()
    x[:, 0] = NAN
    event = locate(model, (x, y))
    assert (event.phase, event.samples) == ("input", (0, 1, 2, 3, 4, 5))


def test_target():
    model = nn.Linear(4, 1)
    x, _ = batch()
    y = torch.randn(6, 1)
    y[3] = NAN
    event = locate(model, (x, y), FunctionalLoss(F.mse_loss, "mse"))
    assert (event.phase, event.samples) == ("input", (3,))


def test_parameter_before_the_first_step():
    model, pair = net(), batch()
    with torch.no_grad():
        model[3].weight[1, 2] = NAN
    event = locate(model, pair)
    assert (event.phase, event.parameter, event.module, event.count, event.step) == ("parameter", "3.weight", "3", 1, 7)


def test_optimizer_of_the_step_before():
    model, pair = net(), batch()
    FunctionalLoss()(model(pair[0]), pair[1]).backward()
    with torch.no_grad():
        model[3].bias[0] = INF
    event = locate(model, pair)
    assert (event.phase, event.parameter, event.step, event.value) == ("optimizer", "3.bias", 6, "inf")


def test_backward_of_the_step_before():
    class Root(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.last = nn.Linear(4, 3), nn.Linear(3, 3)

        def forward(self, x):
            h = self.first(x)
            return self.last(torch.sqrt(h * 0))  # infinite slope times zero

    model, pair = Root(), batch()
    FunctionalLoss()(model(pair[0]), pair[1]).backward()
    assert set(bad_gradients(model)) == {"first.weight", "first.bias"}
    torch.optim.SGD(model.parameters(), 0.1).step()
    event = locate(model, pair)
    assert (event.phase, event.parameter, event.step) == ("backward", "first.bias", 6)


def test_buffer():
    model, pair = net().eval(), batch()
    model[1].running_var[3] = NAN
    event = locate(model, pair)
    assert (event.phase, event.parameter, event.module) == ("buffer", "1.running_var", "1")


class Odd(nn.Module):
    """Applies a function between two layers."""

    def __init__(self, function) -> None:
        super().__init__()
        self.before, self.after, self.function = nn.Linear(4, 4), nn.Linear(4, 3), function

    def forward(self, x):
        return self.after(self.function(self.before(x)))


class Inner(nn.Module):
    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FORWARD = [
    (lambda h: torch.log(h - h), "log"),
    (lambda h: torch.exp(h * 0 + 200), "exp"),
    (lambda h: h / (h - h), "div"),
    (lambda h: 1 / (h * 0), "div"),
    (lambda h: torch.softmax(h.masked_fill(torch.ones_like(h, dtype=torch.bool), -INF), 1), "softmax"),
    (lambda h: (h - 1e9).sqrt(), "sqrt"),
    (lambda h: F.batch_norm(h * INF, None, None, training=True), "mul"),
    (lambda h: h[:0].mean() + h, "mean"),
]


@pytest.mark.parametrize(("function", "op"), FORWARD)
def test_forward_in_the_users_own_code(function, op):
    event = locate(Odd(function), batch())
    assert (event.phase, event.module, event.op) == ("forward", "", op)


@pytest.mark.parametrize(("function", "op"), FORWARD)
def test_forward_in_a_submodule(function, op):
    event = locate(Odd(Inner(function)), batch())
    assert (event.phase, event.module, event.op, event.samples) == ("forward", "function", op, None)


def test_forward_names_the_samples():
    model = Odd(Inner(torch.log))
    with torch.no_grad():
        model.before.weight.copy_(torch.eye(4))
        model.before.bias.zero_()
    x, y = batch()
    x = x.abs() + 0.1
    x[4, 2] = -1.0
    event = locate(model, (x, y))
    assert (event.phase, event.module, event.op, event.samples, event.count) == ("forward", "function", "log", (4,), 1)


def test_an_overflow_that_is_undone_is_forgiven():
    def own_sigmoid(h):
        return 1 / (1 + torch.exp(-(h * 0 - 200)))

    event = locate(Odd(Inner(lambda h: torch.log(own_sigmoid(h)))), batch())
    assert event.op == "log"
    model = nn.Sequential(Inner(own_sigmoid), nn.Linear(4, 4), Inner(torch.log), nn.Linear(4, 3))
    event = locate(model, (-batch()[0].abs() * 100, batch()[1]))
    assert (event.module, event.op) == ("2", "log")


class Attention(nn.Module):
    """A causal mask of -inf, in a buffer, in a leaf of its own and in a function."""

    def __init__(self, poison=None) -> None:
        super().__init__()
        self.register_buffer("mask", torch.full((4, 4), -INF).triu(1))
        self.scores, self.head, self.poison = nn.Linear(4, 4), nn.Linear(4, 3), poison

    def forward(self, x):
        scores = self.scores(x).unsqueeze(1) + self.mask
        x = torch.softmax(scores, -1).mean(1)
        if self.poison is not None:
            x = self.poison(x)
        return self.head(x)


def test_masks_are_innocent():
    model = Attention(Inner(lambda h: torch.log(h - 5)))
    assert bad_buffers(model) == []
    event = locate(model, batch())
    assert (event.phase, event.module, event.op) == ("forward", "poison", "log")


def test_masks_in_the_input_are_innocent():
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(4, 3)

        def forward(self, pair):
            values, mask = pair
            return self.head(torch.softmax(values + mask, 1)) / 0

    x, y = batch()
    mask = torch.zeros(6, 4)
    mask[:, 3] = -INF
    event = locate(Masked(), ((x, mask), y))
    assert (event.phase, event.op) == ("forward", "div")


def test_an_unused_bad_buffer_or_parameter_is_innocent():
    model = Odd(Inner(lambda h: torch.log(h * 0)))
    model.register_buffer("best", torch.tensor(INF))
    model.register_parameter("spare", nn.Parameter(torch.tensor(NAN)))
    event = locate(model, batch())
    assert (event.phase, event.op) == ("forward", "log")


def test_allowed_names_are_passed_over():
    model, pair = net().eval(), batch()
    model[1].running_var[3] = NAN
    model[3].bias.data[0] = INF
    assert locate(model, pair, allow=("1.running_*",)).phase == "parameter"
    model[3].bias.data[0] = 0.0
    assert locate(model, pair, allow=("1.running_*",)).phase == "buffer"
    with torch.no_grad():
        model[0].weight[0] = NAN
    assert bad_parameters(model) == ["0.weight"]
    assert bad_parameters(model, ("0.*",)) == []


def test_loss_and_its_term():
    criterion = FunctionalLoss(
        name="sum", main=F.cross_entropy, aux=lambda output, target: torch.log((output * 0).sum()) + 0 * target.sum()
    )
    event = locate(net(), batch(), criterion)
    assert (event.phase, event.term, event.op) == ("loss", "aux", "log")


def test_loss_names_the_samples():
    model, (x, _) = nn.Linear(4, 3), batch()
    y = torch.zeros(6, 3)
    with torch.no_grad():
        model.weight.zero_()
        model.bias.copy_(torch.tensor([1e30, 0.0, 0.0]))
    y[2, 0] = -1e38
    event = locate(model, (x, y), FunctionalLoss(F.mse_loss, "mse"))
    assert event.phase == "loss"
    assert event.term == "mse"


def test_dropout_is_replayed_with_the_mask_of_the_step():
    model = nn.Sequential(nn.Dropout(0.5), Inner(lambda h: torch.log(h.sum(1, keepdim=True)) + h), nn.Linear(4, 3))
    x, y = torch.ones(1, 4), torch.zeros(1, dtype=torch.long)
    for seed in range(400):
        torch.manual_seed(seed)
        start = TorchRandom.capture(torch.device("cpu"))
        if not torch.isfinite(model(x)).all():
            break
    torch.manual_seed(12345)
    event = locate(model, (x, y), replay=start)
    assert (event.phase, event.module, event.op) == ("forward", "1", "log")


def test_a_step_that_cannot_be_repeated_still_gives_an_event():
    class Once(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(4, 3)

        def forward(self, x):
            return self.linear(x)

    assert locate(Once(), batch()).phase == "loss"


def test_a_batch_with_a_hidden_second_disease():
    model = Odd(Inner(lambda h: torch.log(h * 0)))
    x, y = batch()
    x[0, 0] = NAN
    event = locate(model, (x, y))
    assert (event.phase, event.module) == ("forward", "function")
