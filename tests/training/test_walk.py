"""A walk takes the steps of `fit`, goes back bit for bit, and repeats a step with something changed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from resumable import VARIANTS, build, differences
from torch import Tensor, nn
from torch.nn import functional as F
from toys import MeanLoss, blobs, experiment, mlp, without_val

from dltool.core.errors import TargetError
from dltool.training import rng
from dltool.training.experiment import Batch, Experiment, Schedule
from dltool.training.loop import fit
from dltool.training.moment import Moment
from dltool.training.walk import Taken, Walk


def state_of(toy: Experiment) -> dict[str, Any]:
    """All that a run leaves behind, as plain values."""
    optimizer = toy.optimizer
    groups = [] if optimizer is None else optimizer.param_groups
    params = [p for group in groups for p in group["params"]]
    return copy.deepcopy(
        {
            "weights": dict(toy.model.named_parameters()),
            "grads": {name: p.grad for name, p in toy.model.named_parameters()},
            "buffers": dict(toy.model.named_buffers()),
            "modes": [module.training for module in toy.model.modules()],
            "states": [] if optimizer is None else [dict(optimizer.state.get(p, {})) for p in params],
            "rates": [{k: v for k, v in group.items() if k != "params"} for group in groups],
            "own": [] if optimizer is None else [v for v in vars(optimizer).values() if isinstance(v, int | Tensor)],
            "schedule": None if toy.schedule is None else plain(toy.schedule.scheduler.state_dict()),
            "scaler": None if toy.scaler is None else toy.scaler.state_dict(),
            "random": rng.capture(toy.device),
        }
    )


def plain(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in state.items() if not callable(value)}


def take_all(walk: Walk, *, closely: bool = False) -> list[Taken]:
    taken = []
    while (one := walk.take(closely=closely)) is not None:
        taken.append(one)
    return taken


STEPPING = sorted(VARIANTS)


@pytest.mark.parametrize("variant", STEPPING)
@pytest.mark.parametrize("closely", [False, True])
def test_walk_leaves_what_fit_leaves(variant: str, closely: bool) -> None:
    fitted, walked = build(variant, 3), build(variant, 3)
    torch.manual_seed(5)
    fit(fitted)
    expected = state_of(fitted)
    torch.manual_seed(5)
    with Walk(walked) as walk:
        taken = take_all(walk, closely=closely)
    assert differences(expected, state_of(walked)) == []
    assert [one.info.step for one in taken] == list(range(len(taken)))


def test_steps_planned_cut_the_last_epoch_short_and_its_schedule_is_still_stepped() -> None:
    def halved(optimizer: torch.optim.Optimizer) -> Schedule:
        return Schedule(name="step", scheduler=torch.optim.lr_scheduler.StepLR(optimizer, 1, 0.5), unit="epoch")

    fitted, walked = (experiment(schedule=halved, max_steps=10) for _ in range(2))
    fit(fitted)
    with Walk(walked) as walk:
        assert len(take_all(walk)) == 10
    assert differences(state_of(fitted), state_of(walked)) == []


def test_a_plateau_without_a_validation_split_follows_the_epochs_own_loss() -> None:
    def plateau(optimizer: torch.optim.Optimizer) -> Schedule:
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, factor=0.5, threshold=0.3)
        return Schedule(name="plateau", scheduler=scheduler, unit="epoch", needs_metric=True)

    fitted, walked = (without_val(experiment(schedule=plateau, epochs=8)) for _ in range(2))
    fit(fitted)
    with Walk(walked) as walk:
        take_all(walk)
    assert fitted.optimizer is not None
    assert fitted.optimizer.param_groups[0]["lr"] < 0.01
    assert differences(state_of(fitted), state_of(walked)) == []


@pytest.mark.parametrize("variant", [name for name in STEPPING if name != "frozen"])
@pytest.mark.parametrize("at", [0, 1, 6])
def test_going_back_is_bit_for_bit(variant: str, at: int) -> None:
    toy = build(variant, 3)
    with Walk(toy) as walk:
        for _ in range(at):
            walk.take()
        moment = walk.moment()
        before = state_of(toy)
        first = [(one.loss, one.gradient_norm) for one in take_all(walk)]
        after = state_of(toy)
        for _ in range(2):
            walk.go_back(moment)
            assert differences(before, state_of(toy)) == []
            again = [(one.loss, one.gradient_norm) for one in take_all(walk)]
            assert differences(first, again) == []
            assert differences(after, state_of(toy)) == []


@pytest.mark.parametrize("variant", [name for name in STEPPING if name != "frozen"])
def test_a_repeated_step_is_the_step_and_the_walk_goes_on_from_it(variant: str) -> None:
    toy = build(variant, 3)
    with Walk(toy) as walk:
        for _ in range(4):
            walk.take()
        moment = walk.moment()
        taken = walk.take()
        rest = [one.loss for one in take_all(walk)]
        end = state_of(toy)
        if taken is None:
            pytest.skip("it diverged before")
        again = walk.repeat(moment, taken.batches)
        assert differences([again.loss], [taken.loss]) == []
        assert differences([one.loss for one in take_all(walk)], rest) == []
        assert differences(end, state_of(toy)) == []


def test_a_moment_in_the_room_of_an_older_one() -> None:
    toy = build("adam", 3)
    with Walk(toy) as walk:
        room = walk.moment().room
        walk.take()
        older = walk.moment(room)  # the optimizer's state came with the first step: it does not fit
        assert older.room is not room
        walk.take()
        newer = walk.moment(older.room)
        assert newer.room is older.room
        expected = state_of(toy)
        take_all(walk)
        walk.go_back(newer)
        assert differences(expected, state_of(toy)) == []


def test_edit_and_context_hold_for_the_step_alone() -> None:
    toy = build("adam", 3)
    seen: list[str] = []

    class Noting:
        def __enter__(self) -> None:
            seen.append("in")

        def __exit__(self, *_: object) -> None:
            seen.append("out")

    def edit() -> None:
        seen.append("edit")
        with torch.no_grad():
            toy.model[0].weight.zero_()

    with Walk(toy) as walk:
        walk.take()
        moment = walk.moment()
        taken = walk.take()
        assert taken is not None
        changed = walk.repeat(moment, taken.batches, context=Noting(), edit=edit)  # type: ignore[arg-type]
        assert seen == ["edit", "in", "out"]
        assert changed.loss != taken.loss
        assert walk.repeat(moment, taken.batches).loss == taken.loss


def test_random_numbers_and_modes_are_given_back() -> None:
    toy = build("adam", 1)
    toy.model[1].eval()
    torch.manual_seed(3)
    before = rng.capture(toy.device)
    with Walk(toy) as walk:
        take_all(walk)
        assert toy.model[1].training
    assert not toy.model[1].training
    assert differences(before, rng.capture(toy.device)) == []


class Counting(nn.Module):
    """A model with everything that people keep beside weights."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()
        self.calls = 0
        self.seen: list[float] = []
        self.cache: dict[str, Tensor] = {}
        self.draws = torch.Generator().manual_seed(1)
        self.register_buffer("mean", torch.zeros(3))
        self.mask: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        out = self.body(x) * (1 + 0.01 * self.calls) + torch.rand(3, generator=self.draws)
        self.mean = 0.9 * self.mean + 0.1 * out.detach().mean(0)  # another tensor each time
        self.cache["last"] = out
        self.mask = out.detach() > 0
        if self.calls % 2:
            self.seen.append(float(out.detach().mean()))
        return out - self.mean


def odd_loss() -> Callable[[Any, Any], Tensor]:
    calls = 0
    history: list[float] = []

    def loss(output: Tensor, target: Tensor, weights: list[float] = []) -> Tensor:  # noqa: B006
        nonlocal calls
        calls += 1
        weights.append(1.0)
        loss.total += 1  # type: ignore[attr-defined]
        history.append(float(len(weights)))
        return F.cross_entropy(output, target) * (1 + 0.001 * calls * len(history) * len(weights) * loss.total)  # type: ignore[attr-defined]

    loss.total = 0  # type: ignore[attr-defined]
    return loss


class Plain(MeanLoss):
    def __init__(self, function: Any) -> None:
        super().__init__(function, split=False)

    def __call__(self, output: Any, target: Any) -> Tensor:
        return self.function(output, target)


def test_counters_caches_and_closures_are_part_of_a_moment() -> None:
    toy = experiment(model=Counting(), criterion=Plain(odd_loss()))
    with Walk(toy) as walk:
        walk.take()
        moment = walk.moment()
        mean, identity = toy.model.mean.clone(), id(toy.model.mean)
        first = [one.loss for one in take_all(walk)]
        assert len(first) == 20
        assert len(set(first)) == 20
        walk.go_back(moment)
        assert toy.model.calls == 1
        assert len(toy.model.seen) == 1
        assert id(toy.model.mean) == identity
        assert torch.equal(toy.model.mean, mean)
        assert [one.loss for one in take_all(walk)] == first


class Spoiling(nn.Module):
    """Writes into its input."""

    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x.mul_(0.5))


def test_batches_that_the_model_writes_into_are_repeated_as_delivered() -> None:
    toy = experiment(model=Spoiling())
    with Walk(toy) as walk:
        moment = walk.moment()
        first = [one.loss for one in take_all(walk)]
        walk.go_back(moment)
        again = take_all(walk)
        assert [one.loss for one in again] == first
        walk.go_back(moment)
        repeated = [walk.repeat(moment, again[0].batches).loss for _ in range(3)]
        assert repeated == [first[0]] * 3


class OwnOrder:
    """A loader that shuffles with a generator of its own: read again, it gives another order."""

    samples, batch_size = 200, 32

    def __init__(self) -> None:
        self.inputs, self.targets = blobs()
        self.generator = torch.Generator().manual_seed(0)

    def __len__(self) -> int:
        return 7

    def epoch(self, index: int, start: int = 0) -> Any:
        for rows in torch.randperm(200, generator=self.generator).split(32)[start:]:
            yield Batch(self.inputs[rows], self.targets[rows])

    def fixed(self, limit: int | None = None, batch_size: int | None = None) -> Any:
        yield Batch(self.inputs[:limit], self.targets[:limit])


def test_a_loader_with_its_own_generator_is_not_read_again() -> None:
    toy = replace(experiment(), train=OwnOrder())
    with Walk(toy) as walk:
        moment = walk.moment()
        for _ in range(10):
            walk.take()
        middle = walk.moment()
        rest = [one.loss for one in take_all(walk)]
        walk.go_back(middle)
        assert [one.loss for one in take_all(walk)] == rest
        walk.go_back(moment)
        assert [one.loss for one in take_all(walk)][10:] == rest


def test_forgotten_batches_are_read_anew() -> None:
    toy = experiment()
    with Walk(toy) as walk:
        walk.take()
        moment = walk.moment()
        first = [one.loss for one in take_all(walk)]
        walk.feed.forget(before_step=10)
        walk.go_back(moment)
        assert [one.loss for one in take_all(walk)] == first


def bad_rows(model: nn.Module, value: float, at: int) -> Experiment:
    """The blobs with one bad row, met at some step."""
    inputs, targets = blobs()
    inputs[at, 0] = value
    return experiment(model=model, data=(inputs, targets))


def test_a_bad_loss_is_a_symptom_and_the_end_as_for_fit() -> None:
    fitted, walked = (bad_rows(mlp(), float("nan"), 17) for _ in range(2))
    assert fit(fitted).optimisation.stopped == "non-finite"
    with Walk(walked) as walk:
        taken = take_all(walk, closely=True)
    assert taken[-1].symptoms.loss
    assert not any(one.symptoms for one in taken[:-1])
    assert differences(state_of(fitted), state_of(walked)) == []


class Rooted(nn.Module):
    """sqrt of a value that is 0 in one row: its slope there is infinite, and 0 of it NaN."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(5))
        self.head = nn.Linear(5, 3)

    def forward(self, x: Tensor) -> Tensor:
        size = (self.scale * x).abs()
        return self.head(torch.where(size > 0, size.sqrt(), 0.0 * size))


def test_a_bad_gradient_that_the_update_uses_is_a_symptom_with_its_name() -> None:
    toy = bad_rows(Rooted(), 0.0, 17)
    with Walk(toy) as walk:
        taken = next(one for one in iter(walk.take, None) if one.symptoms)
    assert taken.symptoms.gradients == ("scale",)
    assert taken.symptoms.parameters == ("scale",)
    assert not taken.symptoms.loss


class Cautious(torch.optim.SGD):
    """Leaves a step out whose gradients are not finite, as people write it by hand."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, lr=0.1)

    def step(self, closure: Any = None) -> Any:
        grads = [p.grad for group in self.param_groups for p in group["params"] if p.grad is not None]
        return super().step(closure) if all(bool(g.isfinite().all()) for g in grads) else None


def test_a_bad_gradient_that_the_optimizer_leaves_out_is_none() -> None:
    inputs, targets = blobs()
    inputs[17, 0] = 0.0
    toy = experiment(model=Rooted(), data=(inputs, targets), optimizer=Cautious)
    with Walk(toy) as walk:
        assert not any(one.symptoms for one in take_all(walk, closely=True))
    with Walk(toy) as walk:
        assert any(one.symptoms for one in take_all(walk)), "the cheap look cannot know it"


class Raising(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = mlp()

    def forward(self, x: Tensor) -> Tensor:
        torch.distributions.Normal(self.body(x), 1.0, validate_args=True)
        return self.body(x)


def test_what_the_users_code_raises_is_a_symptom_and_the_end() -> None:
    toy = bad_rows(Raising(), float("nan"), 17)
    with Walk(toy) as walk:
        taken = take_all(walk, closely=True)
        assert taken[-1].symptoms.error
        assert isinstance(taken[-1].error, TargetError)
        assert "constraint" in str(taken[-1].error)
        assert walk.take() is None


def test_skipped_steps_are_no_symptom_but_at_scale_one_they_are() -> None:
    def toy(scale: float) -> Experiment:
        made = bad_rows(Rooted(), 0.0, 17)
        made.scaler = torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
        return made

    with Walk(toy(2.0**10)) as walk:
        taken = take_all(walk, closely=True)
    assert [one.skipped for one in taken].count(True) == 3, "the row is met once in each epoch"
    assert not any(one.symptoms for one in taken)
    with Walk(toy(1.0)) as walk:
        first = next(one for one in iter(walk.take, None) if one.symptoms)
    assert first.skipped
    assert first.symptoms.gradients == ("scale",)


def test_bad_from_the_start_does_not_count() -> None:
    class Masked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()
            self.unused = nn.Parameter(torch.full((2,), float("nan")))
            self.register_buffer("mask", torch.tensor([0.0, float("-inf"), 0.0]))
            self.register_buffer("late", torch.zeros(2))
            self.steps = 0

        def forward(self, x: Tensor) -> Tensor:
            self.steps += 1
            if self.steps == 4:
                self.late[0] = float("nan")
            if self.steps == 6:
                self.mask[0] = float("nan")
            return self.body(x) + 0 * torch.where(self.mask < 0, 0.0, self.mask).nan_to_num()

    toy = experiment(model=Masked())
    with Walk(toy) as walk:
        taken = take_all(walk, closely=True)
    assert [one.symptoms.buffers for one in taken[:7]] == [()] * 3 + [("late",)] * 2 + [("mask", "late")] * 2
    assert not any(one.symptoms.parameters for one in taken)


def test_a_moment_before_the_first_step_knows_no_optimizer_state() -> None:
    toy = build("adam", 1)
    assert toy.optimizer is not None
    with Walk(toy) as walk:
        moment = walk.moment()
        walk.take()
        assert len(toy.optimizer.state) > 0
        walk.go_back(moment)
        assert len(toy.optimizer.state) == 0
        assert isinstance(moment, Moment)
        assert moment.bytes >= sum(p.nbytes for p in toy.model.parameters())
