"""Which samples are to blame: told by repeats of the step in which they were exchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hunted import Applied, blamed_in, caught_in, linear, mse, regression, run_of
from torch import Tensor, nn

from dltool.diagnostics.hunt.proof import find_cause
from dltool.diagnostics.hunt.samples import (
    FEWEST_REPEATS,
    MOST_REPEATS,
    Responsible,
    most_repeats,
    responsible,
)
from dltool.diagnostics.hunt.traced import trace
from dltool.training.experiment import Batch, Experiment

Run = Callable[[], Experiment]


def positive(*args: int) -> list[tuple[Tensor, Tensor]]:
    return [(x.abs() + 0.1, y) for x, y in regression(*args)]


def log_of(data: list[tuple[Any, Any]], **settings: Any) -> Experiment:
    return run_of(Applied(lambda layer, x: layer(x.log())), data, mse, **settings)


def one_row() -> Experiment:
    data = positive()
    data[1][0][3, 2] = 0
    return log_of(data)


def one_row_in_the_first_batch() -> Experiment:
    data = positive()
    data[0][0][3, 2] = 0
    return log_of(data)


def one_row_of_the_only_batch() -> Experiment:
    data = positive(1)
    data[0][0][6, 2] = 0
    return log_of(data)


def ragged_last_batch() -> Experiment:
    data = positive()
    data[2] = (data[2][0][:3].clone(), data[2][1][:3])
    data[2][0][2, 0] = 0
    return log_of(data)


def every_row() -> Experiment:
    data = positive()
    data[1][0][:] = 0
    return log_of(data)


def every_row_of_the_only_batch() -> Experiment:
    data = positive(1)
    data[0][0][:] = 0
    return log_of(data)


def one_sample_that_matters() -> Experiment:
    data = [(x[:1].clone(), y[:1]) for x, y in positive()]
    data[2][0][0, 1] = 0
    return log_of(data)


def one_sample_that_does_not() -> Experiment:
    """0 / 0 for whatever single sample it is."""
    data = [(x[:1], y[:1]) for x, y in regression()]
    return run_of(Applied(lambda layer, x: layer((x - x.mean(0)) / (x.max(0).values - x.min(0).values))), data, mse)


def batch_norm_mixes_samples() -> Experiment:
    data = regression(3, 16)
    data[1][0][6] = 1e25
    return run_of(nn.Sequential(linear(), nn.BatchNorm1d(2)), data, mse)


def attention_mixes_nothing() -> Experiment:
    class Attending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

        def forward(self, given: dict[str, Tensor]) -> Tensor:
            tokens = given["tokens"]
            mixed, _ = self.attention(tokens, tokens, tokens, key_padding_mask=given["padding"])
            return mixed.mean(1)

    generator = torch.Generator().manual_seed(0)
    tokens = [torch.randn(6, 5, 4, generator=generator) for _ in range(3)]
    data = [({"tokens": t, "padding": torch.zeros(6, 5, dtype=torch.bool)}, torch.zeros(6, 4)) for t in tokens]
    data[1][0]["padding"][4] = True
    return run_of(Attending(), data, mse)


def labels_all_ignored() -> Experiment:
    data: list[tuple[Tensor, Tensor]] = [(x, torch.arange(8) % 2) for x, _ in regression()]
    data[1] = (data[1][0], torch.full((8,), -100))
    return run_of(linear(), data, F.cross_entropy)


def constant_batch() -> Experiment:
    data = regression()
    data[1] = (torch.ones(8, 4), data[1][1])
    return run_of(Applied(lambda layer, x: layer((x - x.mean(0)) / x.std(0))), data, mse)


def two_that_are_alike() -> Experiment:
    """The log of a distance of zero: exchanging either heals."""
    data = regression(3, 16)
    data[1][0][11] = data[1][0][4]

    def distances(layer: nn.Linear, x: Tensor) -> Tensor:
        points = layer(x)
        i, j = torch.triu_indices(len(points), len(points), 1)
        return (points[:, None] - points).square().sum(-1)[i, j].log().mean() * torch.ones(len(points), 2)

    return run_of(Applied(distances), data, mse, lambda parameters: torch.optim.SGD(parameters, lr=1e-9))


def two_rows_two_births() -> Experiment:
    data = positive()
    data[1][0][2, 0] = 0
    data[1][0][5, 1] = 0
    model = Applied(lambda layer, x: layer(x) + x[:, :1].log() + x[:, 1:2].reciprocal())
    return run_of(model, data, mse)


def innocent_neighbours() -> Experiment:
    """Samples 1 and 6 hold NaN too, where nobody looks: their weight in the loss is zero by selection."""
    data = positive()
    for x, y in data:
        y[:, 1] = 1
        x[0] = 1
    for row in (1, 4, 6):
        data[1][0][row, 0] = torch.nan
    data[1][1][[1, 6], 1] = 0

    def selected(output: Tensor, target: Tensor) -> Tensor:
        return (output[:, 0] - target[:, 0]).square()[target[:, 1] > 0].mean()

    return run_of(linear(), data, selected)


def gradient_of_one_row() -> Experiment:
    data = regression()
    data[1][0][2] = 0
    model = Applied(lambda layer, x: F.linear(x, layer.weight).square().sum(1).sqrt()[:, None].expand(-1, 2))
    return run_of(model, data, mse)


def bad_target() -> Experiment:
    data = regression()
    data[1][1][7, 0] = torch.nan
    return run_of(linear(), data, mse)


def target_that_does_not_fit_its_input() -> Experiment:
    """Only input and target together are bad: moving one without the other would spoil other samples."""
    data = regression()
    for x, y in data:
        y.copy_(x[:, :2].sign() + 0.1 * y.tanh())
    data[1][1][3] *= -1

    def agreement(output: Any, target: Tensor) -> Tensor:
        given, made = output
        return (given[:, :2] * target).min(1).values.log().mean() + made.square().mean()

    return run_of(Applied(lambda layer, x: (x, layer(x))), data, agreement)  # type: ignore[arg-type, return-value]


def sequence_first_by_the_target() -> Experiment:
    generator = torch.Generator().manual_seed(0)
    data = [(torch.rand(7, 5, 3, generator=generator) + 0.1, torch.rand(5, generator=generator)) for _ in range(3)]
    data[1][0][4, 2, 0] = 0
    return run_of(Applied(lambda layer, x: layer(x.log()).mean(0)[:, 0], 3), data, mse)


def sequence_first_by_the_model() -> Experiment:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(3, 4)
            self.head = linear(4, 1)

        def forward(self, given: Tensor) -> Tensor:
            return self.head(self.recurrent(given.log())[0])[..., 0]

    generator = torch.Generator().manual_seed(0)
    data = [(torch.rand(7, 5, 3, generator=generator) + 0.1, torch.rand(7, 5, generator=generator)) for _ in range(3)]
    data[1][0][4, 2, 0] = 0
    return run_of(Recurrent(), data, mse)


def turned_within_the_model() -> Experiment:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.recurrent = nn.GRU(3, 4)
            self.head = linear(4, 1)

        def forward(self, given: Tensor) -> Tensor:
            return self.head(self.recurrent(given.log().transpose(0, 1))[0].transpose(0, 1))[..., 0]

    generator = torch.Generator().manual_seed(0)
    data = [(torch.rand(5, 7, 3, generator=generator) + 0.1, torch.rand(5, 7, generator=generator)) for _ in range(3)]
    data[1][0][2, 4, 0] = 0
    return run_of(Recurrent(), data, mse)


def lengths_differ_by_batch() -> Experiment:
    """No other batch can lend a sample, and the minimum tells no rows: a half of the batch itself does."""
    generator = torch.Generator().manual_seed(0)
    data = [(torch.rand(8, length, 4, generator=generator) + 0.1, torch.rand(8, 2)) for length in (5, 6, 7)]
    data[1][0][5, 3, 0] = 0
    return run_of(Applied(lambda layer, x: layer(x.mean(1)) + x.min().log()), data, mse)


def flattened_target() -> Experiment:
    generator = torch.Generator().manual_seed(0)
    data = [(torch.rand(6, 5, 4, generator=generator), torch.rand(30, generator=generator) + 0.1) for _ in range(3)]
    data[1][1][22] = 0
    model = Applied(lambda layer, x: layer(x).flatten(0, 1)[:, 0])
    return run_of(model, data, lambda output, target: (output - target.log()).square().mean())


def list_of_images() -> Experiment:
    generator = torch.Generator().manual_seed(0)
    data = [
        ([torch.rand(3, 4 + i, 5, generator=generator) + 0.1 for i in range(4)], [{"y": torch.zeros(1)} for _ in range(4)])
        for _ in range(3)
    ]
    data[1][0][2][1] = 0
    model = Applied(lambda layer, images: torch.stack([layer(image.mean((1, 2)).log()) for image in images]), 3, 1)
    return run_of(model, data, lambda output, target: mse(output, torch.stack([each["y"] for each in target])))


def row_of_a_bad_embedding() -> Experiment:
    table = nn.Embedding(10, 4)
    with torch.no_grad():
        table.weight[7] = torch.nan
    generator = torch.Generator().manual_seed(0)
    data = [(torch.randint(0, 7, (8,), generator=generator), torch.zeros(8, 2)) for _ in range(4)]
    data[2][0][3] = 7
    return run_of(nn.Sequential(table, linear()), data, mse)


def weights_all_bad() -> Experiment:
    model = linear()
    with torch.no_grad():
        model.weight.fill_(torch.nan)
    return run_of(model, regression(), mse)


def state_without_eps() -> Experiment:
    data = [(x * torch.tensor([1.0, 0.0, 1.0, 1.0]), y) for x, y in regression()]
    return run_of(linear(), data, mse, lambda parameters: torch.optim.Adam(parameters, eps=0))


def divergence() -> Experiment:
    model = nn.Sequential(linear(4, 8), linear(8, 2))
    return run_of(model, regression(60), mse, lambda parameters: torch.optim.SGD(parameters, lr=2.0))


def overflow_of_a_sum() -> Experiment:
    """float16 ends at 65504: the batch is too big, and no sample of it is worse than another."""
    data = [(x.half(), y.half()) for x, y in regression(3, 64)]
    data[1] = (data[1][0], data[1][1] + 36)
    data[0] = (data[0][0], data[0][1] + 20)
    loss = lambda output, target: (output - target).square().sum()  # noqa: E731
    return run_of(linear().half(), data, loss, lambda parameters: torch.optim.SGD(parameters, lr=1e-9))


EIGHT = tuple(range(8))


@pytest.mark.parametrize(
    ("run", "samples"),
    [
        (one_row, (3,)),
        (one_row_in_the_first_batch, (3,)),
        (one_row_of_the_only_batch, (6,)),
        (ragged_last_batch, (2,)),
        (every_row, EIGHT),
        (every_row_of_the_only_batch, None),
        (one_sample_that_matters, (0,)),
        (one_sample_that_does_not, None),
        (batch_norm_mixes_samples, (6,)),
        (attention_mixes_nothing, (4,)),
        (labels_all_ignored, EIGHT),
        (constant_batch, EIGHT),
        (two_that_are_alike, (4, 11)),
        (two_rows_two_births, (2, 5)),
        (innocent_neighbours, (4,)),
        (gradient_of_one_row, (2,)),
        (bad_target, (7,)),
        (target_that_does_not_fit_its_input, (3,)),
        (sequence_first_by_the_target, (2,)),
        (sequence_first_by_the_model, (2,)),
        (turned_within_the_model, (2,)),
        (lengths_differ_by_batch, (5,)),
        (flattened_target, (4,)),
        (list_of_images, (2,)),
        (row_of_a_bad_embedding, (3,)),
        (weights_all_bad, None),
        (state_without_eps, None),
        (divergence, None),
        (overflow_of_a_sum, None),
    ],
)
def test_the_samples_whose_exchange_heals(run: Run, samples: tuple[int, ...] | None) -> None:
    found = blamed_in(run())
    assert (found and found.samples) == samples
    assert found is None or found.batch is None


@pytest.mark.parametrize(("place", "expected"), [(3, Responsible((4,), 0)), (5, Responsible((4,), 2))])
def test_of_accumulated_batches_the_one_with_the_sample_is_named(place: int, expected: Responsible) -> None:
    for fault in (torch.nan, 0.0):
        data = positive(6)
        data[place][0][4, 0] = fault
        assert blamed_in(log_of(data, accumulate=3)) == expected


def test_good_samples_are_not_taken_from_a_batch_that_is_bad_too() -> None:
    """Two thirds of all samples are bad, those of the batches around too."""
    data = positive(3, 9)
    for i, (x, _) in enumerate(data):
        x[:, 0] = torch.tensor([1.0, -1.0, -1.0] * 3) if i else 1.0
    data[0][0][4:, 1] = 2
    model = Applied(lambda layer, x: layer(x) + x[:, :1].log())
    assert blamed_in(run_of(model, data, mse)) == Responsible((1, 2, 4, 5, 7, 8))


def test_a_bad_sample_is_named_though_gradients_had_grown() -> None:
    model = nn.Sequential(linear(4, 8), linear(8, 2))
    data = regression(60)
    data[4][0][5, 0] = torch.nan
    run = run_of(model, data, mse, lambda parameters: torch.optim.SGD(parameters, lr=2.0))
    with caught_in(run) as caught:
        assert caught.step == 4
        assert caught.lead_up.diverging
        cause = find_cause(caught, trace(caught))
        assert cause is not None
        assert responsible(caught, cause) == Responsible((5,))


def test_the_repeats_follow_from_the_size_of_the_step() -> None:
    batch = [Batch(torch.zeros(8, 4), torch.zeros(8, 2))]
    assert most_repeats(run_of(linear(), regression(), mse), batch) == MOST_REPEATS
    large = [Batch(torch.zeros(8, 2_000_000), torch.zeros(8, 2))]
    assert most_repeats(run_of(linear(), regression(), mse), large) == FEWEST_REPEATS


@pytest.mark.parametrize("run", [batch_norm_mixes_samples, divergence, sequence_first_by_the_model])
def test_the_walk_is_back_at_the_start_of_the_step(run: Run) -> None:
    with caught_in(run()) as caught:
        caught.walk.go_back(caught.moment)
        model, state = caught.walk.experiment.model, torch.get_rng_state()
        before = [tensor.clone() for tensor in (*model.parameters(), *model.buffers())]
        cause = find_cause(caught, trace(caught))
        assert cause is not None
        responsible(caught, cause)
        assert caught.walk.step == caught.step
        assert torch.equal(torch.get_rng_state(), state)
        after = [*model.parameters(), *model.buffers()]
        assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
        assert not any(module._forward_pre_hooks for module in model.modules())
