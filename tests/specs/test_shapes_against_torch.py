"""What is said of a layer without torch is what the built module does: shape, parameters, and whether it works at all."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings
from test_build_layers import CASES, VECTOR
from torch import nn

from dltool.core.errors import SpecError
from dltool.specs.build.assemble import Assembly
from dltool.specs.build.layers import BUILDERS
from dltool.specs.build.modules import Residual
from dltool.specs.load import load_text
from dltool.specs.misfit import MisfitError
from dltool.specs.schema import activations, layer_linear, layer_norm, layer_pool, layer_sequence, layer_shape
from dltool.specs.schema.layers import LAYERS
from dltool.specs.shapes.fit import fit
from dltool.specs.shapes.incoming import Incoming
from dltool.specs.shapes.parameters import count_parameters, parameters_of
from dltool.specs.shapes.reserved import RESERVED

KINDS = {member.kind: member for member in LAYERS}
SAMPLES = 11


def agree(layer, incoming):
    """Fit and build ``layer``; both work and give the same shape, or both refuse."""
    batch = torch.zeros(SAMPLES, *incoming.shape, dtype=torch.long if incoming.integers else None)
    try:
        fitted = fit(layer, incoming)
    except MisfitError:
        fitted = None
    if fitted is None:
        assert output_of_torch(layer, incoming, batch) is None
        return None
    module = BUILDERS[layer.kind](dict(fitted.arguments), incoming).eval()
    with torch.no_grad():
        output = module(batch)
    assert tuple(output.shape) == (SAMPLES, *fitted.leaves.shape)
    named = {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    assert parameters_of(layer.kind, fitted.arguments) == named
    assert count_parameters(layer.kind, fitted.arguments) == sum(p.numel() for p in module.parameters())
    return fitted


def output_of_torch(layer, incoming, batch):
    """What torch's module gives where ours refuses: None when it refuses too, mixes samples or leaves nothing."""
    names = {"in_features": -1, "in_channels": 0, "num_features": 0, "num_channels": 0, "input_size": -1, "d_model": -1,
             "embed_dim": -1}  # fmt: skip
    arguments = {k: v for k, v in layer.model_dump().items() if k not in {"name", "l2", "frozen"}}
    if layer.kind != "prelu":
        arguments.pop("init", None)
    try:
        for name, axis in names.items():
            if name in arguments and arguments[name] is None:
                arguments[name] = incoming.shape[axis]
        module = BUILDERS[layer.kind](arguments, incoming).eval()
        with torch.no_grad():
            output = module(batch)
    except Exception:  # noqa: BLE001
        return None
    if output.dim() == 0 or output.shape[0] != SAMPLES or output.numel() == 0:
        return None
    return tuple(output.shape)


def sizes(dims, least=1, most=9):
    return st.one_of(st.integers(least, most), st.tuples(*[st.integers(least, most)] * dims))


@st.composite
def convolutions(draw):
    dims = draw(st.integers(1, 3))
    model = (layer_linear.Conv1d, layer_linear.Conv2d, layer_linear.Conv3d)[dims - 1]
    padding = draw(st.one_of(st.sampled_from(["same", "valid"]), sizes(dims, 0, 3)))
    layer = model(
        out_channels=draw(st.sampled_from([1, 2, 4, 6])),
        kernel_size=draw(sizes(dims, 1, 5)),
        stride=draw(st.one_of(st.just(1), sizes(dims, 1, 3))),
        padding=padding,
        dilation=draw(st.one_of(st.just(1), sizes(dims, 1, 3))),
        groups=draw(st.sampled_from([1, 1, 1, 2, 3])),
        bias=draw(st.booleans()),
        padding_mode=draw(st.sampled_from(["zeros", "reflect", "replicate", "circular"])),
    )
    channels = draw(st.sampled_from([1, 2, 4, 6]))
    return layer, Incoming((channels, *draw(st.tuples(*[st.integers(1, 9)] * dims))))


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@settings(max_examples=120, deadline=None)
@given(convolutions())
def test_convolutions(case):
    agree(*case)


@st.composite
def pools(draw):
    dims = draw(st.integers(1, 3))
    kind = draw(st.sampled_from(["Max", "Avg"]))
    given_ = {"dilation": draw(sizes(dims, 1, 3))} if kind == "Max" else {"count_include_pad": draw(st.booleans())}
    layer = getattr(layer_pool, f"{kind}Pool{dims}d")(
        kernel_size=draw(sizes(dims, 1, 5)),
        stride=draw(st.one_of(st.none(), sizes(dims, 1, 4))),
        padding=draw(sizes(dims, 0, 3)),
        ceil_mode=draw(st.booleans()),
        **given_,
    )
    return layer, Incoming((2, *draw(st.tuples(*[st.integers(1, 9)] * dims))))


@settings(max_examples=80, deadline=None)
@given(pools())
def test_pools(case):
    agree(*case)


@st.composite
def adaptive_pools(draw):
    dims = draw(st.integers(1, 3))
    size = st.integers(1, 5) if dims == 1 else st.one_of(st.none(), st.integers(1, 5))
    layer = getattr(layer_pool, f"Adaptive{draw(st.sampled_from(['Max', 'Avg']))}Pool{dims}d")(
        output_size=draw(st.one_of(st.integers(1, 5), st.tuples(*[size] * dims)))
    )
    return layer, Incoming((2, *draw(st.tuples(*[st.integers(1, 9)] * dims))))


@settings(max_examples=60, deadline=None)
@given(adaptive_pools())
def test_adaptive_pools(case):
    agree(*case)


SHAPES = st.lists(st.integers(1, 6), min_size=0, max_size=4).map(tuple)
DIMS = st.integers(-6, 6)


@settings(max_examples=80, deadline=None)
@given(SHAPES, DIMS, DIMS)
def test_flatten(shape, start, end):
    agree(layer_shape.Flatten(start_dim=start, end_dim=end), Incoming(shape))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.one_of(st.none(), DIMS, st.lists(DIMS, min_size=1, max_size=3).map(tuple)), st.booleans(), st.booleans())
def test_global_pools(shape, dim, sequence, largest):
    """Ours refuses what torch would take: pooling over a dimension twice named, or over the batch."""
    layer = (layer_pool.GlobalMaxPool if largest else layer_pool.GlobalAvgPool)(dim=dim)
    incoming = Incoming(shape, sequence=sequence)
    try:
        fitted = fit(layer, incoming)
    except MisfitError:
        return
    with torch.no_grad():
        output = BUILDERS[layer.kind](dict(fitted.arguments), incoming)(torch.zeros(SAMPLES, *shape))
    assert tuple(output.shape) == (SAMPLES, *fitted.leaves.shape)


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.lists(st.integers(-1, 7), min_size=0, max_size=4).map(tuple))
def test_reshape(shape, wanted):
    agree(layer_shape.Reshape(shape=wanted), Incoming(shape))


@settings(max_examples=80, deadline=None)
@given(SHAPES, st.sampled_from(["Softmax", "Softmin", "LogSoftmax", "Glu"]), DIMS)
def test_activations_along_a_dimension(shape, name, dim):
    agree(getattr(activations, name)(dim=dim), Incoming(shape))


@pytest.mark.parametrize("shape", [(), (3,), (3, 4), (3, 4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize("count", [1, 3, 4])
def test_prelu(shape, count):
    agree(activations.Prelu(num_parameters=count), Incoming(shape))


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["Rnn", "Lstm", "Gru"]),
    shape=SHAPES,
    hidden=st.integers(1, 4),
    layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    bias=st.booleans(),
    dropout=st.sampled_from([0.0, 0.3]),
    output=st.sampled_from(["last", "sequence"]),
    projected=st.integers(0, 4),
)
def test_recurrent(*, kind, shape, hidden, projected, **given_):
    given_["num_layers"] = given_.pop("layers")
    more = {"proj_size": projected} if kind == "Lstm" else {}
    layer = getattr(layer_sequence, kind)(hidden_size=hidden, **more, **given_)
    if len(shape) == 2 and not (layer.dropout and layer.num_layers == 1):  # which torch warns of
        fitted = agree(layer, Incoming(shape))
        assert fitted is None or fitted.leaves.sequence == (layer.output == "sequence")


@pytest.mark.parametrize("shape", [(5, 6), (1, 6), (5, 7)])
@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("bias", [True, False])
def test_attention(shape, heads, bias):
    agree(layer_sequence.MultiheadAttention(num_heads=heads, bias=bias, add_bias_kv=bias), Incoming(shape))
    agree(layer_sequence.MultiheadAttention(num_heads=heads, add_zero_attn=True), Incoming(shape))
    agree(layer_sequence.TransformerEncoderLayer(nhead=heads, dim_feedforward=5, bias=bias), Incoming(shape))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from(["LayerNorm", "RmsNorm"]), st.lists(st.integers(1, 6), max_size=3), st.booleans())
def test_norms_over_the_last_dimensions(shape, name, wanted, affine):
    for given_ in (None, tuple(wanted), shape[-1:] or None, shape or None):
        agree(getattr(layer_norm, name)(normalized_shape=given_, elementwise_affine=affine), Incoming(shape))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(1, 4), st.booleans())
def test_group_norm(shape, groups, affine):
    agree(layer_norm.GroupNorm(num_groups=groups, affine=affine), Incoming(shape))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 6), max_size=5).map(tuple), st.booleans(), st.booleans(), st.booleans())
def test_batch_norm(shape, sequence, affine, bias):
    agree(layer_norm.BatchNorm(affine=affine, bias=bias), Incoming(shape, sequence=sequence))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.integers(1, 5), st.one_of(st.none(), st.integers(-7, 7)))
def test_embedding(shape, count, padding):
    layer = layer_linear.Embedding(num_embeddings=count, embedding_dim=3, padding_idx=padding)
    agree(layer, Incoming(shape, integers=True))
    with pytest.raises(MisfitError, match="looks up integers"):
        fit(layer, Incoming(shape))


@settings(max_examples=60, deadline=None)
@given(SHAPES, st.sampled_from(["linear", "drop_connect"]), st.integers(1, 4), st.booleans())
def test_linear(shape, kind, features, bias):
    """Over more than two dimensions torch would go on; here it is a missing flatten."""
    if len(shape) < 3:
        agree(KINDS[kind](out_features=features, bias=bias), Incoming(shape))


ORDERED = [("Hardtanh", "min_val", "max_val"), ("Rrelu", "lower", "upper")]


@pytest.mark.parametrize(("name", "low", "high"), ORDERED)
@pytest.mark.parametrize("bounds", [(0.1, 0.2), (0.2, 0.2), (0.3, 0.2)])
def test_bounds_in_order(name, low, high, bounds):
    agree(getattr(activations, name)(**{low: bounds[0], high: bounds[1]}), Incoming((3,)))


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in ("residual", "softmax2d")])
def test_every_layer_in_its_usual_form(kind):
    form, shape, expected = CASES.get(kind, (kind, VECTOR, VECTOR))
    loaded = load_text(f"version: 1\ndata: {{synthetic: xor}}\nmodel:\n  layers:\n    - {form}\n", "spec.yaml")
    fitted = agree(loaded.spec.model.layers[0], Incoming(shape, integers=kind == "embedding"))
    assert fitted is not None
    assert fitted.leaves.shape == expected


STACKS = [
    ("relu\n{residual: [{linear: 4}, relu, {linear: 7}]}\n{linear: 2}", (3,)),
    ("{residual: {layers: [{linear: 4}], shortcut: [{linear: 4}, tanh]}}", (3,)),
    ("{residual: [{conv2d: {out_channels: 4, kernel_size: 3, padding: 1, stride: 2}}, batch_norm]}", (2, 9, 8)),
    ("{residual: [{residual: [{linear: 5}]}, {linear: 3}]}\nflatten", (4, 3)),
    ("{gru: {hidden_size: 3, output: sequence}}\nbatch_norm\nglobal_avg_pool\n{linear: 2}", (7, 2)),
]
MISFITS = [
    ("{residual: [flatten, {linear: 24}]}", (2, 3, 4), "no shortcut can be made"),
    ("{residual: {layers: [{linear: 4}], shortcut: [{linear: 5}]}}", (3,), "different shapes"),
    ("{linear: {out_features: 3, name: a}}\n{relu: {name: a}}", (4,), "taken"),
]


def built(layers, shape):
    text = "version: 1\ndata: {synthetic: xor}\nmodel:\n  layers:\n" + "".join(f"    - {x}\n" for x in layers.splitlines())
    loaded = load_text(text, "spec.yaml")
    return Assembly(loaded, ()).model(loaded.spec.model.layers, Incoming(shape))


@pytest.mark.parametrize(("layers", "shape"), STACKS)
def test_rows_of_layers(layers, shape):
    model, leaving = built(layers, shape)
    assert tuple(model(torch.randn(3, *shape)).shape) == (3, *leaving.shape)


@pytest.mark.parametrize(("layers", "shape", "said"), MISFITS)
def test_rows_that_do_not_go_together(layers, shape, said):
    with pytest.raises(SpecError, match=said):
        built(layers, shape)


def test_names_that_torch_has_taken():
    taken = set(dir(Residual)) | set(vars(nn.Module())) | {"shortcut"}
    assert taken - RESERVED == set()


def test_a_name_twice_and_a_misfit_behind_it_are_both_told():
    text = "version: 1\ndata: {synthetic: xor}\nmodel:\n  layers:\n    - {linear: {out_features: 3, in_features: 9}}\n"
    loaded = load_text(text + "    - {relu: {name: a}}\n    - {tanh: {name: a}}\n", "spec.yaml")
    with pytest.raises(SpecError) as caught:
        Assembly(loaded, ()).model(loaded.spec.model.layers, Incoming((4,)))
    assert [problem.key for problem in caught.value.problems] == ["model.layers.0", "model.layers.2.tanh.name"]


def test_counts_are_exact_for_large_layers():
    fitted = fit(layer_linear.Linear(out_features=10**9), Incoming((10**9,)))
    assert count_parameters("linear", fitted.arguments) == 10**18 + 10**9
    assert math.prod(fitted.leaves.shape) == 10**9
