"""A patrol finds the exact step at which something goes bad, and leaves everything as the plain run would."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from resumable import VARIANTS, build, differences
from test_walk import Cautious, Counting, Plain, Rooted, odd_loss, state_of
from torch import Tensor, nn
from torch.nn import functional as F
from toys import blobs, experiment, mlp

from dltool.training.experiment import Experiment
from dltool.training.lead_up import growth
from dltool.training.loop import fit
from dltool.training.patrol import Caught, Patrol
from dltool.training.stop import StopFlag
from dltool.training.walk import Walk

NAN = float("nan")


def walked(toy: Experiment, steps: int) -> Experiment:
    """The plain run up to so many steps."""
    with Walk(toy) as walk:
        for _ in range(steps):
            walk.take(closely=False)
    return toy


def hunt(toy: Experiment, **options: Any) -> tuple[Caught | None, Patrol]:
    patrol = Patrol(toy, **options)
    try:
        return patrol.next(), patrol
    finally:
        patrol.walk._scope.pop_all()  # the tests look at the state as it is


class AtStep(nn.Module):
    """Does something at one call, counted by itself."""

    def __init__(self, at: int, act: Callable[[AtStep, Tensor], Tensor]) -> None:
        super().__init__()
        self.body = mlp()
        self.register_buffer("late", torch.zeros(2))
        self.calls = 0
        self.at, self.act = at, act

    def forward(self, x: Tensor) -> Tensor:
        out = self.body(x)
        if self.training:
            self.calls += 1
            if self.calls == self.at + 1:
                return self.act(self, out)
        return out


def spoil_loss(model: AtStep, out: Tensor) -> Tensor:
    return out / 0.0


def spoil_gradient(model: AtStep, out: Tensor) -> Tensor:
    return out + (0 * model.body[4].bias).sqrt().sum()


def spoil_buffer(model: AtStep, out: Tensor) -> Tensor:
    model.late[1] = float("inf")
    return out


def spoil_statistics(model: AtStep, out: Tensor) -> Tensor:
    model.body[1].running_mean.fill_(NAN)
    return out


def spoil_frozen(model: AtStep, out: Tensor) -> Tensor:
    with torch.no_grad():
        model.body[0].bias.data[0] = NAN  # after it was used: the next step's loss shows it
    return out


def raise_(model: AtStep, out: Tensor) -> Tensor:
    torch.multinomial(out.softmax(1) * NAN, 1)
    return out


ACTS: dict[str, tuple[Any, str]] = {
    "loss": (spoil_loss, "loss"),
    "gradient": (spoil_gradient, "gradients"),
    "buffer": (spoil_buffer, "buffers"),
    "statistics": (spoil_statistics, "buffers"),
    "parameter": (spoil_frozen, "parameters"),
    "error": (raise_, "error"),
}


@pytest.mark.parametrize("kind", ACTS)
@pytest.mark.parametrize(("at", "every"), [(0, 4), (3, 4), (4, 4), (5, 4), (7, 4), (8, 1), (17, 16), (40, 7)])
def test_the_exact_step_is_found_and_the_state_is_that_of_the_plain_run(kind: str, at: int, every: int) -> None:
    act, part = ACTS[kind]
    caught, patrol = hunt(experiment(model=AtStep(at, act), epochs=8), snapshot_every=every)
    assert caught is not None
    assert caught.step == at
    assert caught.reproduced
    assert getattr(caught.symptoms, part)
    assert patrol.steps_run == at + 1
    assert caught.moment.step == at
    assert caught.lead_up.first_step + len(caught.lead_up.losses) == at
    assert len(caught.before) == min(at, 1)
    twin = walked(experiment(model=AtStep(at, act), epochs=8), at)
    caught.walk.go_back(caught.moment)
    assert differences(state_of(twin), state_of(caught.walk.experiment)) == []
    caught.walk.repeat(caught.moment, caught.batches, edit=lambda: setattr(caught.walk.experiment.model, "at", -1))
    caught.leave()
    after = walked(experiment(model=AtStep(at, act), epochs=8), at + 1)
    assert differences(state_of(after), state_of(caught.walk.experiment)) == []
    caught.walk.close()


@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_a_healthy_run_is_left_as_fit_leaves_it(variant: str) -> None:
    fitted, patrolled = build(variant, 3), build(variant, 3)
    torch.manual_seed(1)
    fit(fitted)
    expected = state_of(fitted)
    torch.manual_seed(1)
    with Patrol(patrolled) as patrol:
        assert patrol.next() is None
    assert differences(expected, state_of(patrolled)) == []
    assert patrol.stopped is None


def test_user_state_is_left_as_the_plain_run_leaves_it() -> None:
    def toy() -> Experiment:
        return experiment(model=Counting(), criterion=Plain(odd_loss()))

    plain, patrolled = walked(toy(), 21), toy()
    with Patrol(patrolled, snapshot_every=3) as patrol:
        assert patrol.next() is None
    assert patrolled.model.calls == plain.model.calls == 21
    assert patrolled.model.seen == plain.model.seen
    assert differences(state_of(plain), state_of(patrolled)) == []


def test_growth_is_told_by_layer() -> None:
    model = nn.Linear(5, 3)
    toy = experiment(model=model, optimizer=lambda p: torch.optim.SGD(p, lr=40.0), criterion=Plain(squares), epochs=40)
    caught, _ = hunt(toy)
    assert caught is not None
    lead = caught.lead_up
    assert lead.growing_steps >= 5
    assert lead.growth_ratio > 2
    assert {layer.parameter for layer in lead.layers} == {"weight", "bias"}
    assert all(len(layer.norms) == lead.growing_steps + 1 for layer in lead.layers)
    caught.walk.close()


@pytest.mark.parametrize("lr", [4.0, 40.0, 400.0])
def test_growth_is_that_of_a_bare_loop_in_double_precision(lr: float) -> None:
    """Norms whose squares overflow float32 are told all the same."""
    toy = experiment(
        model=nn.Linear(5, 3), optimizer=lambda p: torch.optim.SGD(p, lr=lr), criterion=Plain(squares), epochs=40
    )
    start = copy.deepcopy(toy.model)
    caught, _ = hunt(toy)
    assert caught is not None
    norms = [norm for norm in bare_norms(start, caught, lr) if math.isfinite(norm)]
    lead = caught.lead_up
    assert lead.growing == "gradients"
    assert lead.gradient_norms == pytest.approx(norms[-len(lead.gradient_norms) :], rel=1e-3)
    steps = lead.growing_steps
    assert lead.growth_ratio == pytest.approx((norms[-1] / norms[-1 - steps]) ** (1 / steps), rel=1e-3)
    caught.walk.close()


def bare_norms(model: nn.Module, caught: Caught, lr: float) -> list[float]:
    """Total gradient norms of the steps before the bad one, trained by hand."""
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    norms = []
    caught.walk.go_back(caught.start)
    for _ in range(caught.step):
        batch = caught.walk.take().batches[0]
        optimizer.zero_grad()
        squares(model(batch.input), batch.target).backward()
        norms.append(math.sqrt(sum(float(p.grad.double().square().sum()) for p in model.parameters())))
        optimizer.step()
    return norms


def squares(output: Tensor, target: Tensor) -> Tensor:
    return (output - target[:, None]).square().mean()


def test_an_optimizer_state_that_went_bad_alone() -> None:
    class Leaky(torch.optim.SGD):
        def __init__(self, params: Any) -> None:
            super().__init__(params, lr=0.1)
            self.count = 0

        def step(self, closure: Any = None) -> Any:
            out = super().step(closure)
            self.count += 1
            for p in self.param_groups[0]["params"]:
                self.state[p]["trace"] = p.detach() / (0.0 if self.count >= 10 else 1.0)
            return out

    caught, _ = hunt(experiment(optimizer=Leaky), snapshot_every=4)
    assert caught is not None
    assert caught.step == 9
    assert set(caught.symptoms.states) == {f"{name}/trace" for name, _ in caught.walk.experiment.model.named_parameters()}
    assert not caught.symptoms.parameters
    caught.walk.close()


def test_what_was_accepted_counts_no_more() -> None:
    def toy() -> Experiment:
        return experiment(model=AtStep(5, spoil_buffer))

    twin = toy()
    walked(twin, 21)
    patrolled = toy()
    with Patrol(patrolled, snapshot_every=4) as patrol:
        caught = patrol.next()
        assert caught is not None
        assert caught.symptoms.buffers == ("late",)
        caught.walk.repeat(caught.moment, caught.batches)
        patrol.accept(caught.symptoms)
        assert patrol.next() is None
        assert patrol.next() is None
        assert patrol.steps_run == 21
    assert differences(state_of(twin), state_of(patrolled)) == []


def two_at_once(model: AtStep, out: Tensor) -> Tensor:
    return spoil_gradient(model, spoil_buffer(model, out))


def test_another_symptom_of_the_same_step_shows_after_the_first_was_accepted() -> None:
    with Patrol(experiment(model=AtStep(5, two_at_once)), snapshot_every=4) as patrol:
        caught = patrol.next()
        assert caught is not None
        patrol.accept(type(caught.symptoms)(buffers=caught.symptoms.buffers))
        again = patrol.next()
        assert again is not None
        assert again.step == caught.step
        assert again.symptoms.gradients
        assert not again.symptoms.buffers


def rooted(scale: float | None = None, **options: Any) -> Experiment:
    inputs, targets = blobs()
    inputs[17, 0] = 0.0
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Rooted()
    toy = experiment(model=model, data=(inputs, targets), **options)
    toy.scaler = None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=1000)
    return toy


def test_a_step_skipped_at_every_scale_is_caught_with_a_scale_of_one() -> None:
    caught, _ = hunt(rooted(2.0**16), snapshot_every=4)
    assert caught is not None
    assert caught.symptoms.gradients == ("scale",)
    assert caught.taken.skipped
    caught.walk.go_back(caught.moment)
    assert caught.walk.experiment.scaler.get_scale() == 1.0
    repeated = caught.walk.repeat(caught.moment, caught.batches)
    assert repeated.symptoms == caught.symptoms
    caught.leave()
    assert differences(state_of(walked(rooted(2.0**16), caught.step + 1)), state_of(caught.walk.experiment)) == []
    caught.walk.close()


def test_steps_skipped_because_of_the_scale_alone_are_healthy() -> None:
    def toy() -> Experiment:
        made = experiment(criterion=Plain(lambda output, target: 100 * F.cross_entropy(output, target)))
        made.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127, growth_interval=5)
        return made

    plain, patrolled = toy(), toy()
    fit(plain)
    with Patrol(patrolled) as patrol:
        assert patrol.next() is None
        assert patrol.guarding().skipped_steps > 0
    assert differences(state_of(plain), state_of(patrolled)) == []


def test_an_optimizer_that_leaves_bad_gradients_out_is_healthy() -> None:
    plain, patrolled = rooted(optimizer=Cautious), rooted(optimizer=Cautious)
    fit(plain)
    with Patrol(patrolled, snapshot_every=4) as patrol:
        assert patrol.next() is None
    assert differences(state_of(plain), state_of(patrolled)) == []


def test_a_run_is_stopped_between_steps() -> None:
    stop = StopFlag()

    class Interrupting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            if self.calls == 6:
                stop.interrupt()
            return self.body(x)

    with Patrol(experiment(model=Interrupting()), stop=stop) as patrol:
        assert patrol.next() is None
        assert patrol.stopped == "interrupted"
        assert patrol.next() is None
        assert patrol.steps_run == 6


def test_a_fault_that_does_not_come_again_is_still_told() -> None:
    class Flaky(nn.Module):
        """Keeps its count in a generator that runs, of which there is no copy."""

        def __init__(self) -> None:
            super().__init__()
            self.body = mlp()
            self.counted = (step for step in range(1000))

        def forward(self, x: Tensor) -> Tensor:
            return self.body(x) * (NAN if next(self.counted) == 7 else 1.0)

    caught, _ = hunt(experiment(model=Flaky()), snapshot_every=4)
    assert caught is not None
    assert caught.symptoms.loss
    assert caught.step == 7
    assert not caught.reproduced
    caught.walk.close()


def test_memory_is_bounded_and_told() -> None:
    toy = experiment(epochs=10)
    with Patrol(toy, snapshot_every=3) as patrol:
        assert patrol.next() is None
        told = patrol.guarding()
    parameters = sum(p.nbytes for p in toy.model.parameters())
    assert told.snapshot_every == 3
    assert told.snapshot_bytes >= 3 * parameters  # weights and the two moments of Adam
    assert told.kept_bytes >= 3 * told.snapshot_bytes
    assert not told.compiled


def test_snapshots_come_at_most_16_steps_apart_and_oftener_where_a_step_is_long() -> None:
    def every(model: nn.Module, samples: int, features: int) -> int:
        toy = experiment(model=model, data=blobs(samples, features), batch_size=samples, epochs=2)
        with Patrol(toy) as patrol:
            assert patrol.next() is None
            return patrol.every

    narrow = nn.Sequential(*(nn.Linear(5, 5) for _ in range(30)), nn.Linear(5, 3))
    wide = nn.Sequential(nn.Linear(500, 500), nn.ReLU(), nn.Linear(500, 3))
    assert every(narrow, 8, 5) == 16
    assert every(wide, 4000, 500) < 8


@pytest.mark.parametrize(
    ("values", "steps", "ratio"),
    [
        ((), 0, 1.0),
        ((1.0,), 0, 1.0),
        ((2.0, 1.0), 0, 1.0),
        ((4.0, 1.0, 2.0, 8.0), 2, 8**0.5),
        ((1.0, 2.0, 1.5, 9.9e3), 1, 9.9e3 / 1.5),
        ((1.0, 2.0, 1.5, 1e4), 3, 1e4 ** (1 / 3)),
        ((5.0, 1.0, 3.0, 2.0, math.inf), 0, 1.0),
        ((1.0, 2.0, 4.0, math.inf, math.inf), 2, 2.0),
        ((math.nan, math.inf), 0, 1.0),
        ((1e-100, 1e100), 1, 1e200),
        ((0.0, 1.0), 0, 1.0),
        ((-1.0, -5.0), 0, 1.0),
    ],
)
def test_growth_is_counted_without_a_break_or_from_the_smallest_before_a_leap(
    values: tuple[float, ...], steps: int, ratio: float
) -> None:
    assert growth(values) == (steps, pytest.approx(ratio))
