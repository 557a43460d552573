"""Cures tried on runs that went bad, and what they leave behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hunted import Applied, caught_in, linear, mse, regression, run_of
from torch import Tensor, nn

from dltool.core.measured.hunt import FixTrial
from dltool.diagnostics.hunt.event import event_of
from dltool.diagnostics.hunt.fix_check import STEPS_BEYOND, try_fixes
from dltool.diagnostics.hunt.fixes import in_float32
from dltool.diagnostics.hunt.proof import find_cause
from dltool.diagnostics.hunt.samples import responsible
from dltool.diagnostics.hunt.traced import trace
from dltool.training.experiment import Experiment
from dltool.training.patrol import Caught
from dltool.training.stop import StopFlag

START = "from the start of the run"


def tried(caught: Caught, stop: StopFlag | None = None) -> dict[str, FixTrial]:
    found = trace(caught)
    cause = find_cause(caught, found)
    assert cause is not None
    culprits = responsible(caught, cause)
    event = event_of(caught, found, cause, None if culprits is None else culprits.samples)
    return {trial.fix: trial for trial in try_fixes(caught, event, stop=stop).trials}


def outcome(run: Experiment) -> dict[str, bool]:
    with caught_in(run) as caught:
        return {fix: trial.healed for fix, trial in tried(caught).items()}


def one_bad_sample(epochs: int = 1) -> Experiment:
    data = [(x.abs() + 0.1, y) for x, y in regression(8)]
    data[2][0][5, 1] = 0
    return run_of(Applied(lambda layer, x: layer(x.log())), data, mse, epochs=epochs)


def divergence() -> Experiment:
    model = nn.Sequential(linear(4, 8), linear(8, 2))
    return run_of(model, regression(80), mse, lambda parameters: torch.optim.SGD(parameters, lr=2.0))


def steep() -> Experiment:
    """A tenth of the rate diverges too."""
    return run_of(linear(4, 2), regression(80), mse, lambda parameters: torch.optim.SGD(parameters, lr=60.0))


def half_adam() -> Experiment:
    """0 / (0 + 1e-8) is 0 / 0 in float16."""
    data = [((x * torch.tensor([1.0, 0.0, 1.0, 1.0])).half(), y.half()) for x, y in regression(30)]
    return run_of(linear().half(), data, mse, torch.optim.Adam)


def autocast_of_the_users_own() -> Experiment:
    def narrow(layer: nn.Linear, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.float16):
            return layer(x * 1e4) * 100

    loss = lambda output, target: (output.float() - target).square().mean()  # noqa: E731
    return run_of(Applied(narrow), regression(30), loss, lambda parameters: torch.optim.SGD(parameters, lr=1e-16))


def norm_without_eps() -> Experiment:
    data = regression(10)
    data[3][0][:] = 1
    model = nn.Sequential(nn.LayerNorm(4, eps=0.0), linear())
    return run_of(model, data, mse)


CLIP, RATE = "the gradient norm clipped at 1", "a tenth of the rate"


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (one_bad_sample, {"without sample 5": True, CLIP: False, RATE: False}),
        (divergence, {CLIP: True, RATE: True}),
        (steep, {CLIP: True, RATE: False, "a hundredth of the rate": True}),
        (
            half_adam,
            {
                "an eps of 0.0001 in the optimizer": True,
                "float32 instead of half precision": True,
                CLIP: False,
                RATE: False,
            },
        ),
        (autocast_of_the_users_own, {"float32 instead of half precision": True, CLIP: False, RATE: False}),
        (norm_without_eps, {"an eps of 0.001 in 0": True, CLIP: False, RATE: False}),
    ],
)
def test_each_cure_is_tried_and_the_likeliest_first(run: Callable[[], Experiment], expected: dict[str, bool]) -> None:
    assert list(outcome(run()).items()) == list(expected.items())


def test_a_sample_that_comes_again_is_left_out_again() -> None:
    with caught_in(one_bad_sample(epochs=6)) as caught:
        trial = tried(caught)["without sample 5"]
    assert trial.healed
    assert trial.steps == 6 * 8 - 2
    assert trial.note is None


def test_steps_are_those_that_stayed_finite() -> None:
    with caught_in(divergence()) as caught:
        first_bad = caught.step
        trials = tried(caught)
    assert trials[RATE].steps == first_bad + STEPS_BEYOND + 1
    assert trials[RATE].note == START
    with caught_in(one_bad_sample()) as caught:
        trials = tried(caught)
    assert trials[CLIP] == FixTrial(fix=CLIP, healed=False, steps=2, note=START)


def test_nothing_is_tried_after_a_stop() -> None:
    stop = StopFlag(timeout_s=0.0)
    with caught_in(divergence()) as caught:
        assert tried(caught, stop) == {}


@pytest.mark.parametrize("run", [one_bad_sample, divergence, half_adam, autocast_of_the_users_own, norm_without_eps])
def test_everything_is_as_it_was(run: Callable[[], Experiment]) -> None:
    with caught_in(run()) as caught:
        caught.walk.go_back(caught.moment)
        experiment = caught.walk.experiment
        optimizer: Any = experiment.optimizer
        held = [*experiment.model.parameters(), *experiment.model.buffers()]
        before = [(id(tensor), tensor.dtype, tensor.data_ptr(), tensor.clone()) for tensor in held]
        groups = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        rng, enter = torch.get_rng_state(), torch.autocast.__enter__
        tried(caught)
        again = [*experiment.model.parameters(), *experiment.model.buffers()]
        for tensor, (identity, dtype, place, values) in zip(again, before, strict=True):
            assert (id(tensor), tensor.dtype, tensor.data_ptr()) == (identity, dtype, place)
            assert torch.equal(tensor, values)
        assert groups == [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        assert torch.equal(torch.get_rng_state(), rng)
        assert torch.autocast.__enter__ is enter
        assert not optimizer._optimizer_step_pre_hooks
        assert not experiment.model._forward_pre_hooks
        assert caught.walk.step == caught.step


def test_float32_ends_with_an_exception_too() -> None:
    run = half_adam()
    weight = run.model.weight
    values = weight.clone()

    def fail() -> None:
        with in_float32(run):
            assert weight.dtype is torch.float32
            with torch.autocast("cpu"):
                assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype is torch.float32
            raise ValueError("the user's")

    with pytest.raises(ValueError, match="the user's"):
        fail()
    assert weight.dtype is torch.float16
    assert torch.equal(weight, values)
