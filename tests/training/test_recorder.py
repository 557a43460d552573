"""The recorder in real runs: what it says against a slow loop, and that it leaves no trace."""

import math
import pickle

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from toys import MeanLoss, blobs, experiment, mlp, same, weights

from dltool.core.codec import dumps
from dltool.core.measured.non_finite import NonFinite
from dltool.core.measured.training import GradientTrace, Layers, Parameters, StepGains, Symmetry, Watch
from dltool.core.measurements import Measurements
from dltool.training import state_file
from dltool.training.experiment import Regularisation
from dltool.training.loop import fit
from dltool.training.observer import Observer
from dltool.training.recorder import Recorder


def recorded(toy, *more):
    recorder = Recorder(toy)
    fit(toy, observers=[recorder, *more])
    return Measurements(recorder.sections())


def report(measured):
    return dumps(measured.to_dict())


def layer(measured, name):
    return next(record for record in measured[Layers].layers if record.name == name)


def parameter(measured, name):
    return next(record for record in measured[Parameters].parameters if record.name == name)


VARIANTS = {
    "plain": {},
    "dropout": {"model": lambda: mlp(dropout=0.5)},
    "bf16": {"precision": "bf16"},
    "fp64": {"precision": "fp64"},
    "accumulate": {"accumulate": 3},
    "clipped": {"clip_norm": 0.1, "clip_value": 0.05},
    "penalised": {"regularisation": Regularisation(l1=1e-3, l2=1e-2, max_norm=1.0)},
    "lbfgs": {"optimizer": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=3)},
}


def variant(name, **more):
    options = {**VARIANTS[name], **more}
    made = options.pop("model", None)
    return experiment(model=made() if made else None, **options)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_watched_run_is_the_run_that_was_not_watched(name):
    bare, watched = variant(name), variant(name)
    fit(bare)
    measured = recorded(watched)
    assert same(weights(bare), weights(watched))
    assert measured[Watch].looks > 5
    assert measured[NonFinite].events == ()
    assert all(not vars(m)["_forward_hooks"] and not vars(m)["_forward_pre_hooks"] for m in watched.model.modules())
    pickle.dumps(watched.model)


@pytest.mark.parametrize("name", VARIANTS)
def test_the_same_run_twice_gives_the_same_bytes(name):
    assert report(recorded(variant(name))) == report(recorded(variant(name)))


class Slow(Observer):
    """The obvious way: copies of everything at every step."""

    def __init__(self, toy):
        self.toy, self.rows = toy, []

    def step_start(self, info, batch):
        self.random = torch.get_rng_state()

    def backward_end(self, info):
        self.before = {n: p.detach().double().clone() for n, p in self.toy.model.named_parameters()}
        self.gradients = {n: p.grad.double().clone() for n, p in self.toy.model.named_parameters()}

    def update_end(self, info, batch, loss):
        change = {n: p.detach().double() - self.before[n] for n, p in self.toy.model.named_parameters()}
        kept, buffers = torch.get_rng_state(), {n: b.clone() for n, b in self.toy.model.named_buffers()}
        torch.set_rng_state(self.random)
        with torch.no_grad():
            after = float(F.cross_entropy(self.toy.model(batch.input), batch.target))
        torch.set_rng_state(kept)
        for n, b in self.toy.model.named_buffers():
            b.copy_(buffers[n])
        self.rows.append(
            {
                "step": info.step,
                "gradient": {n: float(g.norm()) for n, g in self.gradients.items()},
                "total": math.sqrt(sum(float(g.square().sum()) for g in self.gradients.values())),
                "ratio": {n: float(change[n].norm() / w.norm()) if w.any() else None for n, w in self.before.items()},
                "predicted": sum(float((self.gradients[n] * c).sum()) for n, c in change.items()),
                "actual": after - loss,
            }
        )


@pytest.mark.parametrize("name", ["plain", "dropout", "clipped", "penalised"])
def test_numbers_against_a_slow_loop(name):
    toy = variant(name, watch_every=4)
    slow = Slow(toy)
    measured = recorded(toy, slow)
    rows = [row for row in slow.rows if row["step"] % 4 == 0]
    trace = measured[GradientTrace]
    assert trace.steps == tuple(row["step"] for row in rows)
    assert trace.norms == pytest.approx([row["total"] for row in rows])
    for record in measured[Parameters].parameters:
        series = [row["gradient"][record.name] for row in rows]
        found = record.gradient_norm
        assert [found.first, found.last, found.minimum, found.maximum] == pytest.approx(
            [series[0], series[-1], min(series), max(series)]
        )
        assert record.gradient_rms.first == pytest.approx(series[0] / math.sqrt(math.prod(record.shape)))
        ratios = [row["ratio"][record.name] for row in rows if row["ratio"][record.name] is not None]
        assert [record.update_ratio.first, record.update_ratio.last] == pytest.approx([ratios[0], ratios[-1]], rel=1e-4)
        assert record.update_ratio.count == len(ratios)
    gains = measured[StepGains].gains
    assert [gain.predicted_change for gain in gains] == pytest.approx([row["predicted"] for row in rows], rel=1e-4)
    assert [gain.actual_change for gain in gains] == pytest.approx([row["actual"] for row in rows], abs=1e-6)


def test_layers_in_order_with_their_parameters_joined():
    measured = recorded(experiment())
    records = measured[Layers].layers
    assert [(r.name, r.kind, r.activation, r.output_shape, r.depth) for r in records] == [
        ("0", "Linear", None, (16,), 0),
        ("1", "BatchNorm1d", None, (16,), 1),
        ("2", "ReLU", "relu", (16,), 2),
        ("3", "Dropout", None, (16,), 3),
        ("4", "Linear", None, (3,), 4),
    ]
    assert [r.is_output for r in records] == [False] * 4 + [True]
    weight, bias = parameter(measured, "0.weight").gradient_norm.first, parameter(measured, "0.bias").gradient_norm.first
    assert records[0].gradient_norm.first == pytest.approx(math.hypot(weight, bias))
    assert (records[0].parameters, records[2].parameters, records[2].gradient_norm) == (96, 0, None)


def test_gains_are_left_out_when_a_step_has_several_batches():
    measured = recorded(variant("accumulate"))
    assert measured[StepGains].gains == ()
    assert measured[GradientTrace].steps != ()


def test_dead_and_sparse_and_saturated_units():
    model = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 3))
    with torch.no_grad():
        model[0].weight[:2] = 0.0
        model[0].bias[:2] = -1.0
        model[2].bias[0] = 40.0
    toy = experiment(model=model, data=blobs(400), optimizer=lambda p: torch.optim.SGD(p, lr=1e-5))
    measured = recorded(toy)
    dead, saturated = layer(measured, "1").dead, layer(measured, "3").saturated
    assert (dead.share, dead.lower, dead.units, dead.examples) == (2 / 6, 2 / 6, 6, (0, 1))
    assert dead.observations == 320
    assert saturated.share == saturated.lower >= 0.25
    assert 0 in saturated.examples
    assert 0.25 <= layer(measured, "3").saturated_values < 1
    assert layer(measured, "1").saturated is layer(measured, "3").dead is None


def test_gates_of_a_recurrent_layer():
    class Reader(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.head = nn.LSTM(5, 4, batch_first=True), nn.Linear(4, 3)

        def forward(self, x):
            return self.head(self.lstm(x.unsqueeze(1).expand(-1, 6, -1))[0][:, -1])

    model = Reader()
    with torch.no_grad():
        model.lstm.bias_ih_l0[4:8] = 30.0  # forget gates always open
    measured = recorded(experiment(model=model, optimizer=lambda p: torch.optim.SGD(p, lr=1e-5)))
    found = layer(measured, "lstm")
    assert (found.saturated.units, found.saturated.share, found.saturated.examples) == (16, 0.25, (4, 5, 6, 7))


def test_frozen_unused_and_forgotten_parameters():
    class Branches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.frozen, self.used, self.unused, self.forgotten = (nn.Linear(5, 5) for _ in range(4))
            self.head = nn.Linear(5, 3)
            self.frozen.requires_grad_(requires_grad=False)

        def forward(self, x):
            return self.head(self.forgotten(self.used(self.frozen(x))))

    def optimizer(_):
        return torch.optim.Adam([p for n, p in model.named_parameters() if "forgotten" not in n], lr=0.01)

    model = Branches()
    measured = recorded(experiment(model=model, optimizer=optimizer))
    found = {
        name: (p.gradient, p.moved, p.in_optimizer, p.requires_grad, p.depth)
        for name in ("frozen", "used", "unused", "forgotten")
        for p in [parameter(measured, f"{name}.weight")]
    }
    assert found == {
        "frozen": ("none", False, True, False, 0),
        "used": ("present", True, True, True, 1),
        "unused": ("none", False, True, True, None),
        "forgotten": ("present", False, False, True, 2),
    }


def test_zero_gradients_are_told_from_none():
    class Cut(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cut, self.head = nn.Linear(5, 5), nn.Linear(5, 3)

        def forward(self, x):
            return self.head(x + 0 * self.cut(x))

    assert parameter(recorded(experiment(model=Cut())), "cut.weight").gradient == "zero"


def test_symmetric_units_stay_symmetric_and_a_zero_head_does_not():
    model = mlp()
    with torch.no_grad():
        for p in model[0].parameters():
            p.fill_(0.1)
        model[4].weight.fill_(0.1)
        model[4].bias.zero_()
    found = {record.module: record for record in recorded(experiment(model=model))[Symmetry].layers}
    hidden, head = found["0"], found["4"]
    assert (hidden.units, hidden.distinct_weights, hidden.distinct_gradients, hidden.distinct_weights_last) == (16, 1, 1, 1)
    assert (head.distinct_weights, head.distinct_gradients, head.distinct_weights_last) == (1, 3, 3)
    assert recorded(experiment())[Symmetry].layers == ()


def test_a_residual_branch_is_marked():
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(5, 5)

        def forward(self, x):
            return torch.relu(x + self.inner(x))

    measured = recorded(experiment(model=nn.Sequential(Block(), nn.Linear(5, 3))))
    assert (layer(measured, "0.inner").residual, layer(measured, "1").residual) == (True, False)


class Poison(nn.Module):
    """Becomes bad at its n-th training step, in its own way."""

    def __init__(self, at: int, how: str) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(5, 5), nn.Linear(5, 3)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self.at, self.how = at, how

    def forward(self, x):
        if self.training:
            self.steps += 1
        h = self.first(x)
        if self.training and int(self.steps) >= self.at:
            h = torch.log(h - h) if self.how == "forward" else torch.sqrt(h * 0) + h
        return self.head(h)


@pytest.mark.parametrize(("how", "phase", "op"), [("forward", "forward", "log"), ("backward", "backward", None)])
@pytest.mark.parametrize("every", [1, 1000])
def test_the_bad_step_and_its_place(how, phase, op, every):
    measured = recorded(experiment(model=Poison(6, how), watch_every=every))
    event = measured[NonFinite].events[0]
    assert (event.phase, event.step, event.op) == (phase, 5, op)
    assert event.parameter == (None if how == "forward" else "first.bias")
    assert layer(measured, "first").dead is None


def test_an_optimizer_that_writes_nan():
    class Bad(torch.optim.SGD):
        def step(self, closure=None):
            super().step(closure)
            self.count = getattr(self, "count", 0) + 1
            if self.count == 4:
                with torch.no_grad():
                    self.param_groups[0]["params"][-1][0] = torch.nan

    event = recorded(experiment(optimizer=lambda p: Bad(p, lr=0.01)))[NonFinite].events[0]
    assert (event.phase, event.step, event.parameter) == ("optimizer", 3, "4.bias")


def test_units_are_not_judged_with_weights_that_are_not_finite():
    data = blobs()
    data[0][3, 2] = math.nan
    toy = experiment(data=data, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    measured = recorded(toy)
    event = measured[NonFinite].events[0]
    assert event.phase == "input"
    assert len(event.samples) == 1


def test_infinite_buffers_that_were_there_from_the_start_are_innocent():
    class Best(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(5, 3)
            self.register_buffer("lowest", torch.tensor(math.inf))

        def forward(self, x):
            return self.head(x)

    assert recorded(experiment(model=Best()))[NonFinite].events == ()


def test_nothing_to_train():
    toy = experiment(optimizer=None)
    measured = recorded(toy)
    assert measured[Watch].steps == 0
    assert [p.gradient for p in measured[Parameters].parameters] == ["unseen"] * 6
    assert [r.name for r in measured[Layers].layers] == ["0", "1", "2", "3", "4"]


class Chain(Observer):
    """Takes the recorder's state through a file after some step and goes on with a fresh one."""

    def __init__(self, toy, at, path):
        self.recorder, self.toy, self.at, self.path = Recorder(toy), toy, at, path

    def run_start(self, *counts):
        self.counts = counts
        self.recorder.run_start(*counts)

    def step_start(self, info, batch):
        if info.step == self.at:
            state_file.write(self.path, self.recorder.state_dict())
            self.recorder = Recorder(self.toy)
            self.recorder.run_start(*self.counts)
            self.recorder.load_state_dict(state_file.read(self.path))
        self.recorder.step_start(info, batch)

    def backward_end(self, info):
        self.recorder.backward_end(info)

    def update_end(self, info, batch, loss):
        self.recorder.update_end(info, batch, loss)


@pytest.mark.parametrize("at", [0, 1, 7, 20])
@pytest.mark.parametrize("name", ["plain", "dropout"])
def test_a_resumed_recorder_goes_on_bit_for_bit(name, at, tmp_path):
    toy = variant(name)
    chain = Chain(toy, at, tmp_path / "state.safetensors")
    fit(toy, observers=[chain])
    expected = recorded(variant(name))
    assert report(Measurements(chain.recorder.sections())) == report(expected)
    assert chain.recorder.initial_loss == expected[StepGains].gains[0].loss_before


def test_no_look_outlives_an_exception():
    class Fails(MeanLoss):
        def __call__(self, output, target):
            self.left = getattr(self, "left", 9) - 1
            if self.left == 0:
                raise KeyboardInterrupt
            return super().__call__(output, target)

    toy = experiment(criterion=Fails(), watch_every=1)
    before = torch.get_rng_state()
    with pytest.raises(KeyboardInterrupt):
        fit(toy, observers=[Recorder(toy)])
    assert all(not vars(m)["_forward_hooks"] and not vars(m)["_forward_pre_hooks"] for m in toy.model.modules())
    assert torch.equal(before, torch.get_rng_state())
