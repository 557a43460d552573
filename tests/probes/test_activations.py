import math

import pytest
import torch
from torch import nn
from traces import left_as_found

from dltool.probes.activations import IdleCounts, Moments, Network, by_sample
from dltool.probes.preserve import evaluating, preserved


def learnt(model, x):
    network = Network(model)
    with preserved(model), network.learning_places(len(x)):
        model(x)
    return network


def count(model, batches):
    network = learnt(model, batches[0])
    counts = IdleCounts(network)
    with evaluating(model):
        for x in batches:
            with counts.counting(len(x)):
                model(x)
    return network, counts


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_moments_against_numpy(dtype):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(inplace=True), nn.Linear(4, 2)).to(dtype)
    x = (torch.randn(9, 6) + 100).to(dtype)
    network = learnt(model, x)
    moments = Moments(network)
    with left_as_found(model), preserved(model), moments.watching(len(x)):
        model(x)
    y = model[0](x)
    expected = [y, y.relu(), model(x)]
    for (mean, std), values in zip(moments.values().values(), expected, strict=True):
        numbers = values.detach().double().numpy()
        assert mean == pytest.approx(numbers.mean(), rel=1e-4)
        assert std == pytest.approx(numbers.std(), rel=1e-3)


def test_moments_keep_nan():
    network = learnt(nn.Sequential(nn.Linear(2, 2)), torch.ones(3, 2))
    moments = Moments(network)
    with preserved(network.model), moments.watching(1):
        network.model(torch.tensor([[torch.nan, 0.0]]))
    mean, std = moments.values()["0", 0]
    assert math.isnan(mean)
    assert math.isnan(std)


def test_firing_is_counted_by_sample_against_a_slow_loop():
    torch.manual_seed(1)
    model = nn.Sequential(nn.Conv2d(1, 5, 3), nn.ReLU())
    with torch.no_grad():
        model[0].bias += torch.tensor([-9.0, -1.0, -0.6, 0.0, 9.0])
    batches = [torch.randn(7, 1, 6, 6), torch.randn(3, 1, 6, 6)]
    _, counts = count(model, batches)
    y = torch.cat([model(x) for x in batches])
    slow = [sum(int((y[n, c] > 0).any()) for n in range(len(y))) for c in range(5)]
    assert counts.alive["1", 0].tolist() == slow
    assert counts.observations["1", 0] == 10
    assert float(counts.idle_values["1", 0]) / 10 == pytest.approx(float((y <= 0).double().mean()))


def test_sequences_count_their_last_dimension_and_majorities_of_steps():
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh())
    with torch.no_grad():
        model[0].weight.zero_()
        model[0].bias.zero_()
        model[0].weight[0, 0] = 9.0
    x = torch.zeros(4, 5, 2)
    x[:3, :3, 0] = 1.0  # unit 0: flat on 3 of 5 steps in three samples, on none in the last
    _, counts = count(model, [x])
    assert counts.alive["1", 0].tolist() == [1, 4, 4]


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.ReLU(inplace=True), nn.GELU(), nn.SiLU(inplace=True)])
def test_a_unit_that_is_off_for_all_is_found_and_a_sparse_one_is_alive(activation):
    model = nn.Sequential(nn.Linear(1, 3), activation)
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[0.0], [1.0], [1.0]]))
        model[0].bias.copy_(torch.tensor([-50.0, -50.0, 1.0]))
    x = torch.zeros(500, 1)
    x[123] = 60.0
    _, counts = count(model, [x[:250], x[250:]])
    assert counts.alive["1", 0].tolist() == [0, 1, 500]


@pytest.mark.parametrize("activation", ["relu", "gelu"])
def test_functional_activation_of_a_transformer_layer(activation):
    model = nn.TransformerEncoderLayer(4, 1, 6, activation=activation, batch_first=True)
    with torch.no_grad():
        model.linear1.weight[2].zero_()
        model.linear1.bias[2] = -40.0
    _, counts = count(model, [torch.randn(8, 3, 4)])
    assert counts.alive["linear1", 0][2] == 0
    assert counts.alive["linear1", 0].max() > 0


def test_nan_never_counts_as_dead():
    model = nn.Sequential(nn.Linear(1, 2), nn.ReLU())
    with torch.no_grad():
        model[0].bias[0] = torch.nan
        model[0].weight[1] = 0.0
        model[0].bias[1] = -1.0
    _, counts = count(model, [torch.ones(4, 1)])
    assert counts.alive["1", 0].tolist() == [4, 0]


def test_units_whose_number_follows_the_data_are_left_out():
    model = nn.Sequential(nn.Softmax(-1))
    network = learnt(model, torch.randn(4, 3))
    counts = IdleCounts(network)
    for width in (3, 5, 3):
        with counts.counting(4):
            model(torch.randn(4, width))
    assert counts.alive == {}


def test_samples_merged_with_time_are_told_apart():
    model = nn.Sequential(nn.Flatten(0, 1), nn.Linear(2, 3), nn.ReLU())
    x = torch.randn(4, 5, 2)
    network, counts = count(model, [x])
    assert counts.observations["2", 0] == 4
    y = model(x).reshape(4, 5, 3)
    assert counts.alive["2", 0].tolist() == (y > 0).any(1).sum(0).tolist()
    assert by_sample(y.flatten(0, 1), network.places["2", 0], 4).shape == (4, 3, 5)


def test_output_that_is_a_view_belongs_to_its_maker():
    class Squeezed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 1)

        def forward(self, x):
            return self.head(x).squeeze(1)

    assert learnt(Squeezed(), torch.randn(2, 3)).final().path == "head"


def test_output_made_by_a_function_has_no_final_place():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 2)

        def forward(self, x):
            return torch.softmax(self.head(x), 1)

    assert learnt(Functional(), torch.randn(2, 3)).final() is None
