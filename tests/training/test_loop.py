"""The loop against the same training written out in plain torch, bit for bit."""

import math
import random

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from toys import MeanLoss, TensorSource, blobs, experiment, mlp, same, weights, without_val

from dltool.core.errors import DataError, SpecError, TargetError
from dltool.training.experiment import Batch, EarlyStopping, Schedule
from dltool.training.loop import fit
from dltool.training.observer import Observer
from dltool.training.stop import StopFlag

OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1),
    "lbfgs": lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=5, history_size=4),
}


def plainly(toy, *, clip_norm=None, clip_value=None, schedule=None, double=False, penalty=None):
    """What fit should do, in the order everybody writes it."""
    model, optimizer, criterion = toy.model, toy.optimizer, toy.criterion
    torch.manual_seed(toy.seed)
    losses = []
    for epoch in range(toy.settings.epochs):
        model.train()
        for batch in toy.train.epoch(epoch):

            def closure(inputs=batch.input, targets=batch.target):
                optimizer.zero_grad()
                loss = criterion(model(inputs.double() if double else inputs), targets)
                (loss if penalty is None else loss + penalty(model)).backward()
                if clip_value is not None:
                    nn.utils.clip_grad_value_(model.parameters(), clip_value)
                if clip_norm is not None:
                    nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
                return loss

            losses.append(optimizer.step(closure).item())
            if schedule == "step":
                toy.schedule.scheduler.step()
        if schedule == "epoch":
            toy.schedule.scheduler.step()
    return losses


@pytest.mark.parametrize("clipping", [{}, {"clip_norm": 0.3}, {"clip_value": 0.02}, {"clip_value": 0.05, "clip_norm": 0.2}])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_is_plain_torch_bit_for_bit(name, clipping):
    ours = experiment(model=mlp(dropout=0.3), optimizer=OPTIMIZERS[name], **clipping)
    theirs = experiment(model=mlp(dropout=0.3), optimizer=OPTIMIZERS[name])

    outcome = fit(ours)
    losses = plainly(theirs, **clipping)

    assert same(weights(ours), weights(theirs))
    assert outcome.loss_trace.losses == tuple(losses)
    assert outcome.optimisation.steps == outcome.steps_planned == len(losses) == 21
    assert outcome.stopped == "finished"


@pytest.mark.parametrize("unit", ["step", "epoch"])
def test_a_schedule_moves_the_rate_as_in_plain_torch(unit):
    def schedule(optimizer):
        return Schedule(name="exponential", scheduler=torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9), unit=unit)

    ours, theirs = experiment(schedule=schedule), experiment(schedule=schedule)
    outcome = fit(ours)
    plainly(theirs, schedule=unit)
    assert same(weights(ours), weights(theirs))
    assert outcome.optimisation.lr == 0.01
    rates = [record.lr for record in outcome.history.epochs]
    assert rates == pytest.approx([0.01 * 0.9 ** (7 * n if unit == "step" else n - 1) for n in (1, 2, 3)])


def test_a_plateau_schedule_sees_the_validation_loss():
    def schedule(optimizer):
        plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimizer, patience=0, threshold=1e9, threshold_mode="abs", factor=0.5
        )
        return Schedule(name="plateau", scheduler=plateau, unit="epoch", needs_metric=True)

    outcome = fit(experiment(schedule=schedule, epochs=4))
    # no epoch counts as better than the first by 1e9, so that every one after it halves the rate
    assert [record.lr for record in outcome.history.epochs] == [0.01, 0.01, 0.005, 0.0025]


@pytest.mark.parametrize(("batch_size", "steps_per_epoch"), [(1, 200), (200, 1), (64, 4)])
def test_single_sample_full_batch_and_ragged_batches(batch_size, steps_per_epoch):
    linear = [nn.Linear(5, 3) for _ in range(2)]
    linear[1].load_state_dict(linear[0].state_dict())
    ours, theirs = (experiment(model=model, optimizer=OPTIMIZERS["sgd"], batch_size=batch_size) for model in linear)
    outcome = fit(ours)
    losses = plainly(theirs)
    assert same(weights(ours), weights(theirs))
    assert outcome.steps_per_epoch == steps_per_epoch
    sizes = [min(batch_size, 200 - start) for start in range(0, 200, batch_size)]
    by_hand = [
        sum(a * b for a, b in zip(losses[i : i + len(sizes)], sizes, strict=True)) / 200
        for i in range(0, len(losses), len(sizes))
    ]
    assert [record.running_loss for record in outcome.history.epochs] == pytest.approx(by_hand)


def test_fp64_trains_in_doubles():
    ours, theirs = experiment(precision="fp64"), experiment()
    fit(ours)
    theirs.model.double()
    plainly(theirs, double=True)
    assert weights(ours)["0.weight"].dtype == torch.float64
    assert same(weights(ours), weights(theirs))


def test_bf16_computes_in_bf16_and_keeps_float_weights():
    seen = []

    class Watcher(Observer):
        def forward_end(self, info, output, loss):
            seen.append((output.dtype, loss.dtype))

    toy = experiment(precision="bf16", epochs=8)
    outcome = fit(toy, observers=[Watcher()])
    assert set(seen) == {(torch.bfloat16, torch.float32)}
    assert {tensor.dtype for tensor in toy.model.parameters()} == {torch.float32}
    assert outcome.history.epochs[-1].val_metrics["accuracy"] > 0.8


def test_the_callers_random_numbers_and_modes_are_left_alone():
    toy = experiment(model=mlp(dropout=0.5))
    toy.model[1].eval()
    modes = [module.training for module in toy.model.modules()]
    torch.manual_seed(1), random.seed(2), np.random.seed(3)  # noqa: NPY002
    expected = torch.rand(1), random.random(), np.random.rand()  # noqa: NPY002
    torch.manual_seed(1), random.seed(2), np.random.seed(3)  # noqa: NPY002
    fit(toy)
    assert (torch.rand(1), random.random(), np.random.rand()) == expected  # noqa: NPY002
    assert [module.training for module in toy.model.modules()] == modes


def test_the_seed_alone_decides():
    first, second = experiment(model=mlp(dropout=0.5)), experiment(model=mlp(dropout=0.5))
    torch.manual_seed(1)
    one = fit(first)
    torch.manual_seed(2)
    other = fit(second)
    assert one.history == other.history
    assert same(weights(first), weights(second))


def test_watching_changes_nothing():
    watched, alone = experiment(model=mlp(dropout=0.5)), experiment(model=mlp(dropout=0.5))
    assert fit(watched, observers=[Recorder()]).history == fit(alone).history
    assert same(weights(watched), weights(alone))


class Recorder(Observer):
    def __init__(self):
        self.calls = []
        self.gradients = []

    def run_start(self, steps_planned, steps_per_epoch):
        self.calls.append(("run_start", steps_planned, steps_per_epoch))

    def step_start(self, info, batch):
        self.calls.append(("step_start", info.step))

    def forward_end(self, info, output, loss):
        self.calls.append(("forward_end", info.step))

    def backward_end(self, info):
        self.calls.append(("backward_end", info.step))

    def update_end(self, info, batch, loss):
        self.calls.append(("update_end", info.step))

    def bad_step(self, info, batch, output, loss):
        self.calls.append(("bad_step", info.step, loss.item()))

    def epoch_end(self, record):
        self.calls.append(("epoch_end", record.epoch))


def test_observers_hear_everything_in_order():
    recorder = Recorder()
    fit(experiment(batch_size=100, epochs=2), observers=[recorder])
    step = ["step_start", "forward_end", "backward_end", "update_end"]
    assert recorder.calls[0] == ("run_start", 4, 2)
    assert [call[0] for call in recorder.calls[1:]] == 2 * [*step, *step, "epoch_end"]


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_non_finite_loss_stops_training_before_it_reaches_the_weights(bad):
    inputs, targets = blobs()

    class Poisoned(TensorSource):
        def epoch(self, index, start=0):
            for number, batch in enumerate(super().epoch(index, start), start):
                yield Batch(batch.input * bad, batch.target) if (index, number) == (1, 3) else batch

    class Watcher(Recorder):
        def backward_end(self, info):
            self.gradients.append([p.grad.clone() for p in toy.model.parameters()])

        def bad_step(self, info, batch, output, loss):
            super().bad_step(info, batch, output, loss)
            assert all(torch.equal(p.grad, g) for p, g in zip(toy.model.parameters(), self.gradients[-1], strict=True))

    model = nn.Sequential(nn.Linear(5, 16), nn.ReLU(), nn.Linear(16, 3))
    toy = experiment(model=model, optimizer=OPTIMIZERS["sgd"])
    toy.train = Poisoned(inputs, targets, 32)
    recorder = Watcher()
    outcome = fit(toy, observers=[recorder])
    assert outcome.stopped == "non-finite"
    assert outcome.optimisation.steps == 10
    assert recorder.calls[-2][:2] == ("bad_step", 10)
    assert recorder.calls[-1] == ("epoch_end", 1)
    assert not math.isfinite(outcome.loss_trace.losses[-1])
    assert not math.isfinite(outcome.history.epochs[-1].running_loss)
    assert all(torch.isfinite(tensor).all() for tensor in weights(toy).values())
    assert math.isfinite(outcome.history.epochs[-1].val_loss)
    assert outcome.history.best_epoch in (0, 1)


def test_steps_cut_a_run_short():
    outcome = fit(experiment(epochs=5, max_steps=10))
    assert (outcome.steps_planned, outcome.optimisation.steps, outcome.stopped) == (10, 10, "finished")
    assert [(record.epoch, record.step) for record in outcome.history.epochs] == [(0, 7), (1, 10)]
    assert outcome.history.epochs[-1].train_loss is not None


def test_early_stopping_ends_after_epochs_without_improvement():
    rule = EarlyStopping(patience=2, monitor="val_loss", min_delta=1e9)
    outcome = fit(experiment(epochs=20, early_stopping=rule))
    assert outcome.stopped == "early-stopping"
    assert outcome.optimisation.epochs_run == 3
    assert outcome.history.epochs[-1].train_loss is not None


def test_an_unknown_monitor_is_told():
    with pytest.raises(SpecError, match="did you mean 'val_accuracy'"):
        fit(experiment(early_stopping=EarlyStopping(patience=2, monitor="val_acuracy")))


def test_nothing_trainable_is_evaluated_and_no_more():
    toy = experiment(optimizer=None)
    before = weights(toy)
    outcome = fit(toy)
    assert (outcome.stopped, outcome.optimisation.steps, outcome.optimisation.epochs_run) == ("finished", 0, 0)
    (record,) = outcome.history.epochs
    assert record.running_loss == record.train_loss
    assert record.val_loss is not None
    assert same(weights(toy), before)


def test_a_loss_cut_off_from_the_parameters_trains_nothing_and_does_not_crash():
    toy = experiment(
        criterion=MeanLoss(lambda output, target, reduction: F.cross_entropy(output.detach(), target, reduction=reduction))
    )
    before = toy.model[0].weight.clone()
    assert fit(toy).stopped == "finished"
    assert torch.equal(toy.model[0].weight, before)


def test_modules_kept_in_eval_stay_there():
    toy = experiment()
    toy.kept_in_eval = frozenset({"1"})
    fit(toy)
    assert int(toy.model[1].num_batches_tracked) == 0


def test_the_first_the_last_and_the_best_epoch_are_measured_again():
    outcome = fit(experiment(epochs=30, watch_overhead=1e-9, optimizer=lambda p: torch.optim.Adam(p, lr=0.3)))
    best = outcome.history.best_epoch
    assert {record.epoch for record in outcome.history.epochs if record.train_loss is not None} == {0, best, 29}
    assert outcome.history.epochs[best].val_loss == min(record.val_loss for record in outcome.history.epochs)


def test_the_best_weights_give_the_best_loss_and_the_last_ones_are_in_the_model():
    toy = experiment(epochs=10, optimizer=lambda p: torch.optim.Adam(p, lr=0.3))
    longer = fit(toy)
    best = longer.history.best_epoch
    assert best < 9
    shorter = experiment(epochs=best + 1, optimizer=lambda p: torch.optim.Adam(p, lr=0.3))
    fit(shorter)
    assert same(weights(shorter), longer.best_weights)
    assert not same(weights(toy), longer.best_weights)


def test_without_a_validation_split_the_running_loss_decides():
    outcome = fit(without_val(experiment(epochs=4)))
    records = outcome.history.epochs
    assert all(record.val_loss is None for record in records)
    assert outcome.history.best_epoch == min(records, key=lambda record: record.running_loss).epoch


@pytest.mark.parametrize("where", ["model", "loss"])
def test_a_mistake_in_the_users_code_is_told_as_one(where):
    def raises(*_args, **_kwargs):
        raise KeyError("width")

    class Broken(nn.Linear):
        def forward(self, x):
            return raises()

    toy = experiment(model=Broken(5, 3)) if where == "model" else experiment(criterion=MeanLoss(raises))
    with pytest.raises(TargetError, match=r"test_loop\.py:\d+: KeyError while .*width"):
        fit(toy)


def test_shapes_that_do_not_fit_are_told():
    with pytest.raises(TargetError, match="RuntimeError while"):
        fit(experiment(model=nn.Linear(4, 3)))


def test_no_batches_is_the_users_mistake():
    toy = experiment()
    toy.train = TensorSource(torch.zeros(0, 5), torch.zeros(0, dtype=torch.long), 32)
    with pytest.raises(DataError, match="no batch"):
        fit(toy)


def test_nested_inputs_reach_the_model_as_they_are():
    class Pair(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(5, 3)

        def forward(self, pair):
            return self.linear(pair["left"]) + self.linear(pair["right"][0])

    class Pairs(TensorSource):
        def epoch(self, index, start=0):
            for batch in super().epoch(index, start):
                yield Batch({"left": batch.input, "right": (batch.input,)}, batch.target)

        def fixed(self, limit=None, batch_size=None):
            for batch in super().fixed(limit, batch_size):
                yield Batch({"left": batch.input, "right": (batch.input,)}, batch.target)

    toy = experiment(model=Pair(), precision="fp64")
    toy.train, toy.val = Pairs(*blobs(), 32), Pairs(*blobs(40), 32)
    assert fit(toy).history.epochs[-1].val_metrics["accuracy"] > 0.5


def test_interrupt_ends_after_the_current_step():
    class Interrupts(Observer):
        def update_end(self, info, batch, loss):
            if info.step == 9:
                stop.interrupt()

    stop = StopFlag()
    outcome = fit(experiment(), stop=stop, observers=[Interrupts()])
    assert (outcome.stopped, outcome.optimisation.steps) == ("interrupted", 10)
    assert len(outcome.history.epochs) == 1
    assert len(outcome.loss_trace.losses) == 10


def test_a_deadline_ends_the_run():
    ticks = iter(range(1000))
    stop = StopFlag(timeout_s=5, clock=lambda: next(ticks))
    outcome = fit(experiment(), stop=stop)
    assert (outcome.stopped, outcome.optimisation.steps) == ("timeout", 5)
