"""Initialisers against theory, what they set and leave, and that the seed alone decides."""

import math

import pytest
import torch
from torch import nn

from dltool.core.errors import SpecError
from dltool.specs.build.fills import FAN_BASED, FREE
from dltool.specs.build.model import build_model
from dltool.specs.load import load_text
from dltool.specs.schema.initialisers import INITIALISERS
from dltool.specs.shapes.incoming import Incoming

HEAD = "version: 1\ndata: {synthetic: {blobs: {n: 8}}}\nmodel:\n"
FAN_IN, FAN_OUT = 200, 300


def model(text: str, shape=(FAN_IN,), seed=0, batch=None, **incoming) -> nn.Module:
    loaded = load_text(HEAD + "".join(f"  {line}\n" for line in text.splitlines()), "spec.yaml")
    return build_model(loaded, Incoming(shape, **incoming), batch, seed, ()).model


def weight_of(init: str) -> torch.Tensor:
    return model(f"layers: [{{linear: {{out_features: {FAN_OUT}, init: {init}}}}}]").get_parameter("0.weight").detach()


def test_every_name_is_built():
    assert {init.kind for init in INITIALISERS} == {*FAN_BASED, *FREE}


@pytest.mark.parametrize(
    ("init", "mean", "std"),
    [
        ("{normal: {mean: 0.5, std: 0.2}}", 0.5, 0.2),
        ("{uniform: {a: -1.0, b: 3.0}}", 1.0, 4 / math.sqrt(12)),
        ("xavier_uniform", 0.0, math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("{xavier_normal: 2.0}", 0.0, 2 * math.sqrt(2 / (FAN_IN + FAN_OUT))),
        ("{kaiming_uniform: {nonlinearity: relu}}", 0.0, math.sqrt(2 / FAN_IN)),
        ("{kaiming_normal: {nonlinearity: relu, mode: fan_out}}", 0.0, math.sqrt(2 / FAN_OUT)),
        ("{kaiming_normal: {a: 0.5}}", 0.0, math.sqrt(2 / 1.25 / FAN_IN)),
        ("lecun_uniform", 0.0, math.sqrt(1 / FAN_IN)),
        ("lecun_normal", 0.0, math.sqrt(1 / FAN_IN)),
        ("orthogonal", 0.0, math.sqrt(1 / FAN_OUT)),
        ("zeros", 0.0, 0.0),
        ("ones", 1.0, 0.0),
        ("{constant: 0.3}", 0.3, 0.0),
    ],
)
def test_mean_and_std_are_those_of_theory(init, mean, std):
    weight = weight_of(init)
    assert float(weight.mean()) == pytest.approx(mean, abs=0.02 * max(std, 1e-6) + 1e-6)
    assert float(weight.std()) == pytest.approx(std, rel=0.02, abs=1e-6)


def test_truncated_normal_stays_within_its_bounds():
    weight = weight_of("{truncated_normal: {std: 1.0, a: -0.5, b: 1.0}}")
    assert -0.5 <= float(weight.min()) < -0.49
    assert 0.99 < float(weight.max()) <= 1.0


def test_uniform_ends_at_its_bound():
    assert float(weight_of("lecun_uniform").abs().max()) == pytest.approx(math.sqrt(3 / FAN_IN), rel=1e-2)


def test_orthogonal_has_orthonormal_columns_and_identity_a_diagonal():
    weight = weight_of("orthogonal")
    assert torch.allclose(weight.T @ weight, torch.eye(FAN_IN), atol=1e-5)
    square = model("layers: [{linear: {out_features: 4, init: {identity: 1.5}}}]", (4,))
    assert torch.equal(square.get_parameter("0.weight"), 1.5 * torch.eye(4))


def test_convolutions_have_the_fan_of_their_window():
    net = model(
        "init: {kaiming_normal: {nonlinearity: relu}}\nlayers: [{conv2d: {out_channels: 64, kernel_size: 3}}]", (32, 5, 5)
    )
    assert float(net.get_parameter("0.weight").detach().std()) == pytest.approx(math.sqrt(2 / (32 * 9)), rel=0.02)


def test_a_name_zeroes_biases_and_none_leaves_torchs_own():
    named = model("init: lecun_normal\nlayers: [{linear: 5}]", (4,))
    assert not named.get_parameter("0.bias").any()
    plain = model("layers: [{linear: 5}]", (4,))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        own = nn.Linear(4, 5)
    assert torch.equal(plain.get_parameter("0.bias"), own.bias)
    assert torch.equal(plain.get_parameter("0.weight"), own.weight)


def test_a_layers_own_init_wins_and_bias_can_stand_alone():
    net = model(
        "init: {constant: 2.0}\n"
        "layers:\n"
        "  - linear: 3\n"
        "  - linear: {out_features: 3, init: {weight: {constant: 1.0}, bias: {constant: 0.5}}}\n"
        "  - residual: {layers: [{linear: 3}, {linear: {out_features: 3, init: ones}}], init: {constant: 7.0}}",
        (3,),
    )
    values = {name: p.unique().tolist() for name, p in net.named_parameters()}
    assert values == {"0.weight": [2.0], "0.bias": [0.0], "1.weight": [1.0], "1.bias": [0.5],
                      "2.0.weight": [7.0], "2.0.bias": [0.0], "2.1.weight": [1.0], "2.1.bias": [0.0]}  # fmt: skip
    alone = model("layers: [{linear: {out_features: 3, init: {bias: {constant: 0.5}}}}]", (3,))
    assert alone.get_parameter("0.bias").unique().tolist() == [0.5]
    assert alone.get_parameter("0.weight").unique().numel() == 9


def test_gates_and_attention_maps_have_each_their_own_fan():
    net = model(
        "init: xavier_uniform\nlayers: [{lstm: {hidden_size: 40, output: sequence}}, {multihead_attention: 4}]", (5, 20)
    )
    for gate in net.get_parameter("0.lstm.weight_ih_l0").detach().chunk(4):
        assert float(gate.abs().max()) == pytest.approx(math.sqrt(6 / 60), rel=0.02)
    for part in net.get_parameter("1.attention.in_proj_weight").detach().chunk(3):
        assert float(part.abs().max()) == pytest.approx(math.sqrt(6 / 80), rel=0.02)
    assert not net.get_parameter("0.lstm.bias_hh_l0").any()
    orthogonal = model("init: orthogonal\nlayers: [{gru: 6}]", (5, 6))
    for gate in orthogonal.get_parameter("0.gru.weight_hh_l0").detach().chunk(3):
        assert torch.allclose(gate @ gate.T, torch.eye(6), atol=1e-5)


def test_norms_are_left_alone_and_embeddings_where_a_fan_is_needed():
    text = "init: {}\nlayers: [{{embedding: {{num_embeddings: 50, embedding_dim: 40, padding_idx: 0}}}}, layer_norm]"
    fan = model(text.format("lecun_normal"), (5,), integers=True)
    assert float(fan.get_parameter("0.weight").detach()[1:].std()) == pytest.approx(1.0, rel=0.05)
    free = model(text.format("{normal: {std: 0.02}}"), (5,), integers=True)
    assert float(free.get_parameter("0.weight").detach()[1:].std()) == pytest.approx(0.02, rel=0.05)
    for net in (fan, free):
        assert not net.get_parameter("0.weight")[0].any()
        assert net.get_parameter("1.weight").unique().tolist() == [1.0]


def test_lsuv_gives_every_layer_unit_variance():
    batch = torch.randn(256, 30) * 7
    net = model(
        "init: {lsuv: {tolerance: 0.01}}\nlayers: [{linear: 50}, relu, {residual: [{linear: 50}, tanh]}, {linear: 10}]",
        (30,),
        batch=batch,
    )
    for path in ("0", "2.0", "3"):
        seen = []
        net.get_submodule(path).register_forward_hook(lambda _m, _a, output, seen=seen: seen.append(output))
        net.eval()(batch)
        assert float(seen[0].detach().var()) == pytest.approx(1.0, abs=0.02)
    assert net.train().training


def test_lsuv_says_when_an_output_does_not_vary():
    with pytest.raises(SpecError, match=r"model\.init: lsuv cannot scale 0"):
        model("init: lsuv\nlayers: [{linear: 5}]", (3,), batch=torch.zeros(4, 3))


def test_the_seed_alone_decides():
    text = "init: kaiming_normal\nlayers: [{linear: 5}, {dropout: 0.5}, {linear: 3}]"
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first = model(text, (4,), seed=3)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(7)
    again, other = model(text, (4,), seed=3), model(text, (4,), seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.get_parameter("0.weight"), other.get_parameter("0.weight"))


def test_a_matrix_initialiser_for_a_bias_is_told_at_its_place():
    with pytest.raises(SpecError) as caught:
        model("layers:\n  - relu\n  - linear: {out_features: 5, init: {bias: xavier_uniform}}", (4,))
    assert "spec.yaml:6:40: model.layers.1.linear.init.bias" in str(caught.value)
    assert "fan-in" in str(caught.value)
