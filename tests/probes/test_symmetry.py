import pytest
import torch
from torch import nn

from dltool.probes.symmetry import distinct_rows, distinct_weights, unit_layers


def layers(model):
    return {layer.parameter: layer for layer in unit_layers(model)}


def constant(model, value=0.1):
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(value)
    return model


LAYERS = [
    (lambda: nn.Linear(3, 4), (6, 3), "weight", 4),
    (lambda: nn.Conv2d(2, 5, 3), (2, 2, 8, 8), "weight", 5),
    (lambda: nn.ConvTranspose2d(2, 5, 3), (2, 2, 8, 8), "weight", 5),
    (lambda: nn.LSTM(3, 4), (5, 2, 3), "weight_ih_l0", 4),
    (lambda: nn.GRU(3, 4), (5, 2, 3), "weight_ih_l0", 4),
]


@pytest.mark.parametrize(("make", "shape", "name", "units"), LAYERS)
def test_random_units_are_all_different(make, shape, name, units):
    torch.manual_seed(0)
    layer = layers(make())[name]
    assert (layer.units, distinct_weights(layer)) == (units, units)
    assert distinct_rows(layer.rows()) == units


@pytest.mark.parametrize(("make", "shape", "name", "units"), LAYERS)
def test_constant_units_stay_one(make, shape, name, units):
    torch.manual_seed(0)
    model = constant(make())
    layer = layers(model)[name]
    output = model(torch.randn(shape))
    (output[0] if isinstance(output, tuple) else output).square().mean().backward()
    assert distinct_weights(layer) == 1
    assert distinct_rows(layer.rows(gradients=True)) == 1
    assert units > 1


def test_a_different_bias_breaks_the_symmetry():
    model = constant(nn.Linear(3, 4))
    with torch.no_grad():
        model.bias[1] = 0.2
    assert distinct_weights(layers(model)["weight"]) == 2


def test_zero_initialised_output_layer_has_different_gradients():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 4))
    constant(model[2], 0.0)
    nn.functional.cross_entropy(model(torch.randn(20, 3)), torch.randint(4, (20,))).backward()
    found = layers(model)["2.weight"]
    assert distinct_weights(found) == 1
    assert distinct_rows(found.rows(gradients=True)) == 4


def test_rounding_does_not_make_rows_different():
    rows = torch.ones(6, 50) * (1 + 1e-7 * torch.randn(6, 1))
    assert distinct_rows(rows) == 1
    assert distinct_rows(None) == 0
    assert distinct_rows(torch.zeros(3, 4)) == 1


def test_a_layer_of_one_unit_is_no_matter():
    assert layers(nn.Linear(3, 1)) == {}


def test_missing_gradients_are_none():
    assert layers(nn.Linear(3, 4))["weight"].rows(gradients=True) is None
