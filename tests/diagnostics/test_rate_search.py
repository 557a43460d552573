"""The search for the rate: what it answers, and that it leaves no trace."""

import copy
import math
import random

import numpy as np
import pytest
import torch
from rated import classes, experiment, net, searched, values
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from dltool.core.errors import TargetError
from dltool.core.measured.lr_find import Curve, LrAnswer, LrDecades, LrTrials, SuggestedLr
from dltool.diagnostics.rate.find import find
from dltool.diagnostics.rate.ladder import RUNGS
from dltool.diagnostics.rate.trials import Length, trial_length
from dltool.specs.factory_batches import open_batches
from dltool.training.experiment import Schedule
from dltool.training.loop import fit
from dltool.training.progress import Silent
from dltool.training.stop import StopFlag


class KeepsCount(torch.optim.SGD):
    """An optimizer with an attribute of its own, which no state_dict holds."""

    def __init__(self, params, lr):
        super().__init__(params, lr=lr, momentum=0.9)
        self.calls = [0]

    def step(self, closure=None):
        self.calls[0] += 1
        return super().step(closure)


OPTIMIZERS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-3),
    "amsgrad": lambda p: torch.optim.AdamW([{"params": p[:2], "lr": 1e-4}, {"params": p[2:]}], lr=1e-3, amsgrad=True),
    "its own": lambda p: KeepsCount(p, lr=0.1),
}


def schedule(optimizer):
    return Schedule(name="StepLR", scheduler=torch.optim.lr_scheduler.StepLR(optimizer, 2), unit="step")


def state(made):
    """Everything that training goes on from, copied."""
    return copy.deepcopy(
        {
            "model": made.model.state_dict(),
            "grads": [None if p.grad is None else p.grad.clone() for p in made.model.parameters()],
            "modes": [m.training for m in made.model.modules()],
            "optimizer": made.optimizer.state_dict(),
            "own": getattr(made.optimizer, "calls", None),
            "schedule": made.schedule.scheduler.state_dict(),
            "torch": torch.get_rng_state(),
            "python": random.getstate(),
            "numpy": np.random.get_state(legacy=True),  # noqa: NPY002
            "batch": next(iter(made.train.epoch(0))),
        }
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b) and a.dtype == b.dtype
    if isinstance(a, np.ndarray):
        return np.array_equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    return a == b


@pytest.mark.parametrize("precision", ["fp32", "fp64"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_is_left_behind_beside_an_untouched_twin(name, precision):
    made, twin = (
        experiment(model=net(), optimizer=OPTIMIZERS[name], schedule=schedule, precision=precision) for _ in range(2)
    )
    tensors = [*made.model.parameters(), *made.model.buffers()]
    before = state(made)
    search = searched(made, steps=5)
    assert search.answer.outcome == "found"
    assert same(state(made), before)
    assert all(a is b for a, b in zip([*made.model.parameters(), *made.model.buffers()], tensors, strict=True))
    fit(made)
    fit(twin)
    assert same(state(made), state(twin))


def test_a_search_in_the_middle_of_training_leaves_it_there():
    made, twin = (experiment(model=net(), schedule=schedule, epochs=1) for _ in range(2))
    fit(made)
    fit(twin)
    searched(made, steps=5)
    assert same(state(made), state(twin))


@pytest.mark.parametrize("after", [0, 1, 150, 310, 400])
def test_an_interrupted_search_says_what_it_knows_and_leaves_no_trace(after):
    class Interrupted(StopFlag):
        reads = 0

        @property
        def reason(self):
            self.reads += 1
            return "interrupted" if self.reads > after else None

    made = experiment(schedule=schedule)
    before = state(made)
    search = searched(made, stop=Interrupted())
    assert search.ended == "interrupted"
    assert same(state(made), before)
    sections = {type(section) for section in search.sections()}
    assert {SuggestedLr, LrAnswer, Curve, LrDecades} <= sections
    assert search.answer.outcome in {"unfinished", "found"}


def test_an_exception_of_the_users_code_leaves_no_trace():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.net, self.calls = net(), 0

        def forward(self, x):
            self.calls += 1
            if self.calls == 50:
                raise RuntimeError("enough")
            return self.net(x)

    made = experiment(model=Fails(), schedule=schedule)
    before = state(made)
    with pytest.raises(TargetError, match="enough"):
        searched(made)
    assert same(state(made), before)
    assert made.model.calls == 0


def test_ctrl_c_within_a_step_leaves_no_trace():
    class Pressed(nn.Module):
        calls = 0  # of the class: what the model itself holds is put back before every run

        def __init__(self):
            super().__init__()
            self.net, self.seen = net(), []

        def forward(self, x):
            self.seen.append(len(x))
            Pressed.calls += 1
            if Pressed.calls == 350:  # within a trial
                raise KeyboardInterrupt
            return self.net(x)

    made = experiment(model=Pressed(), schedule=schedule)
    before = state(made)
    with pytest.raises(KeyboardInterrupt):
        searched(made)
    assert same(state(made), before)
    assert Pressed.calls == 350
    assert made.model.seen == []


def test_the_same_seed_gives_the_same_answer():
    first, second = (searched(experiment()).sections() for _ in range(2))
    assert repr(first) == repr(second)


@pytest.mark.parametrize("name", ["sgd", "momentum", "adam"])
def test_the_rate_that_is_found_trains(name):
    search = searched(experiment(optimizer=OPTIMIZERS[name]))
    trials = search.trials
    assert search.answer.outcome == "found"
    low, high = search.answer.ends
    assert low <= search.answer.lr <= high
    chosen = [t for t in trials.made if t.lr == search.answer.lr][-1]
    assert trials.gain(chosen) >= 0.99 * max(trials.gain(t) for t in trials.made if t.stage == chosen.stage)
    assert search.own.lr == pytest.approx(0.1 if name != "adam" else 1e-3)


def test_a_quadratic_diverges_where_theory_says():
    """Gradient descent on least squares diverges above 2 / λ, λ the largest eigenvalue of the Hessian."""
    inputs, targets = values()
    curvature = float(torch.linalg.eigvalsh(2.0 * inputs.T @ inputs / len(inputs)).max())
    torch.manual_seed(0)
    made = experiment(
        model=nn.Linear(5, 1, bias=False),
        data=(inputs, targets),
        loss=nn.MSELoss(),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1),
        batch_size=128,
    )
    search = searched(made, steps=30)
    limit = 2.0 / curvature
    assert search.answer.ends[1] < limit
    assert search.answer.lr > limit / 20
    answer = next(s for s in search.sections() if isinstance(s, LrAnswer))
    assert limit < answer.diverged_at < 20 * limit
    assert all((t.lr > limit) == (trials_gain <= 0) for t in search.trials.made for trials_gain in [search.trials.gain(t)])


def test_negative_losses_are_judged_as_others_are():
    data = values()
    made = [
        experiment(model=net(1, 0.0), data=data, loss=lambda o, t, s=shift: ((o - t) ** 2).mean() - s)
        for shift in (0.0, 100.0)
    ]
    plain, negative = (searched(one) for one in made)
    assert negative.trials.start.loss < 0
    assert negative.answer.outcome == "found"
    assert 1 / 4 < negative.answer.lr / plain.answer.lr < 4


def test_a_loss_that_refuses_what_diverged_weights_give_ends_the_run():
    def picky(output, target):
        if not output.isfinite().all():
            raise ValueError("the output is no number")
        return ((output - target) ** 2).mean()

    inputs, targets = values()
    made = experiment(
        model=nn.Linear(5, 1),
        data=(1e9 * inputs, targets),
        loss=picky,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    )
    search = searched(made)
    assert search.answer.outcome == "found"
    assert search.answer.lr < 1e-16


class Reversed(torch.autograd.Function):
    """The identity with a gradient of the wrong sign."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        return -grad


class Uphill(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.net = nn.Linear(5, 3)

    def forward(self, x):
        return Reversed.apply(self.net(x))


class Deaf(nn.Module):
    """Its output has nothing to do with its weights, but they have gradients (of zero)."""

    def __init__(self):
        super().__init__()
        self.net = nn.Linear(5, 3)

    def forward(self, x):
        return 0.0 * self.net(x)


def test_no_rate_works_is_an_answer():
    search = searched(experiment(model=Uphill(), optimizer=OPTIMIZERS["sgd"]))
    assert (search.answer.outcome, search.answer.lr, search.answer.ends) == ("no-rate-works", None, None)


def test_flat_is_an_answer():
    search = searched(experiment(model=Deaf(), optimizer=OPTIMIZERS["sgd"]))
    assert (search.answer.outcome, search.answer.lr) == ("flat", None)


def test_a_loss_that_is_nan_at_once_is_said_so():
    search = searched(experiment(loss=lambda o, t: o.sum() * math.nan))
    assert search.answer.outcome == "not-finite"
    assert search.climbs == []


def test_a_ladder_that_began_too_high_is_moved_down():
    inputs, targets = values()
    torch.manual_seed(0)
    made = experiment(
        model=nn.Linear(5, 1),
        data=(1e5 * inputs, 1e5 * targets),
        loss=nn.MSELoss(),
        optimizer=lambda p: torch.optim.SGD(p, lr=1e-3),
    )
    search = searched(made)
    assert search.answer.outcome == "found"
    assert search.answer.lr < 1e-9


def test_lbfgs_has_no_rate_to_look_for():
    search = searched(experiment(optimizer=torch.optim.LBFGS))
    assert search.answer.outcome == "meaningless"
    assert "LBFGS" in search.answer.reason


def test_nothing_to_train_is_an_answer():
    assert searched(experiment(optimizer=None)).answer.outcome == "nothing-to-train"


def test_an_optimizer_without_a_rate_is_refused():
    class Rateless(torch.optim.Optimizer):
        def __init__(self, params):
            super().__init__(params, {})

        def step(self, closure=None):
            return None

    with pytest.raises(TargetError, match="no learning rate"):
        searched(experiment(optimizer=Rateless))


def test_groups_keep_their_proportion():
    seen = set()

    class Looks(torch.optim.SGD):
        def step(self, closure=None):
            seen.add(round(self.param_groups[1]["lr"] / self.param_groups[0]["lr"], 6))
            return super().step(closure)

    searched(
        experiment(optimizer=lambda p: Looks([{"params": p[:2], "lr": 0.1}, {"params": p[2:], "lr": 0.02}], lr=0.1)), steps=3
    )
    assert seen == {0.2}


def test_a_group_whose_rate_is_zero_stays_still():
    seen = set()

    class Looks(torch.optim.SGD):
        def step(self, closure=None):
            seen.add(self.param_groups[0]["lr"])
            return super().step(closure)

    search = searched(
        experiment(optimizer=lambda p: Looks([{"params": p[:2], "lr": 0.0}, {"params": p[2:], "lr": 0.02}], lr=0.1)), steps=3
    )
    assert seen == {0.0}
    assert search.own.lr == 0.02


def test_a_gradient_scaler_is_put_back():
    made = experiment(optimizer=OPTIMIZERS["sgd"])
    made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**100, growth_interval=3)
    before = made.scaler.state_dict()
    assert searched(made, steps=5).ended is None
    assert made.scaler.state_dict() == before


def test_progress_knows_from_the_start_that_trials_follow_and_never_goes_back():
    class Kept(Silent):
        totals, steps = [], []

        def start(self, total_steps, done_steps=0):
            self.totals.append(total_steps)

        def advance(self, step, loss, rate_per_s):
            self.steps.append(step)
            assert rate_per_s >= 0

    find(experiment(), trial_steps=20, progress=Kept(), stop=StopFlag())
    assert Kept.totals[0] > 3 * RUNGS + 8 * 20
    assert Kept.steps == sorted(Kept.steps)


def test_a_decade_tells_the_longest_of_its_best_trials():
    search = searched(experiment(epochs=50), steps=7)
    rows = {row.low: row for s in search.sections() if isinstance(s, LrDecades) for row in s.decades}
    best = search.trials.best("long")
    row = rows[10.0 ** math.floor(math.log10(best.lr) + 1e-9)]
    assert (row.trial_lr, row.trial_steps, row.trial_loss) == (best.lr, 21, best.loss)


def test_the_own_rate_is_tried_under_its_warmup():
    def warmup(optimizer):
        return Schedule(
            name="LinearLR", scheduler=torch.optim.lr_scheduler.LinearLR(optimizer, 0.01, total_iters=50), unit="step"
        )

    search = searched(experiment(optimizer=OPTIMIZERS["sgd"], schedule=warmup))
    assert search.own.lr == pytest.approx(0.1)
    assert search.own.scheduled
    own = next(t for t in search.trials.made if t.stage == "own")
    constant = min((t for t in search.trials.made if t.stage == "short"), key=lambda t: abs(math.log(t.lr / 0.1)))
    assert own.loss > constant.loss


def test_a_trial_is_an_epoch_and_at_least_a_hundred_steps_but_never_longer_than_the_run():
    assert trial_length(experiment(epochs=50), None) == Length(100, 300)
    assert trial_length(experiment(epochs=50, batch_size=1), None) == Length(128, 384)
    assert trial_length(experiment(epochs=2), None) == Length(16, 16)
    assert trial_length(experiment(epochs=50, accumulate=4), None) == Length(100, 100)
    assert trial_length(experiment(epochs=50), 7) == Length(7, 21)
    made = searched(experiment(epochs=50), steps=7)
    assert {t.steps for t in made.trials.made if t.ended == "finished"} <= {7, 21}


def test_trials_say_what_they_were_judged_on():
    section = next(s for s in searched(experiment()).sections() if isinstance(s, LrTrials))
    assert (section.split, section.samples) == ("train", 128)


def test_a_loader_that_shuffles_with_its_own_generator_is_left_where_it_was():
    generator = torch.Generator().manual_seed(5)
    loader = DataLoader(TensorDataset(*classes()), batch_size=16, shuffle=True, generator=generator)
    made = experiment()
    made.train = open_batches(loader, name="batches", seed=0, epoch_steps=None)
    before = generator.get_state()
    first = searched(made)
    assert torch.equal(generator.get_state(), before)
    assert repr(searched(made).sections()) == repr(first.sections())
