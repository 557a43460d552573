import pickle

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm
from traces import hooks_on

from dltool.probes.activations import Network
from dltool.probes.hooks import kind_of, owner_of, visiting, watched_modules
from dltool.probes.nested import first_tensor


class Shared(nn.Module):
    """One relu at two widths, one linear layer twice, one layer never."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.twice, self.never = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(3, 3), nn.Linear(9, 9)
        self.act = nn.ReLU()

    def forward(self, x):
        x = self.act(self.b(self.act(self.a(x))))
        return {"out": self.twice(self.twice(x)), "nested": [x, (x, None)]}


def places(model, x):
    network = Network(model)
    with torch.no_grad(), network.learning_places(len(x)):
        model(x)
    return network


def test_a_shared_relu_is_two_places_and_a_shared_layer_is_one():
    network = places(Shared(), torch.randn(2, 4))
    assert [(p.path, p.call, p.sample_shape) for p in network.places.values()] == [
        ("a", 0, (6,)), ("act", 0, (6,)), ("b", 0, (3,)), ("act", 1, (3,)), ("twice", 0, (3,)),
    ]  # fmt: skip
    assert network.outputs == {("twice", 0), ("act", 1)}


def test_hooks_are_gone_after_an_exception_and_the_model_pickles():
    model = Shared()
    seen = []
    with pytest.raises(RuntimeError), visiting(watched_modules(model), on_output=seen.append, on_input=seen.append):
        model(torch.randn(2, 5))
    assert seen
    assert sum(map(hooks_on, model.modules())) == 0
    pickle.dumps(model)


def test_kwargs_are_inputs_too():
    layer = nn.Linear(2, 2)
    x = torch.randn(1, 2)
    inputs = []
    with visiting({"": layer}, on_input=lambda run: inputs.append(first_tensor(run.inputs))):
        layer(input=x)
    assert torch.equal(inputs[0], x)


@pytest.mark.parametrize(
    ("model", "x", "kinds"),
    [
        (nn.Sequential(nn.LSTM(3, 5, batch_first=True)), torch.randn(2, 4, 3), ["LSTM"]),
        (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(2, 3, 8),
         ["MultiheadAttention", "Dropout", "LayerNorm", "Linear", "Dropout", "Linear", "Dropout", "LayerNorm"]),
        (nn.Sequential(weight_norm(nn.Linear(3, 4)), nn.Tanh()), torch.randn(2, 3), ["Linear", "Tanh"]),
        (nn.Linear(3, 4), torch.randn(2, 3), ["Linear"]),
    ],
)  # fmt: skip
def test_what_counts_as_one_module(model, x, kinds):
    assert [p.kind for p in places(model, x).places.values()] == kinds


def test_transformer_relu_is_seen_on_linear1():
    network = places(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), torch.randn(2, 3, 8))
    assert network.places["linear1", 0].activation == "relu"


def test_fused_path_of_eval_mode_does_not_hide_modules():
    from dltool.probes.preserve import evaluating

    model = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    network = Network(model)
    with evaluating(model), network.learning_places(2):
        model(torch.randn(2, 3, 8))
    assert ("linear1", 0) in network.places


def test_owner_of_a_parametrized_weight_is_the_layer():
    model = nn.Sequential(weight_norm(nn.Linear(3, 4)))
    watched = watched_modules(model)
    assert {owner_of(name, watched) for name, _ in model.named_parameters()} == {"0"}
    assert kind_of(watched["0"]) == "Linear"


@pytest.mark.parametrize(
    ("model", "x", "unit_dim", "sample_dim"),
    [
        (nn.Sequential(nn.Conv1d(3, 5, 1), nn.ReLU()), torch.randn(2, 3, 7), 1, 0),
        (nn.Sequential(nn.Linear(3, 5), nn.ReLU()), torch.randn(2, 7, 3), 2, 0),
        (nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5), nn.ReLU()), torch.randn(2, 3, 4, 4), 1, 0),
        (nn.Sequential(nn.Linear(3, 5), nn.ReLU()), torch.randn(2, 4, 4, 3), 3, 0),
    ],
)
def test_layout_follows_the_layer_before(model, x, unit_dim, sample_dim):
    place = list(places(model, x).places.values())[-1]
    assert (place.unit_dim, place.sample_dim) == (unit_dim, sample_dim)


def test_time_first_samples_are_found_by_the_batch_size():
    network = Network(nn.Linear(3, 5))
    with torch.no_grad(), network.learning_places(4):
        network.model(torch.randn(9, 4, 3))
    assert network.places["", 0].sample_dim == 1


def test_state_of_places_survives_json():
    import json

    network = places(Shared(), torch.randn(2, 4))
    other = Network(Shared())
    other.load_state_dict(json.loads(json.dumps(network.state_dict())))
    assert (other.places, other.outputs) == (network.places, network.outputs)
