"""Every layer name of the spec is built, takes a training step, keeps samples apart, and says what it cannot take."""

import pytest
import torch
from torch import nn

from dltool.core.errors import SpecError
from dltool.specs.build.assemble import Assembly
from dltool.specs.build.layers import ACTIVATIONS, BUILDERS
from dltool.specs.build.modules import Residual, SequenceBatchNorm
from dltool.specs.load import load_text
from dltool.specs.schema.layers import LAYERS
from dltool.specs.shapes.incoming import Incoming

HEAD = "version: 1\ndata: {synthetic: {blobs: {n: 8}}}\nmodel:\n  layers:\n"

VECTOR, SIGNAL, IMAGE, VOLUME, STEPS = (6,), (2, 12), (2, 8, 10), (2, 6, 6, 6), (5, 6)
CASES = {
    "linear": ("{linear: 3}", VECTOR, (3,)),
    "drop_connect": ("{drop_connect: 3}", VECTOR, (3,)),
    "conv1d": ("{conv1d: {out_channels: 3, kernel_size: 3}}", SIGNAL, (3, 10)),
    "conv2d": ("{conv2d: {out_channels: 3, kernel_size: [3, 5], padding: same}}", IMAGE, (3, 8, 10)),
    "conv3d": ("{conv3d: {out_channels: 3, kernel_size: 3, stride: 2}}", VOLUME, (3, 2, 2, 2)),
    "embedding": ("{embedding: {num_embeddings: 9, embedding_dim: 4}}", (5,), (5, 4)),
    "max_pool1d": ("{max_pool1d: 2}", SIGNAL, (2, 6)),
    "max_pool2d": ("{max_pool2d: [2, 5]}", IMAGE, (2, 4, 2)),
    "max_pool3d": ("{max_pool3d: 2}", VOLUME, (2, 3, 3, 3)),
    "avg_pool1d": ("{avg_pool1d: 3}", SIGNAL, (2, 4)),
    "avg_pool2d": ("{avg_pool2d: 2}", IMAGE, (2, 4, 5)),
    "avg_pool3d": ("{avg_pool3d: 3}", VOLUME, (2, 2, 2, 2)),
    "adaptive_avg_pool1d": ("{adaptive_avg_pool1d: 4}", SIGNAL, (2, 4)),
    "adaptive_avg_pool2d": ("{adaptive_avg_pool2d: [null, 1]}", IMAGE, (2, 8, 1)),
    "adaptive_avg_pool3d": ("{adaptive_avg_pool3d: 1}", VOLUME, (2, 1, 1, 1)),
    "adaptive_max_pool1d": ("{adaptive_max_pool1d: 4}", SIGNAL, (2, 4)),
    "adaptive_max_pool2d": ("{adaptive_max_pool2d: 3}", IMAGE, (2, 3, 3)),
    "adaptive_max_pool3d": ("{adaptive_max_pool3d: 2}", VOLUME, (2, 2, 2, 2)),
    "global_avg_pool": ("global_avg_pool", IMAGE, (2,)),
    "global_max_pool": ("{global_max_pool: {dim: [-1]}}", IMAGE, (2, 8)),
    "flatten": ("flatten", IMAGE, (160,)),
    "reshape": ("{reshape: [1, -1, 4]}", IMAGE, (1, 40, 4)),
    "dropout": ("{dropout: 0.5}", VECTOR, VECTOR),
    "gaussian_noise": ("{gaussian_noise: 0.1}", VECTOR, VECTOR),
    "batch_norm": ("batch_norm", VOLUME, VOLUME),
    "layer_norm": ("{layer_norm: [8, 10]}", IMAGE, IMAGE),
    "group_norm": ("{group_norm: 2}", IMAGE, IMAGE),
    "rms_norm": ("rms_norm", VECTOR, VECTOR),
    "rnn": ("{rnn: {hidden_size: 4, nonlinearity: relu}}", STEPS, (4,)),
    "lstm": ("{lstm: {hidden_size: 4, bidirectional: true, num_layers: 2, dropout: 0.1}}", STEPS, (8,)),
    "gru": ("{gru: {hidden_size: 4, output: sequence}}", STEPS, (5, 4)),
    "multihead_attention": ("{multihead_attention: 2}", STEPS, STEPS),
    "transformer_encoder_layer": ("{transformer_encoder_layer: {nhead: 3, dim_feedforward: 8}}", STEPS, STEPS),
    "residual": ("{residual: [{linear: 4}, relu]}", VECTOR, (4,)),
    "threshold": ("{threshold: {threshold: 0.1, value: 0.0}}", VECTOR, VECTOR),
    "glu": ("glu", VECTOR, (3,)),
    "softmax2d": ("softmax2d", IMAGE, IMAGE),
}


def build(layers: str, shape: tuple[int, ...], **incoming: bool):
    loaded = load_text(HEAD + "".join(f"    - {line}\n" for line in layers.splitlines()), "spec.yaml")
    assembly = Assembly(loaded, ())
    model, leaving = assembly.model(loaded.spec.model.layers, Incoming(shape, **incoming))
    return model, leaving, assembly


def problem(layers: str, shape: tuple[int, ...], **incoming: bool) -> str:
    with pytest.raises(SpecError) as caught:
        build(layers, shape, **incoming)
    return str(caught.value)


def test_every_name_has_a_builder():
    assert {layer.kind for layer in LAYERS} == {*BUILDERS, "residual"}


@pytest.mark.parametrize("kind", [layer.kind for layer in LAYERS])
def test_takes_a_training_step_and_keeps_samples_apart(kind):
    torch.manual_seed(0)
    form, shape, expected = CASES.get(kind, (kind, VECTOR, VECTOR))
    assert kind in CASES or kind in ACTIVATIONS
    integers = kind == "embedding"
    model, leaving, _ = build(form, shape, integers=integers)
    assert leaving.shape == expected
    batch = torch.randint(9, (4, *shape)) if integers else torch.randn(4, *shape, requires_grad=True)
    output = model(batch)
    assert output.shape == (4, *expected)
    output.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    model.eval()
    with torch.no_grad():
        whole, alone = model(batch), model(batch[1:2])
    assert torch.allclose(whole[1:2], alone, atol=1e-6)


@pytest.mark.parametrize(("shape", "module"), [((6,), nn.BatchNorm1d), ((2, 5), nn.BatchNorm1d), ((2, 5, 5), nn.BatchNorm2d),
                                               ((2, 3, 3, 3), nn.BatchNorm3d)])  # fmt: skip
def test_batch_norm_follows_the_rank(shape, module):
    model, _, _ = build("batch_norm", shape)
    assert type(model.get_submodule("0")) is module


def test_batch_norm_of_a_sequence_is_over_its_features():
    model, leaving, _ = build("{gru: {hidden_size: 3, output: sequence}}\nbatch_norm", (7, 2))
    assert isinstance(model.get_submodule("1"), SequenceBatchNorm)
    assert leaving.sequence
    assert model.get_submodule("1").num_features == 3


def test_names_and_positions_name_the_children():
    model, _, assembly = build("{linear: {out_features: 4, name: stem}}\nrelu\n{residual: [{linear: 4}]}", (3,))
    assert list(model.state_dict()) == ["stem.weight", "stem.bias", "2.0.weight", "2.0.bias"]
    assert {built.path: built.key_path for built in assembly.layers} == {
        "stem": ("model", "layers", 0),
        "1": ("model", "layers", 1),
        "2": ("model", "layers", 2),
        "2.0": ("model", "layers", 2, "residual", 0),
    }


def test_residual_adds_its_input():
    model, _, _ = build("{residual: [{linear: {out_features: 3, bias: false}}]}", (3,))
    x = torch.randn(2, 3)
    weight = model.get_parameter("0.0.weight")
    assert torch.allclose(model(x), x + x @ weight.T)


@pytest.mark.parametrize(
    ("layers", "shape", "shortcut"),
    [
        ("{residual: [{linear: 7}]}", (3,), nn.Linear),
        ("{residual: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1, stride: 2}}]}", (2, 9, 8), nn.Conv2d),
        ("{residual: [{conv1d: {out_channels: 4, kernel_size: 3, padding: 1}}]}", (2, 9), nn.Conv1d),
    ],
)
def test_residual_projects_where_shapes_differ(layers, shape, shortcut):
    model, leaving, _ = build(layers, shape)
    block = model.get_submodule("0")
    assert isinstance(block, Residual)
    assert isinstance(model.get_submodule("0.shortcut.0"), shortcut)
    assert model(torch.randn(2, *shape)).shape == (2, *leaving.shape)


def test_residual_takes_a_shortcut_of_ones_own():
    model, _, _ = build("{residual: {layers: [{linear: 4}], shortcut: [{linear: 4}, tanh]}}", (3,))
    assert [type(m) for m in model.get_submodule("0.shortcut").children()] == [nn.Linear, nn.Tanh]


def test_drop_connect_drops_weights_and_keeps_their_mean():
    torch.manual_seed(0)
    model, _, _ = build("{drop_connect: {out_features: 1, p: 0.25, bias: false}}", (400,))
    with torch.no_grad():
        model.get_parameter("0.weight").fill_(1.0)
        sums = torch.stack([model(torch.ones(1, 400)).squeeze() for _ in range(200)])
        assert torch.allclose(sums * 0.75, (sums * 0.75).round(), atol=1e-3)
        assert abs(float(sums.mean()) - 400) < 5
        assert float(model.eval()(torch.ones(1, 400))) == pytest.approx(400)


def test_gaussian_noise_has_its_std_and_is_silent_in_eval():
    torch.manual_seed(0)
    model, _, _ = build("{gaussian_noise: 0.3}", (10_000,))
    x = torch.zeros(1, 10_000)
    assert float(model(x).std()) == pytest.approx(0.3, rel=0.05)
    assert torch.equal(model.eval()(x), x)


@pytest.mark.parametrize(("shape", "dim"), [((4,), -1), ((4, 5), -1), ((4, 5, 6), 1)])
def test_softmax_without_dim_is_over_the_classes(shape, dim):
    model, _, _ = build("softmax", shape)
    assert torch.allclose(model(torch.randn(2, *shape)).sum(dim), torch.ones(()))


@pytest.mark.parametrize(
    ("layers", "shape", "parts"),
    [
        ("{conv2d: {out_channels: 3, kernel_size: 3}}", (64,), ["5:7: model.layers.0", "(64,)", "reshape: [channels"]),
        ("{conv2d: {out_channels: 3, kernel_size: 3}}", (8, 8), ["reshape: [1, 8, 8]"]),
        ("{linear: 3}", (1, 8, 8), ["add `flatten`", "(1, 8, 8)"]),
        ("{lstm: 3}", (8,), ["(steps, features)", "reshape"]),
        ("relu\n{linear: {out_features: 3, in_features: 5}}", (4,), ["6:7: model.layers.1", "in_features", "found 5", "4"]),
        ("{max_pool2d: 2}\n{max_pool2d: 2}", (1, 3, 3), ["model.layers.1", "leaves nothing", "(1, 1, 1)"]),
        ("{conv2d: {out_channels: 3, kernel_size: 5}}", (1, 3, 3), ["leaves nothing", "padding"]),
        ("{reshape: [3, 3]}", (10,), ["10 values", "(3, 3)"]),
        ("{flatten: {start_dim: 0}}", (4,), ["mixes the samples"]),
        ("{embedding: {num_embeddings: 3, embedding_dim: 2}}", (4,), ["integer"]),
        ("{multihead_attention: 4}", (5, 6), ["num_heads", "divisor of 6"]),
        ("{group_norm: 4}", (6, 4, 4), ["divisor of 6"]),
        ("{conv2d: {out_channels: 3, kernel_size: 1, groups: 2}}", (2, 4, 4), ["divisible by groups"]),
        ("{gru: {hidden_size: 3, dropout: 0.5}}", (5, 6), ["num_layers of 2"]),
        ("{glu: -1}", (5,), ["even"]),
        ("{linear: {out_features: 3, name: a}}\n{relu: {name: a}}", (4,), ["taken", "layers.1.relu.name"]),
        ("{linear: {out_features: 3, name: forward}}", (4,), ["taken"]),
        ("{residual: [flatten]}", (2, 3, 4), ["shortcut"]),
        ("{residual: [relu, {conv1d: {out_channels: 2, kernel_size: 2}}]}", (4,), ["model.layers.0.residual.1"]),
        ("{global_avg_pool: {dim: 0}}", (2, 3, 4), ["0 is the batch"]),
    ],
)  # fmt: skip
def test_says_what_does_not_fit(layers, shape, parts):
    text = problem(layers, shape)
    assert "spec.yaml:" in text
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    "layers", ["flatten", "{conv1d: {out_channels: 2, kernel_size: 1}}", "{reshape: [-1]}", "{group_norm: 1}"]
)
def test_padding_is_never_mixed_in(layers):
    assert "padding" in problem(layers, (5, 6), sequence=True, padded=True)


def test_too_large_a_layer_is_told():
    assert "torch cannot build" in problem("{linear: 10000000000000}", (4,))
