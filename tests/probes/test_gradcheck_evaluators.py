"""The fast ways of evaluating, against moving every element and computing everything."""

import pytest
import torch
from torch import nn

from dltool.probes.gradcheck.evaluators import Batched, OneByOne, ThroughOutput, Ways
from dltool.probes.gradcheck.lifting import double_by_default
from dltool.probes.gradcheck.point import Point


class Shared(nn.Module):
    """One layer called twice, and its weight used once more besides."""

    def __init__(self):
        super().__init__()
        self.first, self.again = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x):
        return self.again(self.first(self.first(x)) @ self.first.weight)


class Beside(nn.Module):
    """The layer's weight reaches the output beside the layer too."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 3)

    def forward(self, x):
        return self.layer(x) * self.layer.weight.sum()


class Item(nn.Module):
    def forward(self, x):
        return x * (2.0 if x.sum().item() > 0 else 3.0)


class Last(nn.Module):
    def forward(self, x):
        return x[0][:, -1]


def stack(*layers):
    return lambda: nn.Sequential(*layers)


IMAGE = (2, 6, 6)
CASES = {
    "mlp": (stack(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)), (4,), {"0.weight": ThroughOutput, "0.bias": ThroughOutput}),
    "no bias": (
        stack(nn.Linear(4, 5, bias=False), nn.ReLU(inplace=True), nn.Linear(5, 3)),
        (4,),
        {"0.weight": ThroughOutput},
    ),
    "sequence": (stack(nn.Linear(4, 5), nn.GELU(), nn.Linear(5, 3), nn.Flatten()), (2, 4), {"0.weight": ThroughOutput}),
    "dropout": (stack(nn.Dropout(), nn.Linear(4, 5), nn.Dropout(), nn.Linear(5, 3)), (4,), {}),
    "batch norm": (stack(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3)), (4,), {"1.weight": Batched}),
    "conv": (
        stack(nn.Conv2d(2, 4, 3, padding=1, stride=2, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 3)),
        IMAGE,
        {"0.weight": ThroughOutput, "0.bias": ThroughOutput},
    ),
    "dilated conv": (
        stack(nn.Conv2d(2, 3, (3, 2), padding="same", dilation=(1, 2)), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(27, 3)),
        IMAGE,
        {"0.weight": ThroughOutput},
    ),
    "conv1d": (stack(nn.Conv1d(2, 3, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(12, 3)), (2, 6), {"0.weight": ThroughOutput}),
    "lstm": (stack(nn.LSTM(4, 5, batch_first=True), Last(), nn.Linear(5, 3)), (6, 4), {"0.weight_hh_l0": OneByOne}),
    "shared": (Shared, (4,), {"first.weight": Batched}),
    "beside": (Beside, (4,), {"layer.weight": Batched, "layer.bias": Batched}),
    "python": (stack(nn.Linear(4, 4), Item(), nn.Linear(4, 3)), (4,), {"0.weight": OneByOne, "2.weight": ThroughOutput}),
}


@pytest.mark.parametrize("name", CASES)
def test_every_way_gives_the_plain_losses(name):
    torch.manual_seed(0)
    make, shape, expected = CASES[name]
    batch = torch.randn(5, *shape), torch.randint(0, 3, (5,))
    with double_by_default():
        point = Point(make(), nn.CrossEntropyLoss(), batch, modules=[], with_inputs=True)
        ways = Ways(point)
        for leaf, tensor in point.leaves.items():
            elements = torch.randperm(tensor.numel())[:12]
            offsets = torch.randn(len(elements), dtype=torch.float64)
            plain = OneByOne(point, leaf)(elements, offsets)
            assert torch.allclose(ways[leaf](elements, offsets), plain, rtol=1e-12, atol=1e-13), leaf
    assert {leaf: type(ways[leaf]) for leaf in expected} == expected
