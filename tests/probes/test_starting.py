"""Numbers of a start against plain torch, and no trace of having looked."""

import copy
import math
import random
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from dltool.core.statistics import theil_sen_slope
from dltool.probes.growth import trunk
from dltool.probes.signals import BINS, histogram, variance_over_samples
from dltool.probes.starting import measure_start
from dltool.probes.weight_theory import theory_of, weight_scales


def batch(samples=32, features=12, classes=3, seed=0):
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(samples, features, generator=draw), torch.randint(classes, (samples,), generator=draw)


def start(model, *batches, loss=F.cross_entropy, **options):
    return measure_start(model, loss, batches or (batch(),), **options)


def named(found):
    return {layer.name: layer for layer in found.layers}


def mlp(depth=3, width=16, activation=nn.ReLU, seed=0):
    torch.manual_seed(seed)
    sizes = [12] + [width] * depth
    layers = [m for a, b in pairwise(sizes) for m in (nn.Linear(a, b), activation())]
    return nn.Sequential(*layers, nn.Linear(width, 3))


def test_forward_and_backward_are_those_of_plain_torch():
    model, (x, y) = mlp(), batch()
    found = named(start(model))
    value, outputs = x, []
    for module in model:
        value = module(value)
        value.retain_grad()
        outputs.append(value)
    loss = F.cross_entropy(value, y)
    loss.backward()
    for index, output in enumerate(outputs):
        layer = found[str(index)]
        assert layer.mean == pytest.approx(output.mean().item(), abs=1e-6)
        assert layer.std == pytest.approx(output.std(correction=0).item(), rel=1e-5)
        assert layer.signal_std == pytest.approx(output.var(0, correction=0).mean().sqrt().item(), rel=1e-5)
        assert layer.gradient_norm == pytest.approx(output.grad.norm().item(), rel=1e-5)
    for index in (0, 2, 4, 6):
        own = math.hypot(*(p.grad.norm().item() for p in model[index].parameters()))
        assert found[str(index)].weight_gradient_norm == pytest.approx(own, rel=1e-5)
        expected = model[index].weight.detach().double().var(correction=0).item()
        scale = found[str(index)].weights[0]
        assert scale.std**2 == pytest.approx(expected)
        theory = 2 / model[index].in_features if index < 6 else 1 / model[index].in_features
        assert scale.variance_ratio == pytest.approx(expected / theory)
    dead = (outputs[1] <= 0).all(0).float().mean().item()
    assert found["1"].dead.share == pytest.approx(dead)
    assert start(model).loss == pytest.approx(loss.item())


def test_growth_is_the_robust_line_through_the_trunk():
    model = mlp(depth=5)
    found = start(model)
    way = trunk(found.layers)
    assert [layer.name for layer in way] == ["0", "2", "4", "6", "8", "10"]
    slope = theil_sen_slope(range(6), [math.log10(layer.signal_std) for layer in way])
    assert found.growth.forward.per_layer == pytest.approx(10**slope)
    assert found.growth.forward.factor == pytest.approx(10 ** (5 * slope))
    back = theil_sen_slope(range(6), [math.log10(layer.gradient_norm) for layer in way[::-1]])
    assert found.growth.backward.per_layer == pytest.approx(10**back)
    assert way[1].signal_growth == pytest.approx(way[1].signal_std / way[0].signal_std)
    assert way[0].gradient_growth == pytest.approx(way[0].gradient_norm / way[1].gradient_norm)
    assert (way[0].signal_growth, way[-1].gradient_growth) == (None, None)


def test_several_batches_add_up_to_their_whole():
    x, y = batch(64)
    model = mlp()
    whole, parts = named(start(model, (x, y))), named(start(model, (x[:32], y[:32]), (x[32:], y[32:])))
    for name, layer in whole.items():
        assert parts[name].mean == pytest.approx(layer.mean, abs=1e-6)
        assert parts[name].std == pytest.approx(layer.std, rel=1e-5)
        assert parts[name].signal_std == pytest.approx(layer.signal_std, rel=0.1)


def test_outputs_overwritten_in_place_do_not_change_the_numbers():
    plain, overwriting = mlp(), mlp(activation=lambda: nn.ReLU(inplace=True))
    for one, other in zip(start(plain).layers, start(overwriting).layers, strict=True):
        assert one == other


def state_of(model):
    return (
        [(n, p.detach().clone(), None if p.grad is None else p.grad.clone()) for n, p in model.named_parameters()],
        [(n, b.clone()) for n, b in model.named_buffers()],
        [m.training for m in model.modules()],
        [(len(m._forward_hooks), len(m._forward_pre_hooks), len(m._backward_hooks)) for m in model.modules()],
        torch.get_rng_state(),
        np.random.get_state()[1].copy(),  # noqa: NPY002
        random.getstate(),
    )


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, np.ndarray):
        return bool((a == b).all())
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


class Odd(nn.Module):
    """Batch norm, dropout, recurrence and a residual block; raises in its loss if asked to."""

    def __init__(self):
        super().__init__()
        self.norm, self.drop = nn.BatchNorm1d(12), nn.Dropout(0.5)
        self.rnn = nn.LSTM(3, 8, batch_first=True)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        self.head = nn.Linear(8, 3)

    def forward(self, x):
        x = self.drop(self.norm(x)).view(len(x), 4, 3)
        return self.head(self.block(self.rnn(x)[0]).mean(1))


@pytest.mark.parametrize("raises", [False, True])
def test_a_look_leaves_no_trace(raises):
    torch.manual_seed(0)
    model = Odd()
    model.rnn.eval()
    F.cross_entropy(model(batch()[0]), batch()[1]).backward()
    before = state_of(model)

    def loss(output, target):
        if raises:
            raise RuntimeError("no loss today")
        return F.cross_entropy(output, target)

    try:
        start(model, loss=loss)
    except RuntimeError:
        assert raises
    assert same(state_of(model), before)


def test_batch_norm_uses_the_batch_unless_it_is_kept_in_eval_and_dropout_is_off():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8), nn.BatchNorm1d(8), nn.Dropout(0.9), nn.Linear(8, 3))
    found = named(start(model))
    assert found["1"].std == pytest.approx(1.0, abs=0.01)
    assert found["2"].std == found["1"].std
    assert named(start(model, kept_in_eval=("1",)))["1"].std == pytest.approx(found["0"].std, rel=0.01)


def test_blocks_are_part_of_the_trunk_and_what_is_in_them_is_not():
    torch.manual_seed(0)
    layer = [nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True) for _ in range(3)]
    model = nn.Sequential(nn.Linear(5, 8), *layer, nn.Flatten(), nn.Linear(32, 3))
    found = start(model, (torch.randn(16, 4, 5), torch.randint(3, (16,))))
    assert [x.name for x in trunk(found.layers)] == ["0", "1", "2", "3", "5"]
    assert found.growth.forward.blocks == 3
    assert named(found)["1.linear1"].inside == "1"
    assert named(found)["1.linear1"].weights[0].activation == "relu"


class TwoBranches(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.one, self.drop = nn.LayerNorm(8), nn.Linear(8, 8), nn.Dropout(0.1)
        self.norm2, self.two = nn.LayerNorm(8), nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8))

    def forward(self, x):
        x = x + self.drop(self.one(self.norm1(x)))
        return x + self.two(self.norm2(x))


class NoResidual(TwoBranches):
    def forward(self, x):
        return 0.5 * x + self.drop(self.one(self.norm1(x))) + self.two(self.norm2(x))


@pytest.mark.parametrize(("kind", "blocks"), [(TwoBranches, 3), (NoResidual, 0)])
def test_a_block_of_two_branches_is_found_by_its_sum(kind, blocks):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(12, 8), kind(), kind(), kind(), nn.Linear(8, 3))
    assert start(model).growth.forward.blocks == blocks


def test_a_head_at_zero_is_seen_and_lets_no_gradient_through():
    model = mlp()
    nn.init.zeros_(model[-1].weight)
    growth = start(model).growth
    assert growth.zero_head
    assert growth.backward.cut_at == "4"
    assert growth.forward.cut_at is None


def test_nothing_trainable_means_no_backward():
    model = mlp().requires_grad_(requires_grad=False)
    found = start(model)
    assert found.growth.backward is None
    assert {layer.gradient_norm for layer in found.layers} == {None}


def test_a_layer_that_kills_everything_cuts_and_one_that_overflows_is_named():
    dead, loud = mlp(), mlp()
    nn.init.constant_(dead[2].bias, -100.0)
    nn.init.constant_(loud[2].weight, 1e38)
    assert start(dead).growth.forward.cut_at == "4"
    assert named(start(dead))["3"].dead.share == 1.0
    assert start(loud).growth.forward.non_finite_at == "2"


def test_growth_through_time_is_that_of_the_jacobians():
    torch.manual_seed(0)
    rnn = nn.RNN(3, 6, batch_first=True, nonlinearity="tanh")
    with torch.no_grad():
        rnn.weight_hh_l0.copy_(0.5 * torch.linalg.qr(torch.randn(6, 6)).Q)
        rnn.weight_ih_l0.mul_(1e-3)
        rnn.bias_ih_l0.zero_()
        rnn.bias_hh_l0.zero_()

    class Last(nn.Module):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = rnn, nn.Linear(6, 3)

        def forward(self, x):
            return self.head(self.rnn(x)[0][:, -1])

    layer = named(start(Last(), (torch.randn(16, 10, 3), torch.randint(3, (16,)))))["rnn"]
    assert layer.through_time == pytest.approx(0.5, rel=1e-3)  # near 0 tanh is the identity, and half an isometry is left
    assert layer.time_steps == 10


@pytest.mark.parametrize(
    ("activation", "theory", "gain"),
    [
        (None, "lecun", 1.0),
        (nn.ReLU(), "he", 2**0.5),
        (nn.LeakyReLU(0.2), "he", (2 / 1.04) ** 0.5),
        (nn.Tanh(), "xavier", 5 / 3),
        (nn.Sigmoid(), "xavier", 1.0),
        (nn.SELU(), "lecun", 1.0),
        (nn.GELU(), "he", 1.5335),
        (nn.SiLU(), "he", 1.6765),
    ],
)
def test_theory_and_gain_by_activation(activation, theory, gain):
    assert theory_of(activation) == (theory, pytest.approx(gain, rel=1e-3))


def test_gains_are_those_of_a_sample_of_normal_numbers():
    z = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    for activation in (nn.GELU(), nn.Mish(), nn.ELU(), nn.Softplus()):
        assert theory_of(activation)[1] == pytest.approx(1 / activation(z).square().mean().sqrt().item(), rel=0.01)


@pytest.mark.parametrize(
    ("module", "fill", "activation"),
    [
        (nn.Linear(300, 200), lambda w: nn.init.kaiming_normal_(w, nonlinearity="relu"), nn.ReLU()),
        (nn.Conv2d(32, 64, 3), lambda w: nn.init.kaiming_uniform_(w, nonlinearity="relu"), nn.ReLU()),
        (nn.Linear(300, 200), lambda w: nn.init.xavier_uniform_(w, 5 / 3), nn.Tanh()),
        (nn.Linear(300, 200), lambda w: nn.init.kaiming_normal_(w, nonlinearity="linear"), None),
    ],
)
def test_an_initialiser_has_the_variance_of_its_theory(module, fill, activation):
    torch.manual_seed(0)
    fill(module.weight)
    (scale,) = weight_scales("layer", module, activation, before_norm=False)
    assert scale.variance_ratio == pytest.approx(1.0, abs=0.03)


def test_gates_are_measured_by_their_own_fan():
    scales = {scale.parameter: scale for scale in weight_scales("r", nn.LSTM(10, 20), None, before_norm=False)}
    assert (scales["r.weight_ih_l0"].fan_in, scales["r.weight_ih_l0"].fan_out) == (10, 20)
    assert scales["r.weight_hh_l0"].fan_out == 20


@given(
    rows=st.integers(2, 20),
    inner=st.integers(1, 4),
    units=st.integers(1, 5),
    seed=st.integers(0, 99),
    shift=st.floats(-9, 9),
)
@settings(max_examples=40, deadline=None)
def test_variance_over_samples_of_any_layout(rows, inner, units, seed, shift):
    values = torch.randn(rows, inner, units, generator=torch.Generator().manual_seed(seed)) + shift
    slow = sum(values[:, i, j].double().var(correction=0) for i in range(inner) for j in range(units)) / (inner * units)
    for layout, dim in ((values, 0), (values.transpose(0, 1), 1), (values.reshape(rows * inner, units), 0)):
        assert variance_over_samples(layout, rows, dim).item() == pytest.approx(slow.item(), rel=1e-3, abs=1e-6)


@given(st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=200))
@settings(max_examples=40, deadline=None)
def test_a_histogram_counts_every_value_once(values):
    found = histogram(torch.tensor(values))
    assert found is not None
    assert sum(found.counts) + found.outside == len(values)
    assert len(found.counts) in {1, BINS}


def test_a_histogram_keeps_what_is_not_finite_apart():
    found = histogram(torch.tensor([1.0, 2.0, math.nan, math.inf]))
    assert (found.low, found.high, found.outside) == (1.0, 2.0, 2)
    assert histogram(torch.tensor([math.nan])) is None


def test_the_same_model_gives_the_same_records():
    model = mlp()
    assert start(model) == start(copy.deepcopy(model))
