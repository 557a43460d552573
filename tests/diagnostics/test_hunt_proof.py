"""Which suspect is the cause: told by repeats of the step in which only it was repaired."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hunted import Applied, caught_in, cause_of, linear, mse, regression, run_of
from torch import Tensor, nn

from dltool.diagnostics.hunt.proof import MOST_REPEATS, Cause, find_cause
from dltool.diagnostics.hunt.repairs import harmless, mend_first
from dltool.diagnostics.hunt.traced import trace
from dltool.probes.finite import mended
from dltool.training.experiment import Experiment


def told(cause: Cause) -> str:
    leaf, operations = cause.suspect.leaf, cause.suspect.operations
    return f"{leaf.kind} {leaf.name}" if leaf is not None else f"{operations[0].phase} {operations[0].op}"


def nan_input() -> Experiment:
    data = regression()
    data[1][0][3, 2] = torch.nan
    return run_of(linear(), data, mse)


def nan_target() -> Experiment:
    data = regression()
    data[1][1][7, 0] = torch.nan
    return run_of(linear(), data, mse)


def nan_weight() -> Experiment:
    model = nn.Sequential(linear(), nn.ReLU(), linear(2, 2))
    with torch.no_grad():
        model[2].weight[0, 1] = torch.nan
    return run_of(model, regression(), mse)


def nan_running_var() -> Experiment:
    model = nn.Sequential(linear(), nn.BatchNorm1d(2))
    model[1].running_var[1] = torch.nan
    run = run_of(model, regression(), mse)
    run.kept_in_eval = frozenset({"1"})
    return run


def inf_state() -> Experiment:
    def restored(parameters: Any) -> torch.optim.Optimizer:
        optimizer = torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
        optimizer.state[parameters[0]]["momentum_buffer"] = torch.full_like(parameters[0], torch.inf)
        return optimizer

    return run_of(linear(), regression(), mse, restored)


def log_of_zero() -> Experiment:
    data = [(x.abs(), y) for x, y in regression()]
    data[2][0][5, 1] = 0
    return run_of(Applied(lambda layer, x: layer(x.log())), data, mse)


def overflow_before_its_nan() -> Experiment:
    """exp gives Inf, and Inf / Inf the NaN: mending either heals, and the earlier one is the cause."""
    data = regression()
    data[1][0][2] = 1000

    def softmax(layer: nn.Linear, x: Tensor) -> Tensor:
        exponentials = layer(x).exp()
        return exponentials / exponentials.sum(1, keepdim=True)

    return run_of(Applied(softmax), data, mse)


def sqrt_at_zero() -> Experiment:
    """The forward pass is finite."""
    data = regression()
    data[1][0][2] = 0
    model = Applied(lambda layer, x: F.linear(x, layer.weight).square().sum(1).sqrt()[:, None].expand(-1, 2))
    return run_of(model, data, mse)


def adam_without_eps() -> Experiment:
    data = [(x * torch.tensor([1.0, 0.0, 1.0, 1.0]), y) for x, y in regression()]
    return run_of(linear(), data, mse, lambda parameters: torch.optim.Adam(parameters, eps=0))


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (nan_input, "input input"),
        (nan_target, "target target"),
        (nan_weight, "parameter 2.weight"),
        (nan_running_var, "buffer 1.running_var"),
        (inf_state, "state weight/momentum_buffer"),
        (log_of_zero, "forward log"),
        (overflow_before_its_nan, "forward exp"),
        (sqrt_at_zero, "backward SqrtBackward0"),
        (adam_without_eps, "optimizer addcdiv"),
    ],
)
def test_the_repair_of_the_cause_alone_heals(run: Any, expected: str) -> None:
    cause = cause_of(run())
    assert told(cause) == expected
    assert cause.healed
    assert "and nothing else changed" in cause.proof
    assert cause.repeats <= 4


def test_of_births_that_are_independent_the_earliest_is_the_cause_and_both_are_named() -> None:
    data = regression()
    data[1][0][2, 0] = 0
    data[1][0][5, 1] = -1

    def two(layer: nn.Linear, x: Tensor) -> Tensor:
        first = x[:, 0].abs().log()
        second = -(x[:, 1] + 1).abs().log1p()
        third = (x[:, 1] + 1).abs().reciprocal()
        return layer(x) + (first + second + third)[:, None]

    cause = cause_of(run_of(Applied(two), data, mse))
    assert told(cause) == "forward log"
    assert cause.healed
    assert "the result of log (" in cause.proof
    assert "the result of reciprocal (" in cause.proof
    assert "with fewer it does not" in cause.proof


def test_of_many_bad_parameters_it_is_the_first_by_name() -> None:
    model = nn.Sequential(*(linear(4, 4) for _ in range(12)))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(torch.nan)
    cause = cause_of(run_of(model, regression(outputs=4), mse))
    assert told(cause) == "parameter 0.weight"
    assert cause.healed
    assert cause.repeats <= 4


def test_a_bad_parameter_that_is_not_used_is_no_cause() -> None:
    class Chosen(nn.Module):
        """The first branch is computed, found bad and not taken."""

        def __init__(self) -> None:
            super().__init__()
            self.unused, self.used = linear(), linear()
            with torch.no_grad():
                self.unused.weight.fill_(torch.nan)

        def forward(self, given: Tensor) -> Tensor:
            other = self.unused(given)
            return torch.where(other.isfinite(), other, self.used(given.log()))

    data = [(x.abs(), y) for x, y in regression()]
    data[1][0][4, 0] = 0
    model = Chosen()
    model.unused.requires_grad_(requires_grad=False)
    assert told(cause_of(run_of(model, data, mse))) == "forward log"


def test_a_bad_parameter_that_hides_in_a_good_number_is_found() -> None:
    class Uncertain(nn.Module):
        """exp(-inf) is 0: the division has nothing bad before it."""

        def __init__(self, value: float) -> None:
            super().__init__()
            self.layer, self.log_sigma = linear(), nn.Parameter(torch.tensor([0.0, value]), requires_grad=False)

        def forward(self, given: Tensor) -> Tensor:
            return self.layer(given) / self.log_sigma.exp()

    assert told(cause_of(run_of(Uncertain(-torch.inf), regression(), mse))) == "parameter log_sigma"
    assert told(cause_of(run_of(Uncertain(-200.0), regression(), mse))) == "forward div"


def test_what_overflows_at_every_turn_is_told_where_it_did_so_first() -> None:
    def growing(layer: nn.Module, x: Tensor) -> Tensor:
        h = layer(x)
        for _ in range(12):
            h = h + 0.1 * h * h
        return h - h.mean(0)

    data = regression()
    data[1][0][3] = 3000.0
    cause = cause_of(run_of(Applied(growing), data, mse))
    assert told(cause) == "forward mul"
    assert cause.healed


def test_what_overflows_in_other_places_once_it_is_mended_is_told_where_it_did_so_first() -> None:
    def growing(layer: nn.Module, x: Tensor) -> Tensor:
        h = layer(x)
        squared = h * h
        cubed = h.pow(3)
        return (squared - cubed) - squared.mean(0)

    data = regression()
    data[1][0][3] = 1e20
    assert told(cause_of(run_of(Applied(growing), data, mse))) == "forward mul"


def test_a_bad_input_beside_a_birth_in_the_same_operator_comes_first() -> None:
    """Mending the whole result of log would hide that sample 3 was delivered as NaN."""
    data = [(x.abs(), y) for x, y in regression()]
    data[1][0][3, 2] = torch.nan
    data[1][0][5, 1] = 0
    cause = cause_of(run_of(Applied(lambda layer, x: layer(x.log())), data, mse))
    assert told(cause) == "input input"
    assert "with the input and the result of log (" in cause.proof


def test_a_birth_that_only_a_repair_brings_to_light_is_mended_too() -> None:
    """0 / 0 mended to a number is multiplied by the silence and its logarithm taken: -inf."""
    data = [(y, y) for _, y in regression(outputs=4)]
    data[1][0][2] = 0

    def distortion(output: Tensor, target: Tensor) -> Tensor:
        scale = (output * target).sum(1, keepdim=True) / target.square().sum(1, keepdim=True)
        return (scale * target).square().sum(1).log().mean()

    cause = cause_of(run_of(linear(4, 4), data, distortion))
    assert told(cause) == "loss div"
    assert cause.healed
    assert "the result of log (" in cause.proof


class Attention(nn.Module):
    """Softmax by hand, with a mask of -inf that comes with the input."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = linear()

    def forward(self, given: dict[str, Tensor]) -> Tensor:
        scores = self.layer(given["x"]) + given["mask"]
        exponentials = (scores - scores.max(-1, keepdim=True).values).exp()
        return exponentials / exponentials.sum(-1, keepdim=True)


def test_a_mask_is_innocent_where_a_row_of_it_masks_everything() -> None:
    data = [({"x": x, "mask": torch.zeros(8, 2)}, y) for x, y in regression()]
    for given, _ in data:
        given["mask"][:, 1] = -torch.inf
    data[1][0]["mask"][6] = -torch.inf
    cause = cause_of(run_of(Attention(), data, mse))
    assert told(cause) == "forward sub"
    assert cause.healed


@pytest.mark.parametrize("columns", [slice(None), slice(1, 3), slice(1, 2)])
def test_features_that_are_infinite_are_guilty_though_a_mask_could_look_so(columns: slice) -> None:
    data = regression()
    data[1][0][3, columns] = -torch.inf
    cause = cause_of(run_of(linear(), data, mse))
    assert told(cause) == "input input"
    assert cause.healed


def test_the_mean_of_values_near_the_end_of_the_range_is_finite() -> None:
    """What is left beside an overflow are large values, and their sum overflows too."""
    for dtype, large in ((torch.float32, 3e38), (torch.float16, 6e4)):
        values = torch.tensor([large, large, large, torch.inf], dtype=dtype)
        assert mended(values, 1.0)[3] == values[0]


def test_the_walk_is_back_at_the_start_of_the_step() -> None:
    with caught_in(log_of_zero()) as caught:
        caught.walk.go_back(caught.moment)
        model, state = caught.walk.experiment.model, torch.get_rng_state()
        before = [parameter.clone() for parameter in model.parameters()]
        find_cause(caught, trace(caught))
        assert caught.walk.step == caught.step
        assert torch.equal(torch.get_rng_state(), state)
        assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_repeats_are_bounded_however_many_births_are_needed() -> None:
    data = regression()
    data[1][0][3] = 0
    lines = "\n".join(f"    total = total + x[:, {i % 4}].abs().log() * {i + 1}" for i in range(40))
    space: dict[str, Any] = {}
    exec(f"def many(layer, x):\n    total = layer(x)[:, 0]\n{lines}\n    return total[:, None].expand(-1, 2)", space)
    with caught_in(run_of(Applied(space["many"]), data, mse)) as caught:
        cause = find_cause(caught, trace(caught))
    assert cause is not None
    assert told(cause) == "forward log"
    assert cause.repeats <= MOST_REPEATS


def test_mending_the_first_bad_value_of_a_row_leaves_a_mask_a_mask() -> None:
    inf = torch.inf
    mask = torch.tensor([[0.0, -inf, -inf], [-inf, -inf, -inf], [0.0, 0.0, 0.0]])
    assert mend_first(mask, torch.ones_like(mask)).tolist() == [[0.0, 1.0, -inf], [1.0, -inf, -inf], [0.0, 0.0, 0.0]]
    assert mend_first(torch.tensor(inf), torch.tensor(1.0)).item() == 1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
def test_stand_ins_are_finite_and_not_all_zero(dtype: torch.dtype) -> None:
    for values in (torch.full((3, 4), torch.nan), torch.full((3,), torch.nan), torch.tensor([torch.nan, 2.0, torch.inf])):
        made = harmless(values.to(dtype))
        assert made.dtype is dtype
        assert made.shape == values.shape
        assert bool(made.isfinite().all())
        assert bool(made.abs().sum() > 0)
