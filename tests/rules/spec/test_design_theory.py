"""What rules take for granted about activations and depth, against torch."""

import math

import pytest
import torch
from design_specs import designed, init
from torch import nn

from dltool.core.measured.design import Architecture, DesignedLayer, LossTerm, Samples
from dltool.rules.spec.chains import chains, growth_of
from dltool.rules.spec.graph import Graph
from dltool.rules.spec.ranges import Bounds, bounds_of
from dltool.rules.spec.reach import least_chance
from dltool.rules.spec.signal import FUNCTIONS, moments
from dltool.specs.build.layers import ACTIVATIONS

NEEDS = {"threshold": (0.1, 20.0), "softmax": (-1,), "softmin": (-1,), "log_softmax": (-1,), "softmax2d": (), "glu": ()}


@pytest.mark.parametrize("kind", sorted(ACTIVATIONS))
def test_no_activation_leaves_its_bounds_and_each_comes_near_them(kind):
    module = ACTIVATIONS[kind](*NEEDS.get(kind, ())).eval()
    values = torch.linspace(-60, 60, 24_000, dtype=torch.float64)
    shaped = values.reshape(1, 4, 60, 100) if kind == "softmax2d" else values.reshape(1, 2, -1)
    with torch.no_grad():
        out = module.double()(shaped)
    bounds = bounds_of(DesignedLayer(kind=kind, module=None, follows=(-1,)))
    if bounds is None:
        assert kind == "threshold"
        return
    low, high = bounds
    assert out.min() >= low
    assert out.max() <= high
    if kind not in {"softmax", "softmin", "softmax2d", "log_softmax"}:
        assert math.isinf(low) or out.min() - low < 0.02
        assert math.isinf(high) or high - out.max() < 0.02


@pytest.mark.parametrize("kind", sorted(set(FUNCTIONS) - {""}))
@pytest.mark.parametrize("size", [0.1, 1.0, 9.0])
def test_moments_are_those_of_a_sample(kind, size):
    z = math.sqrt(size) * torch.randn(200_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z.requires_grad_()
    values = ACTIVATIONS[kind]()(z)
    (slope,) = torch.autograd.grad(values.sum(), z)
    slope_of_leaky = 0.01 if kind == "leaky_relu" else 0.0
    square, derivative = moments(kind, slope_of_leaky, size)
    assert square == pytest.approx(float(values.detach().square().mean()), rel=0.02)
    assert derivative == pytest.approx(float(slope.square().mean()), rel=0.02)


@pytest.mark.parametrize(
    ("initialiser", "start", "kind"),
    [
        ("xavier_normal", nn.init.xavier_normal_, "relu"),
        ("kaiming_normal", lambda w: nn.init.kaiming_normal_(w, nonlinearity="leaky_relu"), "relu"),
        ("lecun_normal", lambda w: nn.init.normal_(w, 0.0, w.shape[1] ** -0.5), "tanh"),
        ("{normal: {std: 0.1}}", lambda w: nn.init.normal_(w, 0.0, 0.1), "relu"),
        ("orthogonal", nn.init.orthogonal_, "selu"),
    ],
)
def test_growth_is_that_of_a_wide_net(initialiser, start, kind):
    width, depth = 400, 6
    layers = "\n".join([f"- linear: {width}\n- {kind}"] * depth) + "\n- linear: 3"
    (links,) = chains(Graph(designed(init(initialiser, layers), "vectors classes-3")[Architecture]))
    growth = growth_of(links)
    torch.manual_seed(0)
    x, seen = torch.randn(64, 20), []
    for at in range(depth):
        weight = start(torch.empty(width, 20 if at == 0 else width))
        x = x @ weight.T
        x.requires_grad_() if at == 0 else None
        x.retain_grad() if at else None
        seen.append(x)
        x = ACTIVATIONS[kind]()(x)
    first, last = seen[0], seen[-1]
    last.backward(torch.randn_like(last))
    forward = float(last.detach().square().mean() / first.detach().square().mean()) ** 0.5
    backward = float(first.grad.square().mean() / last.grad.square().mean()) ** 0.5
    assert growth.forward == pytest.approx(forward, rel=0.15)
    assert growth.backward == pytest.approx(backward, rel=0.15)


@pytest.mark.parametrize(("classes", "bound"), [(2, 1.0), (10, 1.0), (3, 0.5), (1000, 6.0)])
def test_no_bounded_logits_get_a_better_loss_than_told(classes, bound):
    best = torch.full((1, classes), -bound)
    best[0, 0] = bound
    loss = float(nn.functional.cross_entropy(best, torch.tensor([0])))
    layer = DesignedLayer(kind="hardtanh", module=None, follows=(-1,))
    term = LossTerm(name="cross_entropy", expects="logits")
    chance = least_chance(term, Bounds(-bound, bound, layer), Samples(target_shape=()), (classes,))
    assert chance == pytest.approx(math.exp(-loss), rel=1e-5)
