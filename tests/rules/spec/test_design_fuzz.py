"""Whatever a design holds or lacks, every rule answers: with findings, nothing, or a reason."""

import math

from design_specs import asked
from hypothesis import given, settings
from hypothesis import strategies as st

from dltool.core.measured.design import Architecture, DesignedInit, DesignedLayer, LossTerm, Objective, Plan, Samples
from dltool.core.measurements import Measurements

KINDS = [
    "linear",
    "conv1d",
    "conv2d",
    "drop_connect",
    "embedding",
    "lstm",
    "gru",
    "rnn",
    "multihead_attention",
    "transformer_encoder_layer",
    "batch_norm",
    "layer_norm",
    "group_norm",
    "instance_norm",
    "relu",
    "relu6",
    "tanh",
    "sigmoid",
    "softmax",
    "softmin",
    "softmax2d",
    "log_softmax",
    "leaky_relu",
    "elu",
    "hardtanh",
    "selu",
    "gelu",
    "dropout",
    "gaussian_noise",
    "flatten",
    "reshape",
    "permute",
    "select",
    "max_pool2d",
    "avg_pool1d",
    "global_avg_pool",
    "residual-add",
    "add",
    "mul",
    "cat",
    "unknown",
]
LOSSES = [
    "cross_entropy",
    "nll",
    "bce",
    "bce_with_logits",
    "mse",
    "l1",
    "poisson_nll",
    "gaussian_nll",
    "kl_div",
    "hinge",
    "soft_margin",
    "margin_ranking",
    "ctc",
    "custom",
]
EXPECTS = ("logits", "probabilities", "log-probabilities", "values", "log-rates", "rates", "signs", "unknown")
KEYS = [
    "in_features",
    "out_features",
    "in_channels",
    "out_channels",
    "kernel_size",
    "stride",
    "padding",
    "dilation",
    "groups",
    "bias",
    "p",
    "dropout",
    "dim",
    "momentum",
    "affine",
    "num_features",
    "num_groups",
    "frozen",
    "training",
    "hidden_size",
    "min_val",
    "max_val",
    "alpha",
    "negative_slope",
    "proj_size",
]
numbers = st.one_of(st.integers(-2, 40), st.floats(), st.sampled_from([math.nan, math.inf, 0.0, 0.5, 1.0]))
argument = st.one_of(
    st.none(), st.booleans(), numbers, st.tuples(numbers, numbers), st.sampled_from(["same", "valid", "relu"])
)
shape = st.one_of(st.none(), st.lists(st.integers(0, 12), max_size=4).map(tuple))
optional = st.one_of(st.none(), st.floats())
count = st.one_of(st.none(), st.integers(0, 500))
start = st.builds(
    DesignedInit,
    name=st.sampled_from(
        [None, "default", "zeros", "constant", "normal", "uniform", "xavier_normal", "kaiming_normal", "lsuv"]
    ),
    arguments=st.dictionaries(st.sampled_from(["val", "std", "mean", "a", "b", "gain", "mode"]), argument),
)


@st.composite
def architectures(draw):
    layers = []
    for index in range(draw(st.integers(0, 7))):
        before = (
            draw(st.lists(st.integers(-1, index - 1), min_size=0, max_size=2, unique=True))
            if draw(st.booleans())
            else [index - 1]
        )
        layers.append(
            DesignedLayer(
                kind=draw(st.sampled_from(KINDS)),
                module=draw(st.sampled_from([None, "", str(index)])),
                follows=tuple(before),
                key=draw(st.sampled_from([None, f"model.layers.{index}"])),
                arrives=draw(shape),
                leaves=draw(shape),
                arguments=draw(st.dictionaries(st.sampled_from(KEYS), argument, max_size=8)),
                init=draw(st.one_of(st.none(), start)),
                frozen=draw(st.booleans()),
            )
        )
    outputs = draw(st.lists(st.integers(-1, len(layers) - 1), max_size=2, unique=True))
    return Architecture(layers=tuple(layers), outputs=tuple(outputs), input_shape=draw(shape), complete=draw(st.booleans()))


terms = st.builds(
    LossTerm,
    name=st.sampled_from(LOSSES),
    expects=st.sampled_from(EXPECTS),
    reduction=st.sampled_from(["mean", "sum", "unknown"]),
    arguments=st.dictionaries(st.sampled_from(["ignore_index", "label_smoothing", "log_target", "weight"]), argument),
    class_weights=count,
    target_shape=shape,
    key=st.sampled_from([None, "loss"]),
)
samples = st.builds(
    Samples,
    train_samples=count,
    input_shape=shape,
    input_std=optional,
    target_kind=st.sampled_from(
        ["class-index", "one-hot", "multi-hot", "probabilities", "numbers", "counts", "signs", "unknown"]
    ),
    target_shape=shape,
    integer_targets=st.sampled_from([None, True, False]),
    classes=count,
    label_min=st.one_of(st.none(), st.integers(-3, 3)),
    label_max=count,
    renumbered=st.booleans(),
    target_min=optional,
    target_max=optional,
    target_mean=optional,
    target_std=optional,
    sorted_by_target=st.sampled_from([None, True, False]),
    all_read=st.booleans(),
)
plans = st.builds(
    Plan,
    optimizer=st.sampled_from([None, "sgd", "adam", "adamw", "adadelta", "lbfgs", "own"]),
    lr=optional,
    momentum=optional,
    weight_decay=optional,
    l1=optional,
    l2=optional,
    max_norm=optional,
    clip_norm=optional,
    epochs=count,
    steps_per_epoch=count,
    batch_size=st.one_of(st.none(), st.integers(1, 500)),
    full_batch=st.booleans(),
    shuffle=st.sampled_from([None, True, False]),
    pretrained=st.booleans(),
)


@settings(max_examples=150, deadline=None)
@given(architectures(), st.lists(terms, max_size=2), samples, plans)
def test_every_rule_answers(architecture, losses, facts, plan):
    objective = Objective(terms=tuple(losses), task=None)
    findings, checks = asked(Measurements([architecture, objective, facts, plan]))
    assert len(checks) == 24
    assert all(finding.message and "None" not in finding.message for finding in findings)
    assert all(check.reason for check in checks.values() if check.outcome == "skipped")
