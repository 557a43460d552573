"""Schedules against the formula done by hand (and torch's own), and that they can be taken up again anywhere."""

import math

import pytest
import torch

from dltool.specs.build.optimizers import OPTIMIZERS, build_optimizer
from dltool.specs.build.schedules import RunLength, build_schedule
from dltool.specs.misfit import MisfitError
from dltool.specs.schema import optimizers, schedules

RUN = RunLength(total_steps=40, steps_per_epoch=4)


def sgd(lr: float = 0.1, **arguments) -> torch.optim.SGD:
    return torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=lr, **arguments)


def rates(spec, *, decay: float = 0.0, run: RunLength = RUN, optimizer=None) -> list[float]:
    """The rate at every step, moved as the loop moves it."""
    optimizer = optimizer or sgd()
    schedule = build_schedule(spec, decay, optimizer, run)
    seen = []
    for step in range(run.total_steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if schedule is not None and schedule.unit == "step":
            schedule.scheduler.step()
        if schedule is not None and schedule.unit == "epoch" and (step + 1) % run.steps_per_epoch == 0:
            schedule.scheduler.step(*([1.0] if schedule.needs_metric else []))
    return seen


def test_every_name_is_built():
    needed = {"step": {"step_size": 3}, "exponential": {"gamma": 0.9}, "one_cycle": {"max_lr": 1.0, "cycle_momentum": False}}
    for spec in schedules.SCHEDULES:
        assert len(rates(spec(**needed.get(spec.kind, {})))) == 40


def test_nothing_to_do_is_no_schedule():
    assert build_schedule(None, 0.0, sgd(), RUN) is None
    assert build_schedule(schedules.Constant(), 0.0, sgd(), RUN) is None


@pytest.mark.parametrize(
    ("spec", "rate"),
    [
        (schedules.Step(step_size=3, gamma=0.5), lambda epoch: 0.1 * 0.5 ** (epoch // 3)),
        (schedules.Exponential(gamma=0.8), lambda epoch: 0.1 * 0.8**epoch),
        (schedules.Cosine(eta_min=0.01), lambda epoch: 0.01 + 0.09 * (1 + math.cos(math.pi * epoch / 10)) / 2),
        (schedules.Cosine(T_max=4), lambda epoch: 0.05 * (1 + math.cos(math.pi * min(epoch, 4) / 4))),
    ],
)
def test_by_epoch(spec, rate):
    assert rates(spec) == pytest.approx([rate(step // 4) for step in range(40)])


@pytest.mark.parametrize("warmup", [1, 5, 8, 100])
def test_warmup_rises_in_a_line_and_the_schedule_starts_behind_it(warmup):
    seen = rates(schedules.Exponential(gamma=0.5, warmup=warmup))
    expected = [0.1 * (step + 1) / warmup if step < warmup else 0.1 * 0.5 ** ((step - warmup) // 4) for step in range(40)]
    assert seen == pytest.approx(expected)


def test_decay_by_step():
    assert rates(None, decay=0.5) == pytest.approx([0.1 / (1 + 0.5 * step) for step in range(40)])
    both = rates(schedules.Step(step_size=2, warmup=3), decay=0.1)
    plain = rates(schedules.Step(step_size=2, warmup=3))
    assert both == pytest.approx([rate / (1 + 0.1 * step) for step, rate in enumerate(plain)])


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("three_phase", [False, True])
def test_one_cycle_as_torch_has_it(strategy, three_phase):
    spec = schedules.OneCycle(max_lr=1.0, anneal_strategy=strategy, three_phase=three_phase)
    optimizer, theirs = sgd(momentum=0.9), sgd(momentum=0.9)
    schedule = build_schedule(spec, 0.0, optimizer, RUN)
    reference = torch.optim.lr_scheduler.OneCycleLR(
        theirs, 1.0, total_steps=40, anneal_strategy=strategy, three_phase=three_phase
    )
    for _ in range(39):
        for key in ("lr", "momentum"):
            assert optimizer.param_groups[0][key] == pytest.approx(theirs.param_groups[0][key], abs=1e-9)
        theirs.step()
        reference.step()
        schedule.scheduler.step()
    end = optimizer.param_groups[0]["lr"]
    schedule.scheduler.step()
    schedule.scheduler.step()
    assert optimizer.param_groups[0]["lr"] == pytest.approx(end) == pytest.approx(1.0 / 25 / 1e4)


def test_plateau_cuts_after_its_patience():
    optimizer = sgd()
    schedule = build_schedule(schedules.Plateau(factor=0.5, patience=1), 0.0, optimizer, RUN)
    seen = []
    for loss in [1.0, 0.9, 0.9, 0.9, 0.9, 0.9]:
        schedule.scheduler.step(loss)
        seen.append(optimizer.param_groups[0]["lr"])
    assert seen == pytest.approx([0.1, 0.1, 0.1, 0.05, 0.05, 0.025])


def test_plateau_behind_a_warmup():
    seen = rates(schedules.Plateau(factor=0.5, patience=0, warmup=6))
    assert seen[:8] == pytest.approx([0.1 * min(step + 1, 6) / 6 for step in range(8)])
    assert seen[12:20] == pytest.approx([0.05] * 4 + [0.025] * 4)


@pytest.mark.parametrize(
    "spec",
    [schedules.Cosine(warmup=5), schedules.Plateau(factor=0.5, patience=0, warmup=6), schedules.OneCycle(max_lr=1.0)],
)
def test_taken_up_again_it_goes_on_as_if_never_stopped(spec):
    def move(optimizer, schedule, steps):
        seen = []
        for step in steps:
            optimizer.step()
            if schedule.unit == "step":
                schedule.scheduler.step()
            elif (step + 1) % 4 == 0:
                schedule.scheduler.step(1.0)
            seen.append((optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["momentum"]))
        return seen

    whole = sgd(momentum=0.9)
    through = move(whole, build_schedule(spec, 0.0, whole, RUN), range(40))
    first, second = sgd(momentum=0.9), sgd(momentum=0.9)
    before = build_schedule(spec, 0.0, first, RUN)
    assert move(first, before, range(3)) == through[:3]
    after = build_schedule(spec, 0.0, second, RUN)
    second.load_state_dict(first.state_dict())
    after.scheduler.load_state_dict(before.scheduler.state_dict())
    assert move(second, after, range(3, 40)) == through[3:]


def test_what_cannot_go_together_is_told():
    with pytest.raises(MisfitError, match="by itself"):
        build_schedule(schedules.OneCycle(max_lr=1.0, warmup=3), 0.0, sgd(), RUN)
    with pytest.raises(MisfitError, match="momentum"):
        build_schedule(schedules.OneCycle(max_lr=1.0), 0.0, torch.optim.Adagrad([torch.nn.Parameter(torch.ones(1))]), RUN)
    with pytest.raises(MisfitError, match="decay would be lost"):
        build_schedule(schedules.Plateau(), 0.1, sgd(), RUN)


def test_every_optimizer_is_built_with_its_arguments_and_steps():
    assert {spec.kind for spec in optimizers.OPTIMIZERS} == set(OPTIMIZERS)
    for spec in optimizers.OPTIMIZERS:
        weight = torch.nn.Parameter(torch.tensor([2.0]))
        optimizer = build_optimizer(spec(lr=0.01, decay=0.5), [weight])
        assert optimizer.defaults["lr"] == 0.01

        def closure(optimizer=optimizer, weight=weight):
            optimizer.zero_grad()
            loss = (weight**2).sum()
            loss.backward()
            return loss

        before = float(closure().detach())
        optimizer.step(closure)
        assert float((weight.detach() ** 2).sum()) < before
