"""A layer, and the same written as a function: the same kind, with the same arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from designs import kinds, layer, traced
from torch import Tensor, nn

from dltool.core.measured.design import DesignedLayer

VECTOR, SERIES, IMAGE, VOLUME = (2, 6), (2, 4, 8), (2, 4, 8, 8), (2, 4, 8, 8, 8)
ACTIVATIONS: list[tuple[nn.Module, Callable[[Tensor], Tensor]]] = [
    (nn.ReLU(), torch.relu),
    (nn.ReLU(), Tensor.relu),
    (nn.ReLU(), F.relu_),
    (nn.ReLU(), lambda x: x.clamp(min=0)),
    (nn.ReLU(), lambda x: torch.maximum(x, torch.zeros(()))),
    (nn.ReLU6(), F.relu6),
    (nn.LeakyReLU(0.3), lambda x: F.leaky_relu(x, 0.3)),
    (nn.RReLU(), F.rrelu),
    (nn.ELU(0.7), lambda x: F.elu(x, 0.7)),
    (nn.CELU(0.7), lambda x: torch.celu(x, 0.7)),
    (nn.SELU(), torch.selu),
    (nn.GELU(), F.gelu),
    (nn.GELU("tanh"), lambda x: F.gelu(x, approximate="tanh")),
    (nn.SiLU(), F.silu),
    (nn.SiLU(), lambda x: x * torch.sigmoid(x)),
    (nn.Mish(), F.mish),
    (nn.Softplus(2.0, 10.0), lambda x: F.softplus(x, 2.0, 10.0)),
    (nn.Softsign(), F.softsign),
    (nn.Sigmoid(), torch.sigmoid),
    (nn.Sigmoid(), torch.special.expit),
    (nn.Sigmoid(), lambda x: 1 / (1 + (-x).exp())),
    (nn.Sigmoid(), lambda x: (1 + torch.exp(-x)).reciprocal()),
    (nn.LogSigmoid(), F.logsigmoid),
    (nn.LogSigmoid(), lambda x: torch.log(torch.sigmoid(x))),
    (nn.Hardsigmoid(), F.hardsigmoid),
    (nn.Tanh(), torch.tanh_),
    (nn.Tanhshrink(), F.tanhshrink),
    (nn.Hardtanh(-2.0, 2.0), lambda x: F.hardtanh(x, -2.0, 2.0)),
    (nn.Hardswish(), F.hardswish),
    (nn.Softshrink(0.3), lambda x: F.softshrink(x, 0.3)),
    (nn.Hardshrink(0.3), lambda x: F.hardshrink(x, 0.3)),
    (nn.Threshold(0.1, 2.0), lambda x: F.threshold(x, 0.1, 2.0)),
    (nn.GLU(1), lambda x: F.glu(x, 1)),
    (nn.Softmax(1), lambda x: torch.softmax(x, 1)),
    (nn.Softmax(-1), lambda x: x.softmax(dim=-1)),
    (nn.Softmin(1), lambda x: F.softmin(x, 1)),
    (nn.LogSoftmax(1), lambda x: x.log_softmax(1)),
    (nn.LogSoftmax(1), lambda x: x.softmax(1).clamp_min(1e-9).log()),
    (nn.LogSoftmax(1), lambda x: x - x.logsumexp(1, keepdim=True)),
    (nn.Dropout(0.2), lambda x: F.dropout(x, 0.2)),
    (nn.Flatten(), lambda x: x.flatten(1)),
]
LAYERS: list[tuple[tuple[int, ...], nn.Module, Callable[[Any, Tensor], Tensor]]] = [
    (VECTOR, nn.Linear(6, 3), lambda m, x: F.linear(x, m.weight, m.bias)),
    (VECTOR, nn.Linear(6, 3, bias=False), lambda m, x: x @ m.weight.T),
    (VECTOR, nn.Linear(6, 3), lambda m, x: torch.addmm(m.bias, x, m.weight.t())),
    (SERIES, nn.Conv1d(4, 6, 3, 2, 1), lambda m, x: F.conv1d(x, m.weight, m.bias, (2,), (1,), (1,))),
    (IMAGE, nn.Conv2d(4, 6, 3, groups=2), lambda m, x: F.conv2d(x, m.weight, m.bias, (1, 1), (0, 0), (1, 1), 2)),
    (VOLUME, nn.Conv3d(4, 2, 3, bias=False), lambda m, x: F.conv3d(x, m.weight, None, (1,) * 3, (0,) * 3, (1,) * 3)),
    (
        IMAGE,
        nn.ConvTranspose2d(4, 6, 2, 2),
        lambda m, x: F.conv_transpose2d(x, m.weight, m.bias, (2, 2), (0, 0), (0, 0), 1, (1, 1)),
    ),
    (
        VECTOR,
        nn.BatchNorm1d(6),
        lambda m, x: F.batch_norm(x, m.running_mean, m.running_var, m.weight, m.bias, training=True),
    ),
    (VECTOR, nn.LayerNorm(6), lambda m, x: F.layer_norm(x, (6,), m.weight, m.bias)),
    (IMAGE, nn.GroupNorm(2, 4), lambda m, x: F.group_norm(x, 2, m.weight, m.bias)),
    (VECTOR, nn.PReLU(), lambda m, x: F.prelu(x, m.weight)),
    (SERIES, nn.MaxPool1d(2), lambda m, x: F.max_pool1d(x, 2)),
    (IMAGE, nn.MaxPool2d(3, 2, 1), lambda m, x: F.max_pool2d(x, 3, 2, 1)),
    (VOLUME, nn.MaxPool3d(2), lambda m, x: torch.max_pool3d(x, 2)),
    (SERIES, nn.AvgPool1d(2), lambda m, x: F.avg_pool1d(x, (2,), (2,), (0,))),
    (IMAGE, nn.AvgPool2d(2, 1), lambda m, x: F.avg_pool2d(x, 2, 1)),
    (IMAGE, nn.AdaptiveAvgPool2d(2), lambda m, x: F.adaptive_avg_pool2d(x, 2)),
    (IMAGE, nn.AdaptiveMaxPool2d(1), lambda m, x: F.adaptive_max_pool2d(x, 1)),
]


class Function(nn.Module):
    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x + 0.0)


class Held(nn.Module):
    """The weights of ``layer``, used by a function."""

    def __init__(self, layer: nn.Module, function: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self.layer, self.function = layer, function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(self.layer, x)


def seen(model: nn.Module, shape: tuple[int, ...]) -> DesignedLayer:
    torch.manual_seed(0)
    found = traced(model, torch.randn(shape), torch.zeros(2), lambda o, t: o.sum())
    (output,) = found.architecture.outputs
    return found.architecture.layers[output]


def plain(one: DesignedLayer) -> dict[str, Any]:
    """Sizes that are alike in all dimensions as one number."""
    return {
        key: value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value for key, value in one.arguments.items()
    }


@pytest.mark.parametrize(("module", "function"), ACTIVATIONS)
def test_an_activation_written_as_a_function_is_the_same(module: nn.Module, function: Callable[[Tensor], Tensor]) -> None:
    one, other = seen(module, VECTOR), seen(Function(function), VECTOR)
    assert (one.kind, one.arguments, one.leaves) == (other.kind, other.arguments, other.leaves)


@pytest.mark.parametrize(("shape", "module", "function"), LAYERS)
def test_a_layer_written_as_a_function_is_the_same(
    shape: tuple[int, ...], module: nn.Module, function: Callable[[Any, Tensor], Tensor]
) -> None:
    one, other = seen(module, shape), seen(Held(module, function), shape)
    assert (one.kind, one.arrives, one.leaves, one.parameters) == (other.kind, other.arrives, other.leaves, other.parameters)
    assert plain(other) == plain(one)


def test_weights_that_start_alike_are_told() -> None:
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 3))
    nn.init.zeros_(model[0].weight)
    nn.init.constant_(model[2].weight, 0.5)
    found = traced(model, torch.randn(2, 4), torch.tensor([0, 1]))
    inits = [layer(found, "linear", n).init for n in range(3)]
    assert [None if init is None else init.name for init in inits] == ["zeros", "constant", None]
    assert inits[1] is not None
    assert inits[1].arguments == {"val": 0.5}


def test_frozen_layers_are_told_and_a_shared_layer_stands_wherever_it_acts() -> None:
    shared = nn.Linear(4, 4).requires_grad_(requires_grad=False)
    found = traced(
        nn.Sequential(shared, nn.ReLU(), shared, nn.ReLU(), nn.Linear(4, 3)), torch.randn(2, 4), torch.tensor([0, 1])
    )
    assert [(one.module, one.frozen) for one in found.architecture.layers if one.kind == "linear"] == [
        ("0", True),
        ("0", True),
        ("4", False),
    ]


def test_a_loop_of_many_steps_is_cut_and_said_to_be_incomplete() -> None:
    class Loop(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell, self.head = nn.GRUCell(4, 4), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            state = torch.zeros(2, 4)
            for step in x.unbind(1):
                state = self.cell(step, state)
            return self.head(state)

    found = traced(Loop(), torch.randn(2, 500, 4), torch.tensor([0, 1]))
    assert not found.architecture.complete
    assert kinds(found).count("gru_cell") == 64
    assert found.architecture.layers[-1].kind == "linear"


def test_a_hook_that_changes_what_a_layer_gives_is_seen() -> None:
    model = nn.Sequential(nn.Linear(4, 3))
    model[0].register_forward_hook(lambda module, args, output: output.softmax(1))
    assert kinds(traced(model, torch.randn(2, 4), torch.tensor([0, 1]))) == "linear softmax"
